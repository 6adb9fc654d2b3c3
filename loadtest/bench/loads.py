"""The loads that a generator process puts on a server: connect, register, heartbeats, reports."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.bench.frames import encode_event
from loadtest.bench.process import read_cpu_s, read_rss_bytes
from loadtest.bench.wire import Wire, connect

PLATFORM = "douyin"
HEARD = b'["notification:new"'
PUSH_TIMEOUT_S = 20.0
CONTENT = "这个多少钱?可以发货到上海吗?"


@dataclass(frozen=True, slots=True)
class Job:
    """The work of one generator process; `name` makes its workers and messages unique.

    The arrivals and registrations of `warm_workers` are not measured.
    """

    load: str
    name: str
    host: str
    port: int
    pid: int | None = None
    workers: int = 10
    warm_workers: int = 0
    in_flight: int = 50
    depth: int = 1
    max_accounts: int = 0
    batch: int = 3
    admins: int = 0
    warm_s: float = 0.5
    seconds: float = 2.0
    settle_s: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the job as JSON."""
        return asdict(self)


@dataclass(slots=True)
class Span:
    """A count between two moments, which are monotonic seconds of this machine.

    `cpu_from_s` and `cpu_to_s` are the server's processor seconds, `own_s` the generator's.
    """

    count: int = 0
    from_s: float = 0.0
    to_s: float = 0.0
    cpu_from_s: float | None = None
    cpu_to_s: float | None = None
    own_s: float = 0.0

    def begin(self, pid: int | None) -> None:
        """Note the beginning."""
        self.cpu_from_s = read_cpu_s(pid)
        self.own_s = -time.process_time()
        self.from_s = time.monotonic()

    def end(self, pid: int | None) -> None:
        """Note the end."""
        self.to_s = time.monotonic()
        self.own_s += time.process_time()
        self.cpu_to_s = read_cpu_s(pid)


@dataclass(slots=True)
class Outcome:
    """The result of a load: spans and other figures by name, and texts of faults."""

    spans: dict[str, Span] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the outcome as JSON."""
        return asdict(self)


class Load:
    """One load: `prepare` is not measured, `run` is, `finish` checks the result."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.outcome = Outcome()
        self.wires: list[Wire] = []
        self.accounts: list[list[dict[str, Any]]] = []
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def prepare(self) -> None:
        """Open the connections of the measurement."""

    async def run(self) -> None:
        """Measure."""

    async def finish(self, expected: int) -> None:
        """Check the result; all generators together stored `expected` messages."""

    def close(self) -> None:
        """Close every connection."""
        for wire in self.wires:
            wire.close()

    def fail(self, fault: Exception) -> None:
        """End the measurement: a connection was lost, or an answer is wrong."""
        if not self._failure.done():
            self._failure.set_exception(fault)

    async def wait(self, seconds: float) -> None:
        """Sleep. Errors: any that `fail` is called with meanwhile."""
        await asyncio.wait([self._failure], timeout=seconds)
        if self._failure.done():
            self._failure.result()

    async def join(self, namespace: str, heard: Callable[[bytes], None] | None = None) -> Wire:
        """Open a connection that stays open until the end."""
        wire = await connect(self.job.host, self.job.port, namespace, heard)
        wire.on_failure = self.fail
        self.wires.append(wire)
        return wire

    async def register(self, wire: Wire, worker_id: str) -> None:
        """Register a worker. Errors: ValueError if it was refused."""
        payload = {
            "workerId": worker_id,
            "capabilities": [PLATFORM],
            "maxAccounts": self.job.max_accounts,
            "host": "127.0.0.1",
            "port": 4000,
            "version": "1.0.0",
        }
        answer = await wire.ask("worker:register", payload)
        wire.on_failure = self.fail
        if not answer.get("success"):
            raise ValueError(f"{worker_id} was refused: {answer}")
        self.accounts.append(answer.get("accounts") or [])

    async def come(self, worker_id: str) -> Wire:
        """Connect and register one worker."""
        wire = await self.join("/worker")
        await self.register(wire, worker_id)
        return wire

    async def warm_up(self) -> None:
        """Connect and register the workers that are not measured."""
        names = self.name_workers(self.job.warm_workers, "warm")
        await self.do_all(self.come(name) for name in names)

    def name_workers(self, count: int, kind: str = "w") -> list[str]:
        """Return ids that no other generator uses."""
        return [f"{self.job.name}-{kind}{number:05d}" for number in range(count)]

    def check_accounts(self) -> None:
        """Add a fault unless every worker was assigned `max_accounts` accounts."""
        wanted = self.job.max_accounts
        short = sum(len(accounts) != wanted for accounts in self.accounts)
        if short:
            self.outcome.faults.append(f"{short} workers were not given {wanted} accounts each")

    async def do_all(self, tasks: Iterator[Coroutine[Any, Any, Any]]) -> None:
        """Run coroutines, `in_flight` at a time. Errors: those of the first that fails."""

        async def work() -> None:
            for task in tasks:
                await task

        async with asyncio.TaskGroup() as group:
            for _ in range(self.job.in_flight):
                group.create_task(work())


