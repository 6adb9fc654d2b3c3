"""Administrators follow the output of worker processes, and hear how the processes do."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from master.protocol.processes import ProcessLog
from master.sockets.rooms import _make_hint
from tests.conftest import Bench
from tests.waiting import until

ECHO = "import sys\nfor line in open(sys.argv[1]): print(line.rstrip(), flush=True)"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"LOG_DIR": str(tmp_path / "logs")}


async def start(bench: Bench, tmp_path: Path, worker_id: str = "worker-1") -> Path:
    """Start a process that copies a pipe to its output; return the pipe."""
    from master.operations.processes import add_config, find_config
    from master.protocol.http import ById, NewWorkerConfig

    pipe = tmp_path / f"{worker_id}.pipe"
    os.mkfifo(pipe)
    config = NewWorkerConfig(
        worker_id=worker_id, command=sys.executable, args=["-c", ECHO, str(pipe)]
    )
    await bench.run(add_config, config)
    await bench.master.supervisor.start(await bench.run(find_config, ById(id=worker_id)))
    return pipe


async def test_a_follower_hears_what_is_written_and_others_do_not(bench: Bench, tmp_path: Path):
    pipe = await start(bench, tmp_path)
    anna, ben = await bench.connect("admin"), await bench.connect("admin")
    answer = await anna.ask("admin:follow", {"worker_id": "worker-1"})
    assert answer["worker_id"] == "worker-1"
    with await asyncio.to_thread(pipe.open, "w") as end:
        print("<img src=x>\x1b[31m one", file=end, flush=True)
        event = await anna.hear("process:log")
        assert event["lines"] == ["<img src=x>\x1b[31m one"]
        assert (event["worker_id"], event["skipped"]) == ("worker-1", 0)
        print("two\nthree", file=end, flush=True)
        later = await anna.hear("process:log", 2)
        assert later["before"] == event["after"]
        await anna.ask("admin:follow", {"worker_id": None})
        await until(lambda: not bench.master.tails._tasks)
    assert ben.all("process:log") == []


async def test_more_than_a_tick_may_tell_is_skipped_and_counted(bench: Bench, tmp_path: Path):
    pipe = await start(bench, tmp_path)
    anna = await bench.connect("admin")
    await anna.ask("admin:follow", {"worker_id": "worker-1"})
    with await asyncio.to_thread(pipe.open, "w") as end:
        text = "\n".join(f"line {number}" for number in range(20_000))
        await asyncio.to_thread(print, text, file=end, flush=True)

        def count() -> int:
            events = anna.all("process:log")
            return sum(len(one["lines"]) + one["skipped"] for one in events)

        await until(lambda: count() == 20_000)
    assert all(len(one["lines"]) <= 500 for one in anna.all("process:log"))
    assert anna.all("process:log")[-1]["lines"][-1] == "line 19999"


async def test_an_unknown_worker_cannot_be_followed(bench: Bench):
    anna = await bench.connect("admin")
    answer = await anna.ask("admin:follow", {"worker_id": "nobody"})
    assert answer["error"]["code"] == "unknown_worker"
    assert bench.master.memory.sessions.followers == {}


async def test_no_worker_is_followed_for_a_socket_that_has_gone(bench: Bench, tmp_path: Path):
    await start(bench, tmp_path)
    anna = await bench.connect("admin")
    await anna.ask("admin:follow", {"worker_id": "worker-1"})
    assert list(bench.master.memory.sessions.followers.values()) == ["worker-1"]
    await anna.close()
    await until(lambda: not bench.master.memory.sessions.followers)
    await until(lambda: not bench.master.tails._tasks)


def test_a_reader_that_is_behind_gets_a_hint_instead_of_lines():
    hint = _make_hint(ProcessLog("worker-1", ["much"], "1.0", "1.5", 0), "/admin")
    assert hint is not None
    assert hint.text == '42/admin,["process:log:behind",{"worker_id":"worker-1"}]'
    assert hint.state_key == "/admin log worker-1"


async def test_administrators_hear_how_a_process_does(bench: Bench, tmp_path: Path):
    anna = await bench.connect("admin")
    pipe = await start(bench, tmp_path)
    event = await anna.hear("process:status")
    assert (event["state"], event["worker_id"]) == ("running", "worker-1")
    assert event["config_updated_at"] == int(bench.clock.now())
    with await asyncio.to_thread(pipe.open, "w") as end:
        print("bye", file=end)
    ended = await anna.hear("process:status", 2)
    assert (ended["state"], ended["exit_code"], ended["pid"]) == ("stopped", 0, None)


async def test_administrators_hear_of_the_brake_of_trouble_and_of_the_end(bench: Bench):
    anna = await bench.connect("admin")
    conditions = bench.master.conditions
    await conditions.look()
    for name in ("worker-1", "worker-2", "worker-3"):
        await bench.worker(name)
    from master.operations.accounts import add_account
    from master.protocol.http import NewAccount

    for number in range(6):
        await bench.run(add_account, NewAccount(platform="douyin", account_name=str(number)))
    await bench.advance(31)
    await conditions.look()
    event = await anna.hear("master:condition")
    assert event["brake"]["silent"] == ["worker-1", "worker-2", "worker-3"]
    assert event["brake"]["until"] > bench.clock.now()
    checks = {one["name"]: one for one in conditions.list_checks()}
    assert not checks["brake"]["ok"]
    assert checks["database"]["ok"]
    bench.master.database.trouble = "disk full"
    await conditions.look()
    assert (await anna.hear("master:condition", 2))["storage"]["reason"] == "disk full"
    bench.master.database.trouble = None
    bench.clock.advance(60)
    await conditions.look()
    event = await anna.hear("master:condition", 3)
    assert (event["brake"], event["storage"], event["stopping"]) == (None, None, False)
    bench.master.vitals.stopping = True
    await conditions.look()
    assert (await anna.hear("master:condition", 4))["stopping"] is True
