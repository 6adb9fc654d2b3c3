"""Odd facts as raw JSON: each is kept with notes or refused by name, and nothing else happens.

A value of `KEPT` is what is stored. Python cannot write all of these, so they are sent as texts.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import structlog

from tests.hostile.peers import join
from tests.hostile.zoo import Shape
from tests.walks.test_facts import list_all
from tests.walks.test_workers import make_account, read_account

SECRET = "planted"
NOW = 1_700_000_000
EARLIEST = 946_684_800
"""The year 2000: no message is older."""

DEEP = "[" * 40 + f'"{SECRET}"' + "]" * 40
NINES = "9" * 50
LATER = object()
"""The stored time is Master's own."""

ITEM = '"platform_comment_id":"c"'

COMMENTS: dict[str, tuple[str, str, Any]] = {
    "a number as text": ('{"platform_comment_id":7,"content":"c"}', "platform_comment_id", "7"),
    "blanks around an id": ('{"platform_comment_id":" c "}', "platform_comment_id", "c"),
    "minus zero": ('{"platform_comment_id":-0,"content":"c"}', "platform_comment_id", "0"),
    "the bare name": ('{"id":"c"}', "platform_comment_id", "c"),
    "names of JavaScript": ('{"platformCommentId":"c","authorName":"Li"}', "author_name", "Li"),
    "names in capitals": ('{"PLATFORM_COMMENT_ID":"c","CONTENT":"x"}', "content", "x"),
    "two spellings": (f'{{{ITEM},"author_name":"Li","authorName":"Wu"}}', "author_name", "Li"),
    "duplicate keys": (f'{{{ITEM},"content":"a","content":"b"}}', "content", "b"),
    "null everywhere": (
        f'{{{ITEM},"content":null,"author_name":null,"author_id":null,"post_id":null,'
        '"post_title":null,"detected_at":null,"created_at":null}',
        "content", None,
    ),
    "unknown fields": (f'{{{ITEM},"x":{DEEP},"content":"c"}}', "content", "c"),
    "a lone surrogate": (f'{{{ITEM},"content":"a\\ud83d"}}', "content", "a\ufffd"),
    "a zero character": (f'{{{ITEM},"content":"a\\u0000b"}}', "content", "a\x00b"),
    "deep content": (f'{{{ITEM},"content":{DEEP}}}', "content", DEEP),
    "a number beyond any": (f'{{{ITEM},"content":"c","detected_at":1e400}}', "detected_at", LATER),
    "NaN": (f'{{{ITEM},"content":"c","detected_at":NaN}}', "detected_at", LATER),
    "an infinite text": (f'{{{ITEM},"detected_at":"Infinity"}}', "detected_at", LATER),
    "minus zero as time": (f'{{{ITEM},"detected_at":-0.0}}', "detected_at", EARLIEST),
    "a date of JavaScript": (
        f'{{{ITEM},"detected_at":"Wed Nov 15 2023 06:13:20 GMT+0800 (China Standard Time)"}}',
        "detected_at", NOW,
    ),
    "a date of e-mail": (
        f'{{{ITEM},"detected_at":"Tue, 14 Nov 2023 22:13:20 GMT"}}', "detected_at", NOW
    ),
    "a week date": (f'{{{ITEM},"detected_at":"2023-W46-2T22:13:20Z"}}', "detected_at", NOW),
    "slashes": (f'{{{ITEM},"detected_at":"2023/11/14 22:13:20"}}', "detected_at", NOW),
    "an offset without colon": (
        f'{{{ITEM},"detected_at":"2023-11-14T22:13:20+0000"}}', "detected_at", NOW
    ),
    "the year 10000": (f'{{{ITEM},"detected_at":"10000-01-01"}}', "detected_at", LATER),
    "a month that there is not": (
        f'{{{ITEM},"detected_at":"Tue Foo 14 2023"}}', "detected_at", LATER
    ),
    "5000 digits": (f'{{{ITEM},"detected_at":"{"9" * 5000}"}}', "detected_at", LATER),
    "an object without time": (f'{{{ITEM},"detected_at":{{"a":1}}}}', "detected_at", LATER),
    "a time in a time": (
        f'{{{ITEM},"detected_at":{{"seconds":{{"seconds":1}}}}}}', "detected_at", LATER
    ),
    "a boolean as name": (f'{{{ITEM},"author_name":true}}', "author_name", "true"),
    "a boolean as id": (f'{{{ITEM},"author_id":true}}', "author_id", None),
    "a list as name": (f'{{{ITEM},"author_name":["a"]}}', "author_name", '["a"]'),
    "an author in another case": (f'{{{ITEM},"author":{{"id":9}}}}', "author_id", "9"),
    "an author without a name": (f'{{{ITEM},"author":{{}}}}', "author_name", None),
    "an author who is a number": (f'{{{ITEM},"author":5}}', "author_name", None),
    "a whole item as JSON text": (
        orjson.dumps(f'{{{ITEM},"author":{{"name":"Li"}}}}').decode(), "author_name", "Li"
    ),
    "an item in a list": (f'[{{{ITEM},"content":"c"}}]', "content", "c"),
    "a title of a million": (
        f'{{{ITEM},"post_title":"{"x" * 10**6}"}}', "post_title", "x" * 10_000
    ),
}  # fmt: skip
"""One comment -> a stored field and its value."""