class Arrivals(Load):
    """Workers connect and register as fast as Master answers, then stay idle."""

    async def prepare(self) -> None:
        """Let a few workers register first."""
        await self.warm_up()

    async def run(self) -> None:
        """Register all workers."""
        self._note_memory("rss_before")
        span = self.outcome.spans["arrive"] = Span(self.job.workers)
        span.begin(self.job.pid)
        await self.do_all(self.come(name) for name in self.name_workers(self.job.workers))
        span.end(self.job.pid)
        self.check_accounts()
        await self.wait(self.job.settle_s)
        self._note_memory("rss_after")

    def _note_memory(self, name: str) -> None:
        found = read_rss_bytes(self.job.pid)
        if found is not None:
            self.outcome.figures[name] = found


class Registrations(Load):
    """All workers connect first, then all register."""

    async def prepare(self) -> None:
        """Let a few workers register first."""
        await self.warm_up()

    async def run(self) -> None:
        """Connect all, then register all."""
        pid, count = self.job.pid, self.job.workers
        joined: list[Wire] = []

        async def enter() -> None:
            joined.append(await self.join("/worker"))

        connecting = self.outcome.spans["connect"] = Span(count)
        connecting.begin(pid)
        await self.do_all(enter() for _ in range(count))
        connecting.end(pid)
        registering = self.outcome.spans["register"] = Span(count)
        registering.begin(pid)
        pairs = zip(joined, self.name_workers(count), strict=True)
        await self.do_all(self.register(wire, name) for wire, name in pairs)
        registering.end(pid)
        self.check_accounts()


class Heartbeats(Load):
    """Each worker keeps `depth` heartbeats unacknowledged."""

    async def prepare(self) -> None:
        """Register all workers."""
        self._stopping = False
        self._count = 0
        self._open = 0
        self._beating: list[tuple[Wire, str]] = []
        await self.do_all(self._come_to_beat(name) for name in self.name_workers(self.job.workers))

    async def _come_to_beat(self, worker_id: str) -> None:
        self._beating.append((await self.come(worker_id), worker_id))

    async def run(self) -> None:
        """Warm up, then count acknowledgements for some seconds."""
        for wire, name in self._beating:
            self._beat_on(wire, name)
        await self.wait(self.job.warm_s)
        span = self.outcome.spans["heartbeat"] = Span()
        span.begin(self.job.pid)
        before = self._count
        await self.wait(self.job.seconds)
        span.count = self._count - before
        span.end(self.job.pid)
        self._stopping = True
        for _ in range(100):
            if self._open:
                await self.wait(0.05)
        if self._open:
            self.outcome.faults.append(f"{self._open} heartbeats were never acknowledged")

    def _beat_on(self, wire: Wire, worker_id: str) -> None:
        stats = {"activeAccounts": 0, "memoryUsage": 256, "cpuUsage": 10}
        payload = {"workerId": worker_id, "stats": stats, "timestamp": int(time.time() * 1000)}
        content = encode_event("worker:heartbeat", payload)

        def answered(answer: Any) -> None:
            self._count += 1
            if not answer["success"]:
                self.fail(ValueError(f"A heartbeat was refused: {answer}"))
            if self._stopping:
                self._open -= 1
            else:
                wire.ask_then(content, answered)

        for _ in range(self.job.depth):
            self._open += 1
            wire.ask_then(content, answered)


