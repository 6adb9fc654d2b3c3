"""Facts are kept whatever the form of what does not identify them; each loss is acknowledged."""

from __future__ import annotations

import pytest

from master.operations.inbox import list_direct_messages
from master.protocol.lists import DirectMessagesQuery
from tests.walks.test_facts import list_all, report
from tests.walks.test_logins import read_account, start
from tests.walks.test_workers import make_account

NOW = 1_700_000_000
LATER = 4_000_000_000

KEPT = {
    "an object as content": (
        {"content": {"type": "image"}},
        "content",
        '{"type":"image"}',
    ),
    "a list as content": ({"content": ["a", 1]}, "content", '["a",1]'),
    "a truth value as content": ({"content": True}, "content", "true"),
    "a number as content": ({"content": 5}, "content", "5"),
    "an object as author": ({"author": {"uid": 7, "nickname": "Li"}}, "author_name", "Li"),
    "a text as author": ({"author": "Li"}, "author_name", "Li"),
    "an object as author_name": ({"author_name": {"name": "Li"}}, "author_name", "Li"),
    "an id that was rounded": ({"author_id": 7291234567890123456}, "author_id", None),
    "a fraction as id": ({"post_id": 1.5}, "post_id", None),
    "a list as id": ({"post_id": [1]}, "post_id", None),
    "an object as title": ({"post_title": {"a": 1}}, "post_title", '{"a":1}'),
    "milliseconds": ({"detected_at": NOW * 1000}, "detected_at", NOW),
    "microseconds": ({"detected_at": NOW * 10**6}, "detected_at", NOW),
    "nanoseconds": ({"detected_at": NOW * 10**9}, "detected_at", NOW),
    "a number as text": ({"detected_at": str(NOW)}, "detected_at", NOW),
    "ISO 8601": ({"detected_at": "2023-11-14T22:13:20Z"}, "detected_at", NOW),
    "ISO 8601 of a time zone": ({"detected_at": "2023-11-15T06:13:20+08:00"}, "detected_at", NOW),
    "halves of 64 bits": ({"detected_at": {"low": NOW, "high": 0}}, "detected_at", NOW),
    "a database's timestamp": ({"detected_at": {"seconds": NOW, "nanos": 1}}, "detected_at", NOW),
    "no time at all": ({"detected_at": ""}, "detected_at", LATER),
    "a word as time": ({"detected_at": "yesterday"}, "detected_at", LATER),
    "a time before 1970": ({"detected_at": -1}, "detected_at", LATER),
    "a truth value as time": ({"detected_at": True}, "detected_at", LATER),
    "a list as time": ({"detected_at": []}, "detected_at", LATER),
    "far beyond any unit": ({"detected_at": 1e25}, "detected_at", LATER),
    "the year 2255": ({"detected_at": 9_000_000_000}, "detected_at", LATER),
}
"""Members of a comment -> the stored member, and its value; LATER is Master's now."""


@pytest.mark.parametrize(("members", "field", "value"), KEPT.values(), ids=KEPT)
async def test_a_comment_is_kept_whatever_else_is_odd(bench, members, field, value):
    account, worker = await make_account(bench), await bench.worker()
    odd = {"platform_comment_id": "odd", "content": "c", **members}
    answer = await report(worker, account, odd)
    assert (answer["success"], answer["inserted"], answer.get("refused", 0)) == (True, 1, 0)
    [stored] = await list_all(bench)
    if value == LATER:
        value = int(bench.clock.now())
    assert stored[field] == value


DIRECTIONS = {
    "INBOUND": "inbound",
    "incoming": "inbound",
    "Received": "inbound",
    "outgoing": "outbound",
    "Sent": "outbound",
    "sideways": "inbound",
    "": "inbound",
}


@pytest.mark.parametrize(("word", "direction"), DIRECTIONS.items())
async def test_a_direct_message_is_kept_whatever_its_direction_is_called(bench, word, direction):
    account, worker = await make_account(bench), await bench.worker()
    item = {"platform_message_id": "m", "content": "c", "direction": word}
    answer = await report(worker, account, item, kind="Direct-Messages")
    assert (answer["success"], answer["inserted"]) == (True, 1)
    assert answer["notes"][0]["field"] == "direction"
    listing = await bench.master.turns.look(list_direct_messages, DirectMessagesQuery())
    [stored] = listing.rows
    assert stored["direction"] == direction


IDS = [7291234567890123456, 2**53, 1.5, 1e21, True, [], {}, "", None, "a\nb"]


