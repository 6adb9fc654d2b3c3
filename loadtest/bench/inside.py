"""Measurements inside a Master's process, without sockets.

    python -P loadtest/bench/inside.py '{"do": "register", "db": "master.db", "workers": 600}'

The program is run by its path with the packages of the measured checkout. It imports no module of
the bench, since `loadtest` may come from another checkout here. Its last line is a JSON object.
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

from master import app
from master.app import Master
from master.budgets import Kind
from master.clock import ManualClock
from master.lane import Lane
from master.logs import configure_logs
from master.model import Scope
from master.settings import load_settings
from master.turn import Caller
from master.vault import open_vault

PLATFORM = "douyin"
TICK_S = 0.002
STALL_S = 120.0
"""The longest time without an acknowledgement, before the measurement fails."""

PLACE_LIMIT_S = 900.0
"""The longest time until all accounts are assigned, before the measurement fails."""

MISPLACED = """
    SELECT 1 FROM accounts WHERE assigned_worker_id IS NULL OR assigned_worker_id < ? LIMIT 1
"""
SEAL_AT_ONCE = 5_000
COOKIES = {"cookies": [{"name": "sessionid", "value": "x" * 64, "domain": ".douyin.com"}]}
FINGERPRINT = {"userAgent": "Mozilla/5.0", "viewport": {"width": 1280, "height": 800}}


Again = Callable[[], Awaitable[Any]]


class Failed(Exception):
    """The measurement had a wrong result."""


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
    set_up_process()
    return Master(load_settings(environ, None), clock=clock)


def set_up_process() -> None:
    """Set the process up as `python -m master` does; older Masters set up less."""
    if hasattr(app, "tune_process"):
        configure_logs("warning", None, development=False, for_good=True)
    else:
        configure_logs("warning", None, development=False)


def tune_process() -> None:
    """Set the interpreter up as `python -m master` does once it has started."""
    tune = getattr(app, "tune_process", None)
    if tune is not None:
        tune()


def know_socket(master: Any, sid: str) -> None:
    """Make Master count a socket as live; older Masters keep sockets in `presence`."""
    room = master.memory.sessions if hasattr(master, "memory") else master.presence
    room.worker_sockets.add(sid)


def ask_file(path: Path, query: str, *values: Any) -> Any:
    """Return the first value of a query on the file, over a connection of its own."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(query, values).fetchone()
    return found[0] if found else None


class Ticker:
    """Measures how long the event loop is blocked, by the longest lag of a short sleep.

    On a busy machine the lag includes the work of other processes. The longest processor time of
    the loop's thread between two ticks does not.
    """

    def __init__(self) -> None:
        self._lag_ms = self._cpu_ms = 0.0
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            before, cpu_s = time.perf_counter(), time.thread_time()
            await asyncio.sleep(TICK_S)
            lag_s = time.perf_counter() - before - TICK_S
            self._lag_ms = max(self._lag_ms, lag_s * 1000)
            self._cpu_ms = max(self._cpu_ms, (time.thread_time() - cpu_s) * 1000)

    async def stop(self) -> tuple[float, float]:
        """Return the longest lag and the longest processor time between two ticks, in ms."""
        await asyncio.sleep(2 * TICK_S)  # only the tick after a block measures it
        self._task.cancel()
        await asyncio.wait([self._task])
        return self._lag_ms, self._cpu_ms


