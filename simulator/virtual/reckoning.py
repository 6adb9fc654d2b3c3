"""What must hold once everything is well again (simulation.md, invariants 11 to 19): in time, and when all is calm."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from master.memory import Memory
from master.model import OPEN_SESSION, WorkerStatus
from simulator.truth.api import ApiTrouble
from simulator.truth.invariants import check_all, read_everything
from simulator.truth.stored_file import StoredFile, check_file, compare_owners, read_file
from simulator.truth.tally import WorkerState
from simulator.virtual.rules.file_view import Reader, View, snapshot
from simulator.virtual.scene import Scene

NEWS_S = 5.0
"""Virtual seconds that news may take: what changes hands in the very moment of the look is not judged by it."""

BATCH_S = 6.0
"""Seconds after which a sign of life is in the file: Master writes them every five, and Unix seconds are whole."""

REPORTED = ("comments", "direct_messages")
"""The tables of what workers report."""

ANSWER_S = 60.0
"""How long an acknowledgement may take where nothing is wrong."""


async def check_in_time(scene: Scene, specified_s: float) -> None:
    """Let the specified time pass since everything was healed, and check what must hold by then, without any help.

    What is found is looked at once more after the time that news may take; only what has stayed the same is late.
    """
    healed_at = scene.clock.monotonic()
    await asyncio.sleep(specified_s)
    found = dict(_find_late(scene, healed_at))
    if found:
        await asyncio.sleep(NEWS_S)
        for key in found.keys() & dict(_find_late(scene, healed_at)).keys():
            scene.ledger.complain(key[0], f"{found[key]}, {specified_s:g} s after all was healed")


async def reckon(scene: Scene, account_ids: list[str]) -> None:
    """Hold lists, file and memory against what really happened; every difference is a violation."""
    facts = scene.ledger.freeze()
    try:
        stored = await read_everything(scene.api, account_ids)
        await _check_counters(scene)
    except ApiTrouble as trouble:
        scene.ledger.complain("api", str(trouble))
        return
    check_all(
        stored, facts, scene.ledger, scene.platform, [client.seen for client in scene.clients]
    )
    found = read_file(scene.house.path, thorough=True)
    check_file(found, facts, scene.ledger, scene.platform, scene.ledger.complain)
    _check_reporters(scene)
    _check_liveness(scene, found)
    _check_answers(scene)
    await _check_rebuilt(scene)


Late = tuple[tuple[str, str], str]
"""The rule that is broken and by whom, in which state: what has changed since is another; and how it is said."""


def _find_late(scene: Scene, healed_at: float) -> Iterator[Late]:
    """Yield who is not connected, which reports wait since before the healing, and which accounts nobody cares for."""
    yield from _find_absent(scene)
    for worker in scene.workers:
        oldest = worker.oldest_report
        if oldest is not None and oldest < healed_at:
            detail = f"{worker.profile.id} has a report of {healed_at - oldest:.0f} s before"
            yield ("outbox_not_drained", f"{worker.profile.id} {oldest}"), detail
    view = _read_view(scene)
    yield from _find_waiting(scene, view)
    for account_id, account in view.accounts.items():
        holders = {
            w.profile.id: epoch
            for w in scene.workers
            if (epoch := w.find_epoch(account_id)) is not None
        }
        wanted = {account.owner: account.epoch} if account.owner is not None else {}
        if holders != wanted:
            yield (
                ("owner_differs", f"{account_id} {account.owner} {account.epoch}"),
                f"{account_id} is of {account.owner} in epoch {account.epoch}, held by {holders or None}",
            )


def _find_absent(scene: Scene) -> Iterator[Late]:
    """Yield the workers that are not connected, by their own word or by Master's."""
    master = scene.house.master
    assert master is not None, "Master was opened when all was healed"
    for worker in scene.workers:
        worker_id = worker.profile.id
        state, seat = (
            scene.tally.worker_states[worker_id],
            master.memory.sessions.seats.get(worker_id),
        )
        known = master.memory.farm.workers.get(worker_id)
        if state is not WorkerState.CONNECTED:
            yield ("not_reconnected", worker_id), f"{worker_id} is {state}: {worker.trouble}"
        elif (
            seat is None
            or known is None
            or known.status is not WorkerStatus.CONNECTED
            or seat.sid is None
        ):
            said = (
                "unknown" if seat is None or known is None else f"{known.status}, socket {seat.sid}"
            )
            yield (
                ("not_reconnected", worker_id),
                f"{worker_id} is connected, for Master it is {said}",
            )