@pytest.mark.parametrize("ident", IDS, ids=repr)
async def test_an_id_that_may_be_another_one_s_is_refused_by_name_and_no_other_is_lost(
    bench, ident
):
    account, worker = await make_account(bench), await bench.worker()
    items = [{"platform_comment_id": one, "content": "c"} for one in ("good", ident)]
    answer = await report(worker, account, *items)
    assert (answer["inserted"], answer["duplicates"], answer["refused"]) == (1, 0, 1)
    [detail] = answer["details"]
    assert (detail["index"], detail["code"]) == (1, "invalid")
    assert detail["details"][0]["field"] == "platform_comment_id"


SUCCESSES = {
    "a browser's state": {"cookies": {"cookies": [{"name": "sid"}], "origins": []}},
    "cookies by name": {"cookies": {"sid": "1"}},
    "a header of cookies": {"cookies": "sid=1; theme=dark"},
    "one odd cookie": {"cookies": [{"name": "sid"}, 5, "x"]},
    "an end before 1970": {"cookies_valid_until": -1},
    "an end in ISO 8601": {"cookies_valid_until": "2030-01-01T00:00:00Z"},
    "a profile as text": {"user_info": "Li"},
    "a profile in a list": {"user_info": [{"nickname": "Li"}]},
    "a number as profile": {"user_info": 5},
    "an empty end of the code": {"expires_at": ""},
    "a fingerprint as text": {"fingerprint": "abc"},
    "an epoch that is none": {"epoch": "x"},
    "an object as error": {"error_message": {"code": 1}},
    "a word in capitals": {"status": "SUCCESS "},
    "another word": {"status": "logged_in"},
}


@pytest.mark.parametrize("members", SUCCESSES.values(), ids=SUCCESSES)
async def test_a_success_is_kept_with_its_cookies_whatever_else_is_odd(bench, members):
    _, worker, account, session = await start(bench)
    plain = {"session_id": session, "status": "success", "cookies": [{"name": "sid"}]}
    answer = await worker.ask("worker:login:status", plain | members)
    assert (answer["success"], answer.get("status")) == (True, "success"), answer
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["has_credentials"]) == ("logged_in", True)


async def test_the_storage_of_a_browser_s_state_comes_back_with_the_cookies(bench):
    admin, worker, _, session = await start(bench)
    origins = [{"origin": "https://a.example", "localStorage": [{"name": "t", "value": "planted"}]}]
    state = {"cookies": [{"name": "sid", "value": "1"}], "origins": origins}
    report = {"session_id": session, "status": "success", "cookies": state}
    assert (await worker.ask("worker:login:status", report))["status"] == "success"
    assigned = await worker.hear("master:task:assign", 2)
    assert assigned["accounts"][0]["credentials"] == state
    assert "planted" not in repr(admin.heard)


@pytest.mark.parametrize("status", ["sucess", "done?", "42", "成功"])
async def test_an_unknown_status_is_refused_with_the_known_ones_and_the_login_goes_on(
    bench, status
):
    _, worker, _, session = await start(bench)
    report = {"session_id": session, "status": status, "cookies": [{"name": "sid"}]}
    answer = await worker.ask("worker:login:status", report)
    assert answer["error"]["code"] == "unknown_status"
    assert "success" in answer["error"]["details"][0]["message"]
    good = await worker.ask("worker:login:status", report | {"status": "success"})
    assert good["status"] == "success"


REGISTRATIONS = {
    "a number beyond the most": ({"maxAccounts": 20_000}, 10_000),
    "a negative number": ({"maxAccounts": -3}, 0),
    "a text": ({"maxAccounts": "7"}, 7),
    "a fraction": ({"maxAccounts": 7.9}, 7),
    "a word": ({"maxAccounts": "many"}, 10),
    "a list": ({"maxAccounts": []}, 10),
    "an odd port": ({"port": -1, "maxAccounts": 4}, 4),
    "an odd host": ({"host": {"a": 1}, "maxAccounts": 4}, 4),
    "odd metadata": ({"metadata": "text", "maxAccounts": 4}, 4),
}


@pytest.mark.parametrize(("members", "most"), REGISTRATIONS.values(), ids=REGISTRATIONS)
async def test_a_worker_is_registered_whatever_else_is_odd(bench, members, most):
    worker = await bench.connect("worker")
    answer = await worker.ask(
        "worker:register", {"workerId": "w", "capabilities": ["douyin"], **members}
    )
    assert answer["success"], answer
    assert bench.master.memory.farm.workers.get("w").max_accounts == most