REFUSED_ITEMS = {
    "no id": '{"content":"c"}',
    "null as id": '{"platform_comment_id":null}',
    "a fraction": '{"platform_comment_id":1.5}',
    "a number beyond any": '{"platform_comment_id":1e400}',
    "a rounded number": '{"platform_comment_id":9007199254740993}',
    "a boolean": '{"platform_comment_id":true}',
    "an object": '{"platform_comment_id":{"$oid":"1"}}',
    "a lone surrogate": '{"platform_comment_id":"a\\ud83d"}',
    "a zero character": '{"platform_comment_id":"a\\u0000"}',
    "too long": f'{{"platform_comment_id":"{"x" * 129}"}}',
    "a text": f'"{SECRET}"',
    "a number": "5",
    "null": "null",
    "an empty list": "[]",
    "a list of two": f"[{{{ITEM}}},{{{ITEM}}}]",
    "broken JSON text": '"{\\"id\\":"',
}


def write_report(items: str, *, account: str, **members: str) -> str:
    words = {"type": '"comment"', "account_id": f'"{account}"', "messages": items, **members}
    return "{" + ",".join(f'"{name}":{value}' for name, value in words.items()) + "}"


@pytest.mark.parametrize(("item", "field", "value"), COMMENTS.values(), ids=COMMENTS)
async def test_an_odd_message_is_kept(bench, item, field, value):
    account = await make_account(bench)
    worker = await bench.worker()
    async with join(bench.master.port, "/worker") as peer:
        await worker.close()
        await peer.ask(
            "worker:register", Shape(('{"workerId":"worker-1","capabilities":["douyin"]}',))
        )
        with structlog.testing.capture_logs() as logs:
            text = write_report(f"[{item}]", account=account["id"])
            answer = await peer.ask("worker:message:detected", Shape((text,)))
    assert answer.get("inserted") == 1, answer
    [stored] = await list_all(bench)
    assert stored[field] == (int(bench.clock.now()) if value is LATER else value)
    assert_quiet(logs, answer)


def assert_quiet(logs: list[Any], answer: Any) -> None:
    """Check that no line is an error and that no value is quoted."""
    assert [one for one in logs if one["log_level"] in ("error", "critical")] == []
    assert SECRET not in repr(logs)
    assert SECRET not in repr(answer)


@pytest.mark.parametrize("item", REFUSED_ITEMS.values(), ids=REFUSED_ITEMS)
async def test_a_message_whose_id_is_not_sure_is_refused_alone(bench, item):
    account, _ = await make_account(bench), await bench.worker()
    await bench.peers[-1].close()
    async with join(bench.master.port, "/worker") as peer:
        await register(peer)
        with structlog.testing.capture_logs() as logs:
            text = write_report(f'[{{"id":"good"}},{item}]', account=account["id"])
            answer = await peer.ask("worker:message:detected", Shape((text,)))
    assert (answer["inserted"], answer["refused"]) == (1, 1)
    assert answer["details"][0]["code"] in ("invalid", "unreadable")
    assert_quiet(logs, answer)