def _find_waiting(scene: Scene, view: View) -> Iterator[Late]:
    """Yield the accounts that wait though somebody has room for them."""
    takers = view.show_takers()
    for account_id, (platform, status, pinned) in scene.overseer.read_wishes().items():
        account = view.accounts[account_id]
        if account.owner is not None or status != "active":
            continue
        fitting = [
            worker.profile.id
            for worker in scene.workers
            if worker.profile.id in takers
            and takers[worker.profile.id].load < worker.profile.max_accounts
            and platform in worker.profile.capabilities
            and pinned in (None, worker.profile.id)
        ]
        if fitting:
            detail = f"{account_id} waits, though {', '.join(fitting)} would take it"
            yield ("not_assigned", f"{account_id} {account.epoch}"), detail


def _check_reporters(scene: Scene) -> None:
    """Check that every message was taken from a worker that holds its account, or held it before."""
    query = " UNION ".join(f"SELECT account_id, reported_by FROM {table}" for table in REPORTED)  # noqa: S608
    with closing(sqlite3.connect(scene.house.path)) as connection:
        reported = set(connection.execute(query).fetchall())
    for account_id, worker_id in sorted(reported - scene.overseer.held, key=str):
        scene.ledger.complain(
            "foreign_fact", f"{worker_id} reported of {account_id}, which it has never held"
        )


def _read_view(scene: Scene) -> View:
    with closing(Reader(scene.house.path)) as reader:
        return reader.read(View(), {"accounts", "workers", "login_sessions"})


def _check_liveness(scene: Scene, found: StoredFile) -> None:
    """Check that every worker is connected, every login has ended, and every account that fits somewhere is there."""
    complain = scene.ledger.complain
    view = _read_view(scene)
    for (rule, _), detail in (*_find_absent(scene), *_find_waiting(scene, view)):
        complain(rule, detail)
    for session_id, (account_id, status) in found.logins.items():
        if status in OPEN_SESSION:
            complain("login_stays_open", f"{session_id} of {account_id} is {status}")
    if scene.settings.rebalance_interval_s:
        scene.overseer.check_even()
    owners = {account_id: account.owner for account_id, account in view.accounts.items()}
    for detail in compare_owners(owners, scene.ledger.ownership.show_owners()):
        complain("owner_differs", detail)


def _check_answers(scene: Scene) -> None:
    """Check that everything that was asked over a connection that stands was answered, however late."""
    before = scene.clock.monotonic() - ANSWER_S
    for line in scene.lines:
        unanswered = line.transport.list_unanswered(before)
        if unanswered and line.link.is_sound:
            shown = ", ".join(
                f"{count} {event}" for event, count in sorted(Counter(unanswered).items())
            )
            scene.ledger.complain("never_answered", f"{line.owner} was not answered: {shown}")