class Reports(Load):
    """Each worker keeps `depth` reports of new comments unacknowledged; administrators listen."""

    async def prepare(self) -> None:
        """Connect administrators and workers; each worker has an account of its own."""
        self._stopping = False
        self._sent = self._open = self._acknowledged = self._inserted = 0
        self._heard = [0] * self.job.admins
        for number in range(self.job.admins):
            await self.join("/admin", self._listen(number))
        self._reporters: list[tuple[Wire, str]] = []
        names = self.name_workers(self.job.workers)
        await self.do_all(self._come_to_report(name) for name in names)

    async def _come_to_report(self, worker_id: str) -> None:
        wire = await self.join("/worker")
        await self.register(wire, worker_id)
        if not self.accounts[-1]:
            raise ValueError(f"{worker_id} was given no account to report on")
        self._reporters.append((wire, self.accounts[-1][0]["id"]))

    def _listen(self, number: int) -> Callable[[bytes], None]:
        def heard(event: bytes) -> None:
            if event.startswith(HEARD):
                self._heard[number] += 1

        return heard

    async def run(self) -> None:
        """Warm up, count acknowledged reports for some seconds, wait for the open ones."""
        for number, (wire, account_id) in enumerate(self._reporters):
            self._report_on(wire, account_id, f"{self.job.name}-{number}")
        await self.wait(self.job.warm_s)
        span = self.outcome.spans["report"] = Span()
        span.begin(self.job.pid)
        before = self._acknowledged
        await self.wait(self.job.seconds)
        span.count = self._acknowledged - before
        span.end(self.job.pid)
        self._stopping = True
        for _ in range(200):
            if self._open:
                await self.wait(0.05)
        figures = self.outcome.figures
        figures["sent"], figures["inserted"] = self._sent, self._inserted
        if self._open or self._inserted != self._sent:
            self.outcome.faults.append(
                f"{self._sent} messages were sent, {self._inserted} acknowledged as inserted, "
                f"{self._open} reports never answered"
            )

    async def finish(self, expected: int) -> None:
        """Wait until every administrator has received a notification of every message."""
        until = time.monotonic() + PUSH_TIMEOUT_S
        while min(self._heard, default=expected) < expected and time.monotonic() < until:
            await self.wait(0.05)
        for number, heard in enumerate(self._heard):
            self.outcome.figures[f"heard_{number}"] = heard
            if heard != expected:
                fault = f"administrator {number} received {heard} of {expected} notifications"
                self.outcome.faults.append(fault)

    def _report_on(self, wire: Wire, account_id: str, name: str) -> None:
        batch, number = self.job.batch, 0

        def answered(answer: Any) -> None:
            if not answer["success"]:
                self.fail(ValueError(f"A report was refused: {answer}"))
                return
            self._acknowledged += 1
            self._inserted += answer["inserted"]
            if self._stopping:
                self._open -= 1
            else:
                send()

        def send() -> None:
            nonlocal number
            comments = [make_comment(f"{name}-{number + step}") for step in range(batch)]
            number += batch
            self._sent += batch
            report = {"type": "comment", "account_id": account_id, "messages": comments}
            wire.ask_then(encode_event("worker:message:detected", report), answered)

        for _ in range(self.job.depth):
            self._open += 1
            send()


def make_comment(platform_id: str) -> dict[str, Any]:
    """Return a comment as a worker reports it."""
    return {
        "platform_comment_id": platform_id,
        "content": CONTENT,
        "author_name": "小李",
        "author_id": "u-1001",
        "post_id": "p-17",
        "post_title": "新品上架",
        "detected_at": int(time.time()),
    }


LOADS: dict[str, type[Load]] = {
    "arrivals": Arrivals,
    "registrations": Registrations,
    "heartbeats": Heartbeats,
    "reports": Reports,
}