async def register(peer: Any) -> None:
    words = '{"workerId":"worker-1","capabilities":["douyin"]}'
    assert (await peer.ask("worker:register", Shape((words,))))["success"]


TWO = '[{"id":"1"},{"id":"2"}]'

REPORTS = {
    "JSON text": lambda one: orjson.dumps(one).decode(),
    "a list around it": lambda one: f"[{one}]",
    "items by id": lambda one: one.replace(TWO, '{"1":{},"2":{"content":"c"}}'),
    "items as JSON text": lambda one: one.replace(TWO, orjson.dumps(TWO).decode()),
    "another spelling": lambda one: one.replace("account_id", "accountId").replace("type", "TYPE"),
    "a type in capitals": lambda one: one.replace('"comment"', '" COMMENTS "'),
    "unknown fields": lambda one: '{"a":{"b":[1]},' + one[1:],
    "duplicate keys": lambda one: '{"messages":[],' + one[1:],
}  # fmt: skip
"""How a report of the comments 1 and 2 is written otherwise."""


@pytest.mark.parametrize("write", REPORTS.values(), ids=REPORTS)
async def test_a_report_in_another_form_is_kept_whole(bench, write):
    account = await make_account(bench)
    async with join(bench.master.port, "/worker") as peer:
        await register(peer)
        text = write(write_report(TWO, account=account["id"]))
        answer = await peer.ask("worker:message:detected", Shape((text,)))
    assert answer.get("inserted") == 2, answer
    assert {one["platform_comment_id"] for one in await list_all(bench)} == {"1", "2"}


async def test_a_single_message_instead_of_a_list_is_kept(bench):
    account = await make_account(bench)
    async with join(bench.master.port, "/worker") as peer:
        await register(peer)
        text = write_report('{"id":"1","author":{"name":"Li"}}', account=account["id"])
        answer = await peer.ask("worker:message:detected", Shape((text,)))
    assert (answer["inserted"], answer["notes"]) == (
        1, [{"field": "messages", "message": "read from an object"}]
    )  # fmt: skip


REFUSED_REPORTS = {
    "no type": ({"type": "null"}, "invalid"),
    "an unknown type": ({"type": '"posts"'}, "invalid"),
    "a number as type": ({"type": "1"}, "invalid"),
    "no items": ({"messages": "[]"}, "invalid"),
    "an empty object": ({"messages": "{}"}, "invalid"),
    "a number as items": ({"messages": "5"}, "invalid"),
    "a text as items": ({"messages": f'"{SECRET}"'}, "invalid"),
    "an unknown account": ({"account_id": '"another"'}, "unknown_account"),
    "a boolean as account": ({"account_id": "true"}, "invalid"),
    "a rounded account": ({"account_id": "1e30"}, "invalid"),
}


@pytest.mark.parametrize(("members", "code"), REFUSED_REPORTS.values(), ids=REFUSED_REPORTS)
async def test_a_report_about_nothing_known_is_refused_by_name(bench, members, code):
    account = await make_account(bench)
    async with join(bench.master.port, "/worker") as peer:
        await register(peer)
        with structlog.testing.capture_logs() as logs:
            text = write_report('[{"id":"1"}]', account=account["id"], **members)
            answer = await peer.ask("worker:message:detected", Shape((text,)))
    assert answer["error"]["code"] == code
    assert answer["error"]["retryable"] is False
    assert_quiet(logs, answer)
    assert len([one for one in logs if one["event"] == "fact_refused"]) == 1


