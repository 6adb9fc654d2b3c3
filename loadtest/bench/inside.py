"""Measurements inside a Master's process, without sockets: run by path, with the measured checkout's packages.

    python -P loadtest/bench/inside.py '{"do": "register", "db": "master.db", "workers": 600}'

It imports nothing of the bench, since `loadtest` may be another checkout's here, and prints a JSON
object as its last line.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sqlite3
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from master.app import Master
from master.clock import ManualClock
from master.logs import configure_logs
from master.model import Scope
from master.reception import Lane
from master.settings import load_settings
from master.turn import Caller
from master.vault import open_vault

PLATFORM = "douyin"
TICK_S = 0.002
PLACE_LIMIT_S = 900.0
"""The longest that accounts may take to be placed; then the measurement has failed."""

SEAL_AT_ONCE = 5_000
COOKIES = {"cookies": [{"name": "sessionid", "value": "x" * 64, "domain": ".douyin.com"}]}
FINGERPRINT = {"userAgent": "Mozilla/5.0", "viewport": {"width": 1280, "height": 800}}


class Failed(Exception):
    """The measurement came to a wrong result."""


def make_master(path: Path, clock: ManualClock | None = None) -> Master:
    """Return a Master on this database with the bench's settings; its log lines are warnings."""
    environ = {
        "DB_PATH": str(path),
        "LOG_DIR": str(path.parent / "logs"),
        "LOG_LEVEL": "warning",
        "PORT": "0",
        "REGISTRATION_RATE": "0",
        "SOCKET_EVENTS_PER_S": "0",
        "WRITE_QUEUE_ITEMS": "1000000",
    }
    configure_logs("warning", None, development=False)
    return Master(load_settings(environ, None), clock=clock)


def know_socket(master: Any, sid: str) -> None:
    """Let Master count a socket as live; older Masters keep them in `presence`."""
    room = master.memory.sessions if hasattr(master, "memory") else master.presence
    room.worker_sockets.add(sid)


def ask_file(path: Path, query: str, *values: Any) -> Any:
    """Return the first value that a query finds in the file, on a connection of its own."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(query, values).fetchone()
    return found[0] if found else None


class Ticker:
    """Feels how long the event loop is blocked: the longest lag of a short sleep, in milliseconds."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(TICK_S)
            lag_s = time.perf_counter() - before - TICK_S
            self.longest_ms = max(self.longest_ms, lag_s * 1000)

    async def stop(self) -> float:
        """Return the longest block."""
        await asyncio.sleep(2 * TICK_S)  # a block that has just ended is felt by the tick after it
        self._task.cancel()
        await asyncio.wait([self._task])
        return self.longest_ms


async def register(master: Master, names: Sequence[str], max_accounts: int) -> None:
    """Let workers register, all at once, and wait until all are acknowledged. Errors: Failed."""
    reception = master.sockets.reception
    assert reception is not None
    done = asyncio.Event()
    answers: list[dict[str, Any]] = []

    async def acknowledge(answer: dict[str, Any]) -> None:
        answers.append(answer)
        if len(answers) == len(names):
            done.set()

    def refuse(_: Any) -> str:
        raise Failed("A worker authenticates.")

    for name in names:
        sid = f"socket-{name}"
        know_socket(master, sid)
        payload = {
            "workerId": name,
            "capabilities": [PLATFORM],
            "maxAccounts": max_accounts,
            "host": "127.0.0.1",
            "port": 4000,
            "version": "1.0.0",
        }
        lane = Lane(Caller(kind="worker", sid=sid, name="", scope=Scope.READ), refuse)
        await reception.receive("worker:register", [payload], lane, acknowledge, 200)
    await asyncio.wait_for(done.wait(), PLACE_LIMIT_S)
    refused = [answer for answer in answers if not answer.get("success")]
    if refused:
        raise Failed(f"{len(refused)} registrations were refused: {refused[0]}")


async def wait_until_placed(
    path: Path, again: Callable[[], Awaitable[Any]], lost: str = ""
) -> None:
    """Wait until the file shows a worker for every account, and none by an id below `lost`.

    `again` is called while that is not so. Errors: Failed.
    """
    query = (
        "SELECT 1 FROM accounts WHERE assigned_worker_id IS NULL OR assigned_worker_id < ? LIMIT 1"
    )
    until = time.monotonic() + PLACE_LIMIT_S
    while await asyncio.to_thread(ask_file, path, query, lost):
        if time.monotonic() > until:
            raise Failed(f"Accounts still wait after {PLACE_LIMIT_S:.0f} s.")
        await again()