async def _check_counters(scene: Scene) -> None:
    """Check Master's own figures against what the laboratory knows. Errors: ApiTrouble."""
    status, answer = await scene.api.ask("GET", "status")
    if status != 200:
        raise ApiTrouble(f"GET status answered {status}: {answer.get('error')}")
    view, wishes = _read_view(scene), scene.overseer.read_wishes()
    online = sum(
        scene.tally.worker_states[worker.profile.id] is WorkerState.CONNECTED
        for worker in scene.workers
    )
    told = answer.get("data", answer)
    figures: dict[str, tuple[Any, Any]] = {
        "workers online": (told["workers"]["online"], online),
        "workers": (told["workers"]["total"], len(view.workers)),
        "accounts": (told["accounts"]["total"], len(scene.ledger.accounts)),
        "accounts active": (
            told["accounts"]["active"],
            sum(wish[1] == "active" for wish in wishes.values()),
        ),
    }
    scraped = _read_metrics(await scene.api.read_text("/metrics"))
    figures["connected workers scraped"] = (scraped.get(("master_workers", "connected"), 0), online)
    standing = Counter(line.namespace for line in scene.lines)
    for namespace in ("worker", "admin", "client"):
        figure = scraped.get(("master_sockets", namespace), 0)
        figures[f"sockets of /{namespace}"] = (figure, standing[f"/{namespace}"])
    for name, (said, known) in figures.items():
        if said != known:
            scene.ledger.complain(
                "counter_differs", f"{name}: Master says {said}, there are {known}"
            )


def _read_metrics(text: str) -> dict[tuple[str, str], float]:
    """Return the figures that have one label, by name and label."""
    return {
        (sample.name, next(iter(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if len(sample.labels) == 1
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """What a Master knows. `owned`, `statuses` and `deadlines` are equal after a restart, but for who is connected.

    Of `heard_at` (Unix seconds per worker) what is older than a batch is. `until` (monotonic seconds), until when
    somebody may still act on what was taken from them, may only become later.
    """

    owned: dict[str, dict[str, int]]
    statuses: dict[str, str]
    deadlines: dict[str, int]
    heard_at: dict[str, int]
    until: float


async def _check_rebuilt(scene: Scene) -> None:
    """Stop Master, start another on the same file, and check that it knows what the first one knew."""
    house = scene.house
    assert house.master is not None
    before, rows = _describe(house.master.memory), snapshot(house.path)
    house.kill("rebuilt")
    await scene.open_master()
    after = _describe(house.master.memory)
    for difference in find_differences(before, after, scene.clock.now()):
        scene.ledger.complain("rebuilt_differs", difference)
    if snapshot(house.path) != rows:
        scene.ledger.complain("rebuilt_differs", "the rows of accounts are others")


def find_differences(before: _Known, after: _Known, now: float) -> Iterator[str]:
    """Yield what a Master that was started on another's file does not know as that one did."""
    gone = {WorkerStatus.CONNECTED.value: WorkerStatus.DISCONNECTED.value}
    statuses = {
        worker_id: gone.get(status, status) for worker_id, status in before.statuses.items()
    }
    for name, was, is_now in (
        ("owned", before.owned, after.owned),
        ("statuses", statuses, after.statuses),
        ("deadlines", before.deadlines, after.deadlines),
    ):
        if was != is_now:
            yield f"{name} were {was}, are {is_now}"
    for worker_id, at in before.heard_at.items():
        if after.heard_at.get(worker_id, 0) < at < now - BATCH_S:
            yield f"{worker_id} was heard at {at}, is said to have been at {after.heard_at.get(worker_id)}"
    if after.until < before.until:
        yield f"former owners were waited for until {before.until:.3f}, are until {after.until:.3f}"


def _describe(memory: Memory) -> _Known:
    farm, deadlines = memory.farm, memory.deadlines
    until = [at for former in deadlines.handovers.values() for at in former.values()]
    return _Known(
        {
            worker.id: {
                account.id: account.epoch for account in farm.accounts.find("owner", worker.id)
            }
            for worker in farm.workers.all()
        },
        {worker.id: worker.status.value for worker in farm.workers.all()},
        dict(deadlines.expiries),
        {
            name: seat.heard_at
            for name, seat in sorted(memory.sessions.seats.items())
            if seat.heard_at is not None
        },
        max(deadlines.unsure_until, *until, float("-inf")),
    )