HEARTBEATS = {
    "JSON text": '"{\\"workerId\\":\\"worker-1\\"}"',
    "a list around it": '[{"workerId":"worker-1"}]',
    "blanks": '{"workerId":" worker-1 "}',
    "another spelling": '{"WorkerID":"worker-1"}',
    "the other name": '{"worker_id":"worker-1"}',
    "stats as list": '{"workerId":"worker-1","stats":[1]}',
    "stats as text": '{"workerId":"worker-1","stats":"busy"}',
    "NaN in stats": '{"workerId":"worker-1","stats":{"cpuUsage":NaN,"memoryUsage":-Infinity}}',
    "huge stats": f'{{"workerId":"worker-1","stats":{{"cpuUsage":1e400,"memoryUsage":{NINES}}}}}',
    "null": '{"workerId":"worker-1","stats":null,"timestamp":null}',
    "deep stats": f'{{"workerId":"worker-1","stats":{{"cpuUsage":{DEEP}}}}}',
    "an odd time": '{"workerId":"worker-1","timestamp":"Tue Nov 18 2025"}',
    "a surrogate": '{"workerId":"worker-1","note":"\\ud83d"}',
}  # fmt: skip


@pytest.mark.parametrize("text", HEARTBEATS.values(), ids=HEARTBEATS)
async def test_an_odd_heartbeat_is_a_sign_of_life(bench, text):
    await make_account(bench)
    async with join(bench.master.port, "/worker") as peer:
        await register(peer)
        for _ in range(3):
            await bench.advance(25)  # each time less than the timeout of 30 s
            answer = await peer.ask("worker:heartbeat", Shape((text,)))
            assert answer["success"], answer
        seat = bench.master.memory.sessions.seats["worker-1"]
        assert seat.heard == bench.clock.monotonic()


PLAIN = '{"workerId":"w","capabilities":["douyin"]'
FIELDS = ("host", "port", "version", "metadata", "maxAccounts")


def fill(value: str) -> str:
    """Return a registration in which every other field has this value."""
    return PLAIN + "".join(f',"{name}":{value}' for name in FIELDS) + "}"


def offer(platforms: str) -> str:
    """Return a registration with these capabilities."""
    return f'{{"workerId":"w","capabilities":{platforms}}}'


REGISTRATIONS = {
    "JSON text": (orjson.dumps(PLAIN + "}").decode(), ["douyin"]),
    "a number as id": (PLAIN.replace('"w"', "7") + "}", ["douyin"]),
    "platforms as a text": (offer('"Douyin, xiaohongshu"'), ["douyin", "xiaohongshu"]),
    "platforms by name": (offer('{"douyin":true,"weibo":false}'), ["douyin"]),
    "odd platforms among others": (offer('["douyin",5,null,"抖音",{"a":1}]'), ["douyin"]),
    "platforms as objects": (offer('[{"platform":"a"},{"name":"b"}]'), ["a", "b"]),
    "platforms in JSON text": (offer('"[\\"douyin\\"]"'), ["douyin"]),
    "platforms in capitals": (offer('[" DouYin "]'), ["douyin"]),
    "100 platforms": (
        offer("[" + ",".join(f'"p{number}"' for number in range(100)) + "]"),
        [f"p{number}" for number in range(64)],
    ),
    **{
        f"all {value}": (fill(value), ["douyin"])
        for value in ("null", "[]", "{}", "true", "1e400", "-0.0", "-1", '""', '"x"', DEEP)
    },
    "deep metadata": (f'{PLAIN},"metadata":{{"a":{DEEP}}}}}', ["douyin"]),
    "metadata in JSON text": (f'{PLAIN},"metadata":"{{\\"os\\":\\"linux\\"}}"}}', ["douyin"]),
}
"""Registrations -> the platforms that are taken."""


@pytest.mark.parametrize(("text", "platforms"), REGISTRATIONS.values(), ids=REGISTRATIONS)
async def test_an_odd_registration_is_taken(bench, text, platforms):
    async with join(bench.master.port, "/worker") as peer:
        with structlog.testing.capture_logs() as logs:
            answer = await peer.ask("worker:register", Shape((text,)))
        assert answer["success"], answer
        [worker] = bench.master.memory.farm.workers.all()
        assert list(worker.capabilities) == platforms
        assert_quiet(logs, answer)


