"""The final checks of a run (docs/simulation.md, "What must hold"): in time, and when calm."""

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
from master.model import OPEN_SESSION, LoginStatus, WorkerStatus
from simulator.actors.watch import LOOKED_AT
from simulator.truth.api import ApiTrouble
from simulator.truth.invariants import check_all, read_everything
from simulator.truth.stored_file import StoredFile, check_file, compare_owners, read_file
from simulator.truth.tally import WorkerState
from simulator.virtual.rules.file_view import Reader, View, snapshot
from simulator.virtual.scene import Scene

NEWS_S = 5.0
"""Virtual seconds that news may take; a change of owner during the check is not judged."""

BATCH_S = 6.0
"""Seconds until a sign of life is in the file: five between writes, and whole Unix seconds."""

REPORTED = ("comments", "direct_messages")
"""The tables of workers' reports."""

ANSWER_S = 60.0
"""Most seconds that an acknowledgement may take when nothing is wrong."""


async def check_in_time(scene: Scene, specified_s: float) -> None:
    """Wait for the specified time after healing, and check what must then be true without any help.

    Findings are checked again after NEWS_S; only those that have not changed are late.
    """
    healed_at = scene.clock.monotonic()
    await asyncio.sleep(specified_s)
    found = dict(_find_late(scene, healed_at))
    if found:
        await asyncio.sleep(NEWS_S)
        for key in found.keys() & dict(_find_late(scene, healed_at)).keys():
            scene.ledger.complain(key[0], f"{found[key]}, {specified_s:g} s after healing")


async def reckon(scene: Scene, account_ids: list[str]) -> None:
    """Compare lists, file and memory with the ledger; every difference is a violation."""
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
    for detail in find_unseen(scene):
        scene.ledger.complain("status_lost", detail)
    await _check_rebuilt(scene)


Late = tuple[tuple[str, str], str]
"""(rule, object and its state), detail. A changed state is another finding."""


def _find_late(scene: Scene, healed_at: float) -> Iterator[Late]:
    """Yield unconnected workers, old reports, and accounts without their owner."""
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
                f"{account_id} belongs to {account.owner} in epoch {account.epoch}, "
                f"workers own it: {holders or None}",
            )


def _find_absent(scene: Scene) -> Iterator[Late]:
    """Yield the workers that are not connected, by their own state or by Master's."""
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
                f"{worker_id} is connected, but in Master {said}",
            )


def _find_waiting(scene: Scene, view: View) -> Iterator[Late]:
    """Yield the unassigned accounts that some worker has room for."""
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
            detail = f"{account_id} is unassigned, though {', '.join(fitting)} have room"
            yield ("not_assigned", f"{account_id} {account.epoch}"), detail


def _check_reporters(scene: Scene) -> None:
    """Check that every message came from a present or former owner of its account."""
    query = " UNION ".join(
        f"SELECT account_id, reported_by FROM {table}"  # noqa: S608
        for table in REPORTED
    )
    with closing(sqlite3.connect(scene.house.path)) as connection:
        reported = set(connection.execute(query).fetchall())
    for account_id, worker_id in sorted(reported - scene.overseer.held, key=str):
        scene.ledger.complain(
            "foreign_fact", f"{worker_id} reported of {account_id}, which it never owned"
        )


def find_unseen(scene: Scene) -> list[str]:
    """Return a line for each watched account whose session is another at its platform than here.

    Its worker sees that at its next look and tells Master. Short cookies are not judged: they end
    by the clock.
    """
    master, lines = scene.house.master, []
    for worker in scene.workers if master is not None else ():
        for account_id in sorted(scene.ledger.accounts - scene.ledger.states.short_lived):
            held = worker.show_account(account_id)
            known = master.memory.farm.accounts.get(account_id) if master is not None else None
            if held is None or known is None or held.get("login_status") not in LOOKED_AT:
                continue
            login, _ = scene.platform.standings.look(account_id)
            if known.login_status in LOOKED_AT and known.login_status is not login:
                lines.append(
                    f"{account_id} of {worker.profile.id} is {known.login_status}, "
                    f"at its platform {login}"
                )
    return lines


def _read_view(scene: Scene) -> View:
    with closing(Reader(scene.house.path)) as reader:
        return reader.read(View(), {"accounts", "workers", "login_sessions"})


def _check_liveness(scene: Scene, found: StoredFile) -> None:
    """Check that workers are connected, logins ended, and fitting accounts assigned."""
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
    """Check that every event on an open connection was acknowledged, however late."""
    before = scene.clock.monotonic() - ANSWER_S
    for line in scene.lines:
        unanswered = line.transport.list_unanswered(before)
        if unanswered and line.link.is_sound:
            shown = ", ".join(
                f"{count} {event}" for event, count in sorted(Counter(unanswered).items())
            )
            scene.ledger.complain("never_answered", f"{line.owner} was not answered: {shown}")


async def _check_counters(scene: Scene) -> None:
    """Check Master's counters against the laboratory's. Errors: ApiTrouble."""
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
                "counter_differs", f"{name}: Master counts {said}, the laboratory {known}"
            )


def _read_metrics(text: str) -> dict[tuple[str, str], float]:
    """Return the metrics that have one label, by name and label."""
    return {
        (sample.name, next(iter(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if len(sample.labels) == 1
    }


@dataclass(frozen=True, slots=True)
class _Known:
    """The knowledge of one Master. A restart keeps `owned`, `statuses` (connected becomes
    disconnected) and `deadlines`.

    `heard_at` (Unix seconds per worker) survives if older than one batch. `until` (monotonic
    seconds), when the last former owner has stopped, may only become later.
    """

    owned: dict[str, dict[str, int]]
    statuses: dict[str, str]
    deadlines: dict[str, int]
    heard_at: dict[str, int]
    until: float


async def _check_rebuilt(scene: Scene) -> None:
    """Kill Master, start another on the same file, and compare their knowledge."""
    house = scene.house
    assert house.master is not None
    before, rows = _describe(house.master.memory), snapshot(house.path)
    house.kill("rebuilt")
    await scene.open_master()
    after = _describe(house.master.memory)
    for difference in find_differences(before, after, scene.clock.now()):
        scene.ledger.complain("rebuilt_differs", difference)
    if _without_ends(snapshot(house.path), scene) != _without_ends(rows, scene):
        scene.ledger.complain("rebuilt_differs", "the rows of accounts differ")


def _without_ends(rows: list[tuple[Any, ...]], scene: Scene) -> list[tuple[Any, ...]]:
    """Return rows of accounts with one word for what cookies that end meanwhile may change."""
    short_lived = scene.ledger.states.short_lived
    return [
        (*row[:-1], LoginStatus.LOGGED_IN)
        if row[0] in short_lived and row[-1] == LoginStatus.EXPIRED
        else row
        for row in rows
    ]


def find_differences(before: _Known, after: _Known, now: float) -> Iterator[str]:
    """Yield the differences between a Master and its successor on the same file."""
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
            known_at = after.heard_at.get(worker_id)
            yield f"{worker_id} was heard at {at}, its successor knows {known_at}"
    if after.until < before.until:
        yield f"former owners might act until {before.until:.3f}, now until {after.until:.3f}"


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
        deadlines.expiries | {name: end for name, (end, _) in memory.drains.ends.items()},
        {
            name: seat.heard_at
            for name, seat in sorted(memory.sessions.seats.items())
            if seat.heard_at is not None
        },
        max(until, default=float("-inf")),
    )
