"""`GET /statistics/minutes`: the messages that were stored, once each, by the minute."""

from __future__ import annotations

from typing import Any


def comment(number: int, **more: Any) -> dict[str, Any]:
    return {"platform_comment_id": f"c{number}", "content": "text", "author_name": "A", **more}


async def read(site: Any) -> dict[str, Any]:
    return dict((await site.call("GET", "/statistics/minutes"))["minutes"])


async def test_each_stored_message_counts_once_in_its_minute(site):
    worker = await site.register_worker()
    account = (await site.add_account())["id"]
    began = int(site.clock.now())
    await site.detect(worker, account, "comment", comment(1), comment(2), comment(2))
    await site.detect(worker, account, "comment", comment(1), {"content": "no id"})
    sent = {"platform_message_id": "d1", "content": "our answer", "sender_name": "B"}
    await site.detect(worker, account, "direct_message", {**sent, "direction": "outbound"})
    found = await read(site)
    assert found["stored"] == [None] * 59 + [3]
    assert (found["since"], found["last_seq"]) == (began, site.memory.farm.last_seq)
    assert 0 < found["ends_at"] - began <= 60
    assert found["ends_at"] % 60 == 0
    site.clock.advance(120)
    edited = comment(1, content="another text")
    await site.detect(worker, account, "comment", edited, comment(3))
    await site.call("DELETE", f"/accounts/{account}")
    assert (await read(site))["stored"][-3:] == [3, 0, 1], "they were stored, then removed"


async def test_an_hour_later_the_minute_has_left(site):
    worker = await site.register_worker()
    account = (await site.add_account())["id"]
    await site.detect(worker, account, "comment", comment(1))
    site.clock.advance(59 * 60)
    assert (await read(site))["stored"] == [1, *[0] * 59]
    site.clock.advance(60)
    assert (await read(site))["stored"] == [0] * 60