async def register(master: Master, names: Sequence[str], max_accounts: int) -> None:
    """Register workers all at once and wait for every acknowledgement. Errors: Failed."""
    reception = master.sockets.reception
    assert reception is not None
    done = asyncio.Event()
    answers: list[dict[str, Any]] = []

    answered = asyncio.get_running_loop().create_future()
    answered.set_result(None)

    def acknowledge(answer: dict[str, Any]) -> Any:
        answers.append(answer)
        if len(answers) == len(names):
            done.set()
        return answered  # older Masters await it

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
        flow = master.meter.open("", lambda: None)
        master.meter.greet(flow, Kind.WORKER)
        lane = Lane(Caller(kind="worker", sid=sid, name="", scope=Scope.READ), refuse, flow)
        await reception.receive("worker:register", [payload], lane, acknowledge, 200)
    while not done.is_set():
        before = len(answers)
        await asyncio.wait([waiting := asyncio.ensure_future(done.wait())], timeout=STALL_S)
        waiting.cancel()
        if len(answers) == before:
            raise Failed(f"{before} of {len(names)} answers came, then none for {STALL_S:.0f} s.")
    refused = [answer for answer in answers if not answer.get("success")]
    if refused:
        raise Failed(f"{len(refused)} registrations were refused: {refused[0]}")


async def wait_until_placed(path: Path, again: Again, lost: str = "") -> None:
    """Wait until the file has a worker for every account, none with an id below `lost`.

    `again` is called between two looks. Errors: Failed.
    """
    until = time.monotonic() + PLACE_LIMIT_S
    while await asyncio.to_thread(ask_file, path, MISPLACED, lost):
        if time.monotonic() > until:
            raise Failed(f"Accounts still wait after {PLACE_LIMIT_S:.0f} s.")
        await again()


def rest() -> Awaitable[None]:
    """Return a short sleep."""
    return asyncio.sleep(TICK_S)


async def measure_registrations(job: dict[str, Any]) -> dict[str, float]:
    """Register workers while accounts wait; each worker is assigned `accounts` of them."""
    path, workers, accounts = Path(job["db"]), job["workers"], job["accounts"]
    master = make_master(path)
    await master.start(sweeps=False, listen=False)
    tune_process()
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
    """Start a Master and count the bytes of its Python objects."""
    tracemalloc.start()
    master = make_master(Path(job["db"]))
    await master.start(sweeps=False, listen=False)
    tune_process()
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await master.close()
    return {"traced_bytes": traced}


async def measure_placing(job: dict[str, Any]) -> dict[str, float]:
    """Assign all accounts to registering workers, then reassign those of workers that fall silent.

    In between, the remaining workers register again with twice the `maxAccounts`, which counts as
    a sign of life.
    """
    path, workers, accounts, lost = Path(job["db"]), job["workers"], job["accounts"], job["lost"]
    clock = ManualClock()
    master = make_master(path, clock)
    await master.start(sweeps=False, listen=False)
    tune_process()
    names = [f"w-{number:05d}" for number in range(workers)]
    room = -(-accounts // workers)
    ticker, began = Ticker(), time.perf_counter()
    await register(master, names, room)
    await wait_until_placed(path, rest)
    placed_s = time.perf_counter() - began
    place_block_ms, place_cpu_ms = await ticker.stop()
    step_s = master.settings.heartbeat_timeout_s * 0.7
    clock.advance(step_s)
    await register(master, names[lost:], 2 * room)
    clock.advance(step_s)
    first = names[lost]
    moved = ask_file(path, "SELECT COUNT(*) FROM accounts WHERE assigned_worker_id < ?", first)
    liveness = next(sweep for sweep in master.periodic.sweeps if sweep.name == "liveness")
    ticker, began = Ticker(), time.perf_counter()
    await wait_until_placed(path, lambda: master.periodic.sweep(liveness), first)
    replaced_s = time.perf_counter() - began
    replace_block_ms, replace_cpu_ms = await ticker.stop()
    await master.close()
    return {
        "placed_s": placed_s,
        "place_block_ms": place_block_ms,
        "place_cpu_ms": place_cpu_ms,
        "moved": moved,
        "replaced_s": replaced_s,
        "replace_block_ms": replace_block_ms,
        "replace_cpu_ms": replace_cpu_ms,
    }


async def seal_secrets(job: dict[str, Any]) -> dict[str, float]:
    """Store sealed cookies and a sealed fingerprint of every account, as after a login."""
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
                """
                UPDATE accounts SET credentials = ?, fingerprint = ?, login_status = 'logged_in'
                WHERE id = ?
                """,
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
