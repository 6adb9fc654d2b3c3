"""People mark messages as read and unread; the numbers of unread ones are always right."""

from __future__ import annotations

import random

import pytest

from master.model import MessageKind
from master.operations import inbox
from master.protocol.inbox import MessagesRead
from master.store.messages import tally_messages
from tests.web.test_lists import BASE, comment, direct

PATHS = {MessageKind.COMMENT: "comments", MessageKind.DIRECT_MESSAGE: "direct-messages"}


async def add_messages(site, number=3):
    worker = await site.register_worker()
    account = (await site.add_account())["id"]
    await site.detect(worker, account, "comment", *[comment(one) for one in range(number)])
    words = [direct(one) for one in range(number)] + [direct(99, direction="outbound")]
    await site.detect(worker, account, "direct_message", *words)
    return account


async def list_ids(site, kind):
    return [row["id"] for row in (await site.call("GET", f"/{PATHS[kind]}?limit=500"))["data"]]


def told(site):
    return [one.content for one in site.parcels.sent if isinstance(one.content, MessagesRead)]


async def check_tallies(site, account):
    """Compare memory's numbers with the rows, and with what people read."""
    async with site.database.read() as connection:
        stored = await tally_messages(connection)
    known = site.memory.farm.messages
    assert {key: known.get(key) for key in stored} == stored
    unread = sum(numbers[1] for (name, _), numbers in stored.items() if name == account)
    assert (await site.call("GET", f"/accounts/{account}"))["data"]["unread"] == unread
    for kind, path in PATHS.items():
        total, left = stored.get((account, kind), (0, 0))
        for query, number in (
            ("", total),
            ("&is_read=false", left),
            ("&is_read=true", total - left),
        ):
            answer = await site.call("GET", f"/{path}?account_id={account}{query}&limit=500")
            assert (answer["total"], len(answer["data"])) == (number, number)
            assert (await site.call("GET", f"/{path}?{query[1:]}"))["total"] == number
    shown = (await site.call("GET", "/statistics"))["data"]["messages"]
    assert shown["unread_by_account"] == (
        [{"account_id": account, "unread": unread}] if unread else []
    )
    return unread


async def test_one_message_is_read_and_unread_again(site):
    account = await add_messages(site)
    [first, *_] = await list_ids(site, MessageKind.COMMENT)
    for word, is_read, unread in (("read", True, 5), ("read", True, 5), ("unread", False, 6)):
        answer = await site.call("POST", f"/messages/comments/{first}/{word}")
        assert answer["message"]["is_read"] is is_read
        assert await check_tallies(site, account) == unread
        site.clock.advance(2)
    assert [(one.ids, one.is_read, one.unread, one.by) for one in told(site)] == [
        ([first], True, 5, "http"),
        ([first], False, 6, "http"),
    ]
    await site.refused("POST", "/messages/comments/nobody/unread", 404)
    await site.refused("POST", f"/messages/letters/{first}/unread", 404)
    out = (await site.call("GET", "/direct-messages?direction=outbound"))["data"][0]["id"]
    error = await site.refused("POST", f"/messages/direct-messages/{out}/unread", 409)
    assert "sent this message" in error["message"]


async def test_many_messages_are_marked_by_their_ids(site):
    account = await add_messages(site)
    names = [
        {"kind": str(kind), "id": one} for kind in MessageKind for one in await list_ids(site, kind)
    ]
    odd = {"kind": "comment", "id": "nobody"}
    for word, changed, unread in (("read", 6, 0), ("read", 0, 0), ("unread", 6, 6)):
        answer = await site.call("POST", f"/messages/{word}", json={"ids": [*names, odd, odd]})
        assert answer["data"] == {
            "changed": changed,
            "unread": [{"account_id": account, "unread": unread}],
            "missing": [odd],
            "continues": False,
        }
        assert await check_tallies(site, account) == unread
        site.clock.advance(2)


@pytest.mark.parametrize("at_once", [1, 2, 1_000])
@pytest.mark.parametrize(
    ("body", "left"),
    [({}, 0), ({"kind": "comment"}, 3), ({"before": BASE + 1}, 3), ({"before": "1970-01-01"}, 6)],
)
async def test_an_accounts_messages_are_marked_in_portions(site, monkeypatch, body, left, at_once):
    monkeypatch.setattr(inbox, "AT_ONCE", at_once)
    monkeypatch.setattr(inbox, "LOOKED_AT", 2 * at_once)
    account = await add_messages(site)
    body = {"account_id": account, **body}
    answer = (await site.call("POST", "/messages/read", json=body))["data"]
    await site.turns.close()  # runs the portions
    site.turns.start()
    assert await check_tallies(site, account) == left
    assert answer["changed"] <= 6 - left
    assert answer["continues"] or answer["changed"] == 6 - left
    marked = [name for one in told(site) for name in one.ids]
    assert (len(marked), len(set(marked))) == (6 - left, 6 - left)
    site.clock.advance(2)
    await site.call("POST", "/messages/unread", json={"account_id": account})
    await site.turns.close()
    site.turns.start()
    assert await check_tallies(site, account) == 6


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": []},
        {"ids": [{"kind": "letter", "id": "x"}]},
        {"ids": [{"id": "x"}]},
        {"ids": [{"kind": "comment", "id": "x", "colour": "red"}]},
        {"ids": [{"kind": "comment", "id": str(one)} for one in range(501)]},
        {"ids": [{"kind": "comment", "id": "x"}], "account_id": "a"},
        {"ids": [{"kind": "comment", "id": "x"}], "before": 5},
        {"account_id": "a", "before": "yesterday"},
        {"account_id": ""},
    ],
)
@pytest.mark.parametrize("word", ["read", "unread"])
async def test_a_wrong_request_to_mark_is_refused(site, word, body):
    assert (await site.refused("POST", f"/messages/{word}", 422, json=body))["details"]


async def test_an_unknown_account_has_no_messages_to_mark(site):
    error = await site.refused("POST", "/messages/read", 404, json={"account_id": "nobody"})
    assert error["code"] == "unknown_account"


@pytest.mark.parametrize("seed", range(3))
async def test_the_numbers_are_right_after_whatever_people_and_workers_do(site, seed):
    rng = random.Random(seed)
    account = await add_messages(site)
    worker = await site.register_worker()
    for _ in range(20):
        kind = rng.choice(list(MessageKind))
        make = comment if kind is MessageKind.COMMENT else direct
        some = rng.sample(await list_ids(site, kind), 2)
        word = rng.choice(("read", "unread"))
        step = rng.randrange(4)
        if step == 0:
            new = [make(rng.randrange(12), content=rng.choice("ab")) for _ in range(3)]
            await site.detect(worker, account, str(kind), *new)
        elif step == 1:
            await site.ask("POST", f"/api/v1/messages/{PATHS[kind]}/{some[0]}/{word}")
        elif step == 2:
            named = [{"kind": str(kind), "id": one} for one in some]
            await site.call("POST", f"/messages/{word}", json={"ids": named})
        else:
            await site.turns.load_farm()
    site.clock.advance(2)
    await check_tallies(site, account)
    await site.call("DELETE", f"/accounts/{account}")
    assert site.memory.farm.messages.count(MessageKind.COMMENT) == (0, 0)