REFUSED_REGISTRATIONS = {
    "no id": '{"capabilities":["douyin"]}',
    "a fraction as id": '{"workerId":1.5,"capabilities":["douyin"]}',
    "an object as id": '{"workerId":{"id":"w"},"capabilities":["douyin"]}',
    "a lone surrogate as id": '{"workerId":"w\\udc00","capabilities":["douyin"]}',
    "no platforms": '{"workerId":"w"}',
    "no platform among them": '{"workerId":"w","capabilities":[5,"抖音"]}',
    "a number as platforms": '{"workerId":"w","capabilities":5}',
    "a text": f'"{SECRET}"',
    "two objects": '[{"workerId":"w"},{"workerId":"v"}]',
}


@pytest.mark.parametrize("text", REFUSED_REGISTRATIONS.values(), ids=REFUSED_REGISTRATIONS)
async def test_a_registration_without_an_id_is_refused_by_name(bench, text):
    async with join(bench.master.port, "/worker") as peer:
        with structlog.testing.capture_logs() as logs:
            answer = await peer.ask("worker:register", Shape((text,)))
        assert answer["error"]["code"] in ("invalid", "unreadable")
        assert not list(bench.master.memory.farm.workers.all())
        assert_quiet(logs, answer)


COOKIE = f'{{"name":"sid","value":"{SECRET}"}}'

STATE = f'{{"cookies":[{COOKIE}]}}'

SUCCESSES = {
    "JSON text of cookies": f'"cookies":{orjson.dumps("[" + COOKIE + "]").decode()}',
    "JSON text of a state": f'"cookies":{orjson.dumps(STATE).decode()}',
    "one cookie": f'"cookies":{COOKIE}',
    "cookies by name": f'"cookies":{{"sid":"{SECRET}","n":5}}',
    "objects by name": f'"cookies":{{"sid":{{"value":"{SECRET}","domain":".a.example"}}}}',
    "headers in a list": f'"cookies":["sid={SECRET}; Path=/",5,null]',
    "cookies among others": f'"cookies":[{COOKIE},5,null,"x",[1]]',
    "a deep cookie": f'"cookies":[{COOKIE},{{"a":{DEEP}}}]',
    "a profile as JSON text": f'"cookies":[{COOKIE}],"user_info":"{{\\"uid\\":\\"7\\"}}"',
    "a deep profile": f'"cookies":[{COOKIE}],"user_info":{DEEP}',
    "a profile of JavaScript": f'"cookies":[{COOKIE}],"userInfo":{{"uid":"7"}}',
    "a fingerprint as JSON text": f'"cookies":[{COOKIE}],"fingerprint":"{{\\"a\\":1}}"',
    "odd ends": f'"cookies":[{COOKIE}],"cookies_valid_until":"never","expires_at":-1',
    "an epoch beyond any": f'"cookies":[{COOKIE}],"epoch":1e400',
    "null everywhere": f'"cookies":[{COOKIE}],"account_id":null,"user_info":null,"epoch":null',
    "odd origins": f'"cookies":[{COOKIE}],"origins":{{"a":1}}',
    "unknown fields": f'"cookies":[{COOKIE}],"accountId":"dy-1","raw":{DEEP},"n":{"9" * 40}',
    "an odd code": f'"cookies":[{COOKIE}],"qr_code_data":[],"qr_code_url":{{}}',
}  # fmt: skip


@pytest.mark.parametrize("members", SUCCESSES.values(), ids=SUCCESSES)
async def test_an_odd_success_is_kept_and_its_cookies_are_quoted_nowhere(bench, members):
    account = await make_account(bench)
    async with join(bench.master.port, "/worker") as peer:
        await register(peer)
        admin = await bench.connect("admin")
        started = await admin.ask("master:login:start", {"account_id": account["id"]})
        text = f'{{"session_id":"{started["session_id"]}","status":"success",{members}}}'
        with structlog.testing.capture_logs() as logs:
            answer = await peer.ask("worker:login:status", Shape((text,)))
        assert answer.get("status") == "success", answer
        assert_quiet(logs, answer)
        assert SECRET not in repr(admin.heard)
    shown = await read_account(bench, account["id"])
    assert (shown["login_status"], shown["has_credentials"]) == ("logged_in", True)