def rest() -> Awaitable[None]:
    """Return a short sleep."""
    return asyncio.sleep(TICK_S)


async def measure_registrations(job: dict[str, Any]) -> dict[str, float]:
    """Register workers while accounts wait; each takes `accounts` of them."""
    path, workers, accounts = Path(job["db"]), job["workers"], job["accounts"]
    master = make_master(path)
    await master.start(sweeps=False, listen=False)
    names = [f"w-{number:05d}" for number in range(workers)]
    cpu_s, began = time.process_time(), time.perf_counter()
    await register(master, names, accounts)
    await wait_until_placed(path, rest)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
    held = ask_file(
        path,
        "SELECT MIN(held) FROM (SELECT COUNT(*) held FROM accounts GROUP BY assigned_worker_id)",
    )
    await master.close()
    if held != accounts:
        raise Failed(f"A worker holds {held} accounts, not {accounts}.")
    return {"seconds": seconds, "cpu_s": cpu_s, "workers": workers, "accounts": workers * accounts}


async def measure_memory(job: dict[str, Any]) -> dict[str, float]:
    """Start a Master and count the bytes that Python objects take then."""
    tracemalloc.start()
    master = make_master(Path(job["db"]))
    await master.start(sweeps=False, listen=False)
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await master.close()
    return {"traced_bytes": traced}


async def measure_placing(job: dict[str, Any]) -> dict[str, float]:
    """Place all accounts on registering workers, then let some workers fall silent and place theirs anew.

    Between the two everybody who stays registers again with twice the room, which is heard as a
    sign of life.
    """
    path, workers, accounts, lost = Path(job["db"]), job["workers"], job["accounts"], job["lost"]
    clock = ManualClock()
    master = make_master(path, clock)
    await master.start(sweeps=False, listen=False)
    names = [f"w-{number:05d}" for number in range(workers)]
    room = -(-accounts // workers)
    ticker, began = Ticker(), time.perf_counter()
    await register(master, names, room)
    await wait_until_placed(path, rest)
    placed_s, place_block_ms = time.perf_counter() - began, await ticker.stop()
    step_s = master.settings.heartbeat_timeout_s * 0.7
    clock.advance(step_s)
    await register(master, names[lost:], 2 * room)
    clock.advance(step_s)
    first = names[lost]
    moved = ask_file(path, "SELECT COUNT(*) FROM accounts WHERE assigned_worker_id < ?", first)
    liveness = next(sweep for sweep in master.periodic.sweeps if sweep.name == "liveness")
    ticker, began = Ticker(), time.perf_counter()
    await wait_until_placed(path, lambda: master.periodic.sweep(liveness), first)
    replaced_s, replace_block_ms = time.perf_counter() - began, await ticker.stop()
    await master.close()
    return {
        "placed_s": placed_s,
        "place_block_ms": place_block_ms,
        "moved": moved,
        "replaced_s": replaced_s,
        "replace_block_ms": replace_block_ms,
    }


async def seal_secrets(job: dict[str, Any]) -> dict[str, float]:
    """Give every account in a file sealed cookies and a sealed fingerprint, as after a login."""
    path = Path(job["db"])
    vault = open_vault(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        ids = [row[0] for row in connection.execute("SELECT id FROM accounts")]
        for at in range(0, len(ids), SEAL_AT_ONCE):
            rows = [
                (
                    vault.seal("accounts.credentials", account_id, COOKIES),
                    vault.seal("accounts.fingerprint", account_id, FINGERPRINT),
                    account_id,
                )
                for account_id in ids[at : at + SEAL_AT_ONCE]
            ]
            connection.executemany(
                "UPDATE accounts SET credentials = ?, fingerprint = ?, login_status = 'logged_in' WHERE id = ?",
                rows,
            )
    return {"sealed": len(ids)}


TASKS: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, float]]]] = {
    "register": measure_registrations,
    "memory": measure_memory,
    "place": measure_placing,
    "seal": seal_secrets,
}


def main() -> int:
    """Run the task that the argument describes, on the loop that serves in production."""
    job = json.loads(sys.argv[1])
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()

    async def perform() -> dict[str, float]:
        return await TASKS[job["do"]](job)

    with runner:
        found = runner.run(perform())
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
