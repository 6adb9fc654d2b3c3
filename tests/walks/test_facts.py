"""Reports of messages count from present owners of the account and recent former ones."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
import structlog

from master.decisions.retention import DAY_S
from master.operations import messages
from master.operations.accounts import change_account, remove_account
from master.operations.inbox import list_comments, list_direct_messages, mark_read
from master.protocol.http import AccountChange, ById, MessageById
from master.protocol.lists import CommentsQuery, DirectMessagesQuery
from tests.conftest import Bench, Peer
from tests.walks.test_devices import ask_file
from tests.walks.test_messages import comment
from tests.walks.test_portions import watch_turns
from tests.walks.test_workers import make_account


async def report(
    worker: Peer, account: dict[str, Any], *messages: dict[str, Any], kind: str = "comment"
) -> Any:
    words = {"type": kind, "account_id": account["id"], "messages": list(messages)}
    return await worker.ask("worker:message:detected", words)


async def list_all(bench: Bench) -> list[dict[str, Any]]:
    """Return the comments as HTTP renders them."""
    listing = await bench.master.turns.look(list_comments, CommentsQuery())
    return list(listing.rows)


async def move(bench: Bench, account: dict[str, Any], worker_id: str) -> None:
    wish = AccountChange(id=account["id"], pinned_worker_id=worker_id)
    await bench.run(change_account, wish)


async def test_a_worker_that_never_held_the_account_reports_nothing_of_it(bench):
    account = await make_account(bench)
    owner, other, device = (
        await bench.worker("worker-1"),
        await bench.worker("worker-2"),
        await bench.device(),
    )
    refused = await report(other, account, *(comment(number) for number in range(50)))
    assert (refused["error"]["code"], refused["error"]["retryable"]) == ("not_yours", False)
    assert await list_all(bench) == []
    assert (await report(owner, account, comment(1)))["inserted"] == 1, "its id is unused"
    await device.hear("notification:new")
    assert len(device.all("notification:new")) == 1


async def test_a_former_owner_still_delivers_what_it_has_seen_for_some_days(bench):
    account = await make_account(bench)
    first, second = await bench.worker("worker-1"), await bench.worker("worker-2")
    await move(bench, account, "worker-2")
    bench.clock.advance(7 * DAY_S)
    assert (await report(first, account, comment(1)))["inserted"] == 1
    bench.clock.advance(1)
    assert (await report(second, account, comment(2)))["inserted"] == 1
    assert (await report(first, account, comment(3)))["error"]["code"] == "not_yours"
    assert [one["reported_by"] for one in await list_all(bench)] == ["worker-1", "worker-2"][::-1]


@pytest.mark.parametrize("how", ["silence", "goodbye", "pause"])
async def test_whatever_moved_the_account_its_former_owner_is_remembered(bench, how: str):
    account = await make_account(bench)
    worker = await bench.worker("worker-1")
    if how == "silence":
        await bench.advance(61)
        await bench.advance(31)
    elif how == "goodbye":
        await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    else:
        wish = AccountChange(id=account["id"], status="paused")
        await bench.run(change_account, wish)
    assert bench.master.memory.farm.accounts.get(account["id"]).assigned_worker_id is None
    back = await bench.connect("worker") if how == "goodbye" else worker
    if how == "goodbye":
        await back.ask("worker:register", {"workerId": "worker-1", "capabilities": []})
    assert (await report(back, account, comment(1)))["inserted"] == 1


async def test_former_owners_are_forgotten_in_portions(bench, monkeypatch):
    monkeypatch.setattr(messages, "AT_ONCE", 2)
    worker = await bench.worker("worker-1")
    for name in "abcde":
        await make_account(bench, name)
    await worker.ask("worker:goodbye", {"workerId": "worker-1"})
    count = "SELECT count(*) FROM account_holders"
    await bench.run(messages.forget_former)
    assert await ask_file(bench, count) == [5]
    bench.clock.advance(7 * DAY_S + 1)
    turns = watch_turns(bench)
    await bench.run(messages.forget_former)
    await bench.run(_nothing)
    assert (turns.count("forget_former"), await ask_file(bench, count)) == (3, [0])


async def _nothing(event: None, turn: Any) -> None:
    """An empty turn, which comes after all others."""


async def test_a_master_that_starts_anew_knows_who_held_what(bench):
    account = await make_account(bench)
    first, _ = await bench.worker("worker-1"), await bench.worker("worker-2")
    await move(bench, account, "worker-2")
    await bench.master.turns.load_farm()
    assert (await report(first, account, comment(1)))["inserted"] == 1


async def test_what_is_reported_of_a_removed_account_is_of_an_unknown_one(bench):
    account = await make_account(bench)
    worker, _ = await bench.worker("worker-1"), await bench.worker("worker-2")
    await move(bench, account, "worker-2")
    await bench.run(remove_account, ById(id=account["id"]))
    assert (await report(worker, account, comment(1)))["error"]["code"] == "unknown_account"


def direct(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "platform_message_id": f"m{number}", "content": "c", "sender_id": "s",
        "direction": "inbound",
    } | changes  # fmt: skip


WHOLE = comment(1) | {"post_id": "a post", "author_id": "an author"}


async def list_direct(bench: Bench) -> list[dict[str, Any]]:
    listing = await bench.master.turns.look(list_direct_messages, DirectMessagesQuery())
    return list(listing.rows)


async def test_another_text_of_the_same_message_is_an_edit(bench):
    account, device = await make_account(bench), await bench.device()
    worker = await bench.worker()
    await report(worker, account, comment(1))
    assert (await report(worker, account, comment(1)))["duplicates"] == 1
    renamed = comment(1) | {"author_name": "a new nickname"}
    assert (await report(worker, account, renamed))["duplicates"] == 1
    with structlog.testing.capture_logs() as lines:
        edited = await report(worker, account, comment(1) | {"content": "something else"})
    assert (edited["inserted"], edited["duplicates"], edited["edited"]) == (0, 1, 1)
    [stored] = await list_all(bench)
    first = comment(1)["content"]
    assert (stored["content"], stored["earlier_content"]) == ("something else", first)
    assert stored["edited_at"] is not None
    line = next(line for line in lines if line["event"] == "duplicates_differ")
    assert (line["edited"], line["reported_by"]) == ([stored["id"]], ["worker-1"])
    assert "something else" not in repr(line)
    assert "master_altered_duplicates_total 1.0" in await scrape(bench)
    # the first text once more is a late repeat; a third one is a further edit
    assert "edited" not in await report(worker, account, comment(1))
    assert (await report(worker, account, comment(1) | {"content": "third"}))["edited"] == 1
    [stored] = await list_all(bench)
    assert (stored["content"], stored["earlier_content"]) == ("third", first)
    await device.hear("notification:new")
    texts = [one["content"] for one in device.all("notification:new")]
    assert texts == [first, "something else", "third"], "none of them is read"


async def test_an_edit_of_a_read_message_makes_no_notification(bench):
    account, worker = await make_account(bench), await bench.worker()
    await report(worker, account, comment(1))
    [stored] = await list_all(bench)
    await bench.run(mark_read, MessageById(kind="comments", id=stored["id"]))
    device = await bench.device()
    await device.hear("notification:new")
    assert (await report(worker, account, comment(1) | {"content": "edited"}))["edited"] == 1
    await report(worker, account, comment(2))
    await device.hear("notification:new")
    texts = [one["content"] for one in device.all("notification:new")]
    assert texts == [comment(1)["content"], comment(2)["content"]]


async def test_an_edit_within_a_report_is_told_once(bench):
    account, worker, device = await make_account(bench), await bench.worker(), await bench.device()
    both = await report(worker, account, comment(1), comment(1) | {"content": "at once"})
    assert (both["inserted"], both["duplicates"], both["edited"]) == (1, 1, 1)
    await device.hear("notification:new")
    assert [one["content"] for one in device.all("notification:new")] == ["at once"]


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("comment", WHOLE, WHOLE | {"post_id": "another post"}),
        ("comment", WHOLE, WHOLE | {"author_id": "another author"}),
        ("direct_message", direct(1), direct(1, sender_id="another sender")),
        ("direct_message", direct(1), direct(1, sender_id="another sender", content="d")),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
async def test_the_same_id_in_another_conversation_is_another_message(
    bench, kind: str, first: dict[str, Any], second: dict[str, Any], at_once: bool
):
    account, worker, device = await make_account(bench), await bench.worker(), await bench.device()
    if at_once:
        assert (await report(worker, account, first, second, kind=kind))["inserted"] == 2
    else:
        assert (await report(worker, account, first, kind=kind))["inserted"] == 1
        assert (await report(worker, account, second, kind=kind))["inserted"] == 1
    for one in (first, second):
        again = await report(worker, account, one, kind=kind)
        assert (again["inserted"], again["duplicates"]) == (0, 1)
        assert "edited" not in again
    rows = await (list_all(bench) if kind == "comment" else list_direct(bench))
    assert len(rows) == 2
    await device.hear("notification:new")
    assert len(device.all("notification:new")) == 2


ROUNDED = 7291234567890123456
LATER = {"content": "the second customer"}


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("direct_message", direct(1, sender_id=ROUNDED), direct(1, sender_id=ROUNDED) | LATER),
        ("direct_message", direct(1), direct(1, sender_id=ROUNDED) | LATER),
        ("comment", WHOLE | {"author_id": 1.5}, WHOLE | {"author_id": 1e21} | LATER),
        ("comment", WHOLE | {"post_id": ROUNDED}, WHOLE | {"post_id": ROUNDED} | LATER),
        ("comment", WHOLE, WHOLE | {"author_id": "x" * 2_000} | LATER),
    ],
)
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_message_whose_person_or_post_may_be_another_is_no_edit(
    bench, kind: str, first: dict[str, Any], second: dict[str, Any], at_once: bool
):
    account, worker = await make_account(bench), await bench.worker()
    third = second | {"content": "a third one"}
    for some in ([first, second, third],) if at_once else ([first], [second], [third]):
        answer = await report(worker, account, *some, kind=kind)
        assert (answer["inserted"], "edited" in answer) == (len(some), False)
        assert {note["field"] for note in answer.get("notes", ())} <= {
            "author_id", "post_id", "sender_id",
        }  # fmt: skip
    again = await report(worker, account, first, second, third, kind=kind)
    assert (again["inserted"], again["duplicates"]) == (0, 3)
    rows = await (list_all(bench) if kind == "comment" else list_direct(bench))
    assert {row["content"] for row in rows} == {first["content"], LATER["content"], "a third one"}


@pytest.mark.parametrize("lacking", ["sender_id", "content"])
async def test_an_unknown_sender_or_text_makes_no_other_message(bench, lacking: str):
    account, worker = await make_account(bench), await bench.worker()
    less = {name: value for name, value in direct(1).items() if name != lacking}
    for one in (less, direct(1), less):
        await report(worker, account, one, kind="direct_message")
    [stored] = await list_direct(bench)
    assert stored["content"] == "c"


async def test_our_own_answers_are_read_and_make_no_notification(bench):
    account, worker, device = await make_account(bench), await bench.worker(), await bench.device()
    await report(worker, account, direct(1, direction="outbound"), kind="direct_message")
    await report(worker, account, direct(2), kind="direct_message")
    assert {one["platform_message_id"]: one["is_read"] for one in await list_direct(bench)} == {
        "m1": True, "m2": False,
    }  # fmt: skip
    await device.hear("notification:new")
    assert [one["data"]["platform_id"] for one in device.all("notification:new")] == ["m2"]


async def test_an_object_as_content_keeps_its_kind(bench):
    account, worker = await make_account(bench), await bench.worker()
    picture = direct(1, content={"type": "image", "url": "https://p.example/1.png"})
    await report(worker, account, picture, kind="direct_message")
    await report(worker, account, direct(2, content=["a", "b"]), kind="direct_message")
    await report(worker, account, direct(3, content_type="sticker"), kind="direct_message")
    kinds = {one["platform_message_id"]: one["content_type"] for one in await list_direct(bench)}
    assert kinds == {"m1": "image", "m2": "json", "m3": "sticker"}


@pytest.mark.parametrize(
    ("said", "believed"),
    [(9_999_999_999, 0), (3_601, 0), (1, 0), (0, 0), (-1, -1), (-40 * DAY_S, -40 * DAY_S)],
)
async def test_times_of_peers_are_believed_up_to_now(bench, said: int, believed: int):
    account = await make_account(bench)
    worker, now = await bench.worker(), int(bench.clock.now())
    time = said if said > 10**9 else now + said
    await report(worker, account, comment(1) | {"detected_at": time, "created_at": time})
    [stored] = await list_all(bench)
    assert (stored["detected_at"] - now, stored["created_at"] - now) == (believed, believed)


async def test_no_message_is_older_than_the_platforms(bench):
    account = await make_account(bench)
    await report(await bench.worker(), account, comment(1) | {"detected_at": 0, "created_at": 5})
    [stored] = await list_all(bench)
    assert (stored["detected_at"], stored["created_at"]) == (946_684_800, 946_684_800)


async def scrape(bench: Bench) -> str:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{bench.master.port}/metrics") as answer,
    ):
        return await answer.text()
