"""After a commit memory applies the draft; after a commit in doubt memory is reloaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from master.changes import changes_of
from master.clock import Clock
from master.deadlines import ANY_NAME, SOMEBODY
from master.decisions import liveness
from master.decisions.account_state import find_next_warning
from master.decisions.assignment import wants_worker
from master.decisions.sickness import render_health
from master.draft import Draft
from master.drains import FARM
from master.farm import Committed, Farm, is_open, is_open_link
from master.login_link import LoginLink
from master.memory import Memory
from master.model import Account, Login, SessionStatus, Worker, WorkerStatus
from master.operations.assignments import hand_out, tell_to_stop
from master.operations.draining import render_draining
from master.operations.placement import TOLD_AFTER_S, Placements
from master.operations.silence import holds_something
from master.operations.workers import note_disconnect
from master.protocol.admin import AccountChanged, WorkerChanged, render_account, render_worker
from master.protocol.words import RevokeReason
from master.record import change
from master.settings import Settings
from master.turn import ADMINS, Parcel, Turn

log = structlog.get_logger(__name__)

Follow = tuple[Any, Any]
"""An operation to run in a turn of its own, and its event."""


def announce(draft: Draft) -> list[Parcel]:
    """Return the parcels for administrators on rows that a batch's draft changes.

    Each row has one parcel, with its content after the batch.
    """
    if not draft.memory.sessions.admins:
        return []
    farm, placements = draft.memory.farm, Placements(draft)
    told = []
    for before, account in changes_of(farm.accounts, draft.accounts):
        if account is None and before is not None and before.assigned_worker_id is not None:
            account = change(before, assigned_worker_id=None)  # noqa: PLW2901 - removed: no owner
        if account is not None:
            row = render_account(account, placements.judge(account), draft.count_unread(account.id))
            told.append(Parcel(ADMINS, AccountChanged(row, draft.rev)))
    changed = [worker.id for _, worker in changes_of(farm.workers, draft.workers) if worker]
    for worker_id in dict.fromkeys((*changed, *draft.health)):
        if (worker := draft.workers.get(worker_id)) is not None:
            heard_at = find_last_heartbeat(draft, worker_id)
            shown = render_worker(worker, heard_at, render_draining(draft, worker))
            health = render_health(draft.health_of(worker_id))
            told.append(Parcel(ADMINS, WorkerChanged(shown, draft.rev, health)))
    return told


def find_last_heartbeat(draft: Draft, worker_id: str) -> int | None:
    """Return when a worker was last heard (Unix seconds), or None."""
    seat = draft.memory.sessions.seats.get(worker_id)
    known = seat.heard_at if seat is not None else None
    signed = draft.signs.get(worker_id)
    return known if signed is None else max(signed, known or 0)


def apply(draft: Draft, turns: Sequence[Turn]) -> list[Follow]:
    """Apply the stored draft of a batch to memory; return the operations to run next."""
    memory, last = draft.memory, turns[-1] if turns else None
    _apply_logins(draft, last)
    _apply_links(draft, last)
    _apply_accounts(draft, last)
    for table, changes in zip(memory.farm.tables, draft.tables, strict=True):
        for key, record in changes.changed.items():
            if record is None or not table.kind.is_kept(record):
                table.remove(key)
            else:
                table.put(record)
    for account_id, account in draft.accounts.changed.items():
        if account is None:
            memory.farm.messages.forget(account_id)
    for tallied, numbers in draft.tallied.items():
        if memory.farm.accounts.get(tallied[0]) is not None:
            memory.farm.messages.add(tallied, numbers)
    memory.minutes.add(draft.stored)
    memory.farm.last_seq, memory.watch = draft.last_seq, draft.watch
    memory.farm.last_event += len(draft.events)
    _apply_maintenance(draft, last)
    follow = _apply_sessions(draft, last)
    for turn in turns:
        for effect in turn.effects:
            try:
                effect()
            except Exception:
                log.exception("effect_failed")
    return follow


def _apply_logins(draft: Draft, turn: Turn | None) -> None:
    memory = draft.memory
    for before, login in changes_of(memory.farm.logins, draft.logins):
        if login is not None and is_open(login):
            assert turn is not None, "a turn has opened it"
            _note_login(memory, login, turn.now, turn.monotonic, turn.settings)
            continue
        ended = login or before
        assert ended is not None, "a changed login has a record before or after"
        memory.forget_login(ended.id)
        memory.login_outcomes[SessionStatus.FAILED if login is None else login.status] += 1


def _apply_links(draft: Draft, turn: Turn | None) -> None:
    for link_id, link in draft.links.changed.items():
        assert turn is not None, "a turn has changed it"
        _note_link(draft.memory, link_id, link, turn.now, turn.monotonic)


def _note_link(
    memory: Memory, link_id: str, link: LoginLink | None, now: float, monotonic: float
) -> None:
    end_at = link.expires_at if link is not None and is_open_link(link) else None
    memory.links.ends.note(link_id, end_at, now, monotonic)


def _apply_accounts(draft: Draft, turn: Turn | None) -> None:
    """Note when people must be told of the accounts that changed."""
    memory, deadlines = draft.memory, draft.memory.deadlines
    for key, account in draft.accounts.changed.items():
        if account is not None:
            _note_warning(memory, account, memory.farm.accounts.get(key))
        if account is None or account.assigned_worker_id is None:
            deadlines.handed_out.pop(key, None)
        if account is None or not wants_worker(account):
            deadlines.waiting.pop(key, None)
        elif key not in deadlines.waiting:
            assert turn is not None, "a turn has released it"
            _note_waiting(memory, account, turn.at, turn.monotonic)


def _note_warning(memory: Memory, account: Account, before: Account | None) -> None:
    at = find_next_warning(account)
    if at is not None and (before is None or at != find_next_warning(before)):
        memory.deadlines.warnings.note(at, account.id)


def _note_waiting(memory: Memory, account: Account, since: int, monotonic: float) -> None:
    told_at = monotonic + TOLD_AFTER_S
    memory.deadlines.waiting[account.id] = since, told_at
    memory.deadlines.unplaced.note(told_at, account.id)


def _note_login(
    memory: Memory, login: Login, now: float, monotonic: float, settings: Settings
) -> None:
    if memory.deadlines.expiries.get(login.id) != login.expires_at:
        most_s = settings.login_max_s
        memory.deadlines.note_login(
            login.id, login.expires_at, now=now, monotonic=monotonic, most_s=most_s
        )


def _apply_maintenance(draft: Draft, turn: Turn | None) -> None:
    memory, maintenance = draft.memory, draft.maintenance
    if maintenance != memory.farm.maintenance:
        assert turn is not None, "a turn has begun or ended it"
        memory.farm.maintenance = maintenance
        _note_maintenance(memory, turn.now, turn.monotonic)


def _note_maintenance(memory: Memory, now: float, monotonic: float) -> None:
    known = memory.farm.maintenance
    memory.drains.note(FARM, known.deadline_at if known is not None else None, now, monotonic)


def _apply_sessions(draft: Draft, turn: Turn | None) -> list[Follow]:
    sessions, follow = draft.memory.sessions, list[Follow]()
    for worker_id, worker in draft.workers.changed.items():
        if turn is not None:
            draft.memory.drains.note_worker(worker_id, worker, turn.now, turn.monotonic)
        if worker is None:
            sessions.forget(worker_id)
        elif worker_id not in sessions.seats:
            assert turn is not None, "a turn has added it"
            sessions.seat(worker_id, heard=turn.monotonic, heard_at=turn.at)
    for worker_id, health in draft.health.items():
        draft.memory.wards.apply(worker_id, health)
    for worker_id, lost in draft.lost.items():
        if worker_id in sessions.seats:
            sessions.seats[worker_id].lost = set(lost)
    for worker_id, sid in draft.bound.items():
        if worker_id not in sessions.seats:
            continue  # removed in this batch
        if sid in sessions.worker_sockets:
            sessions.bind(worker_id, sid)
        elif sid:
            follow.append((note_disconnect, worker_id))  # it closed during the commit
    return follow


# -- after a doubt --------------------------------------------------------------------------------


def expect_unknown_owners(memory: Memory, clock: Clock, settings: Settings) -> None:
    """Let accounts wait for one timeout if a worker may own them that this Master does not know.

    These are the accounts that were ever assigned. If an account was removed within the last
    timeout, its worker may still act on it, and it may have been added again under another id, or
    will be: then every account waits.
    """
    now, timeout_s = clock.monotonic(), settings.heartbeat_timeout_s
    farm = memory.farm
    # a clock that was set back says nothing; the row has whole seconds
    is_over = farm.removed_at is None or clock.now() - farm.removed_at > timeout_s + 1
    owned = [account.id for account in farm.accounts.all() if account.epoch or not is_over]
    names = owned if is_over else [*owned, ANY_NAME]
    memory.deadlines.record_handovers(names, SOMEBODY, now=now, until=now + timeout_s)


@dataclass(frozen=True, slots=True)
class Before:
    """The content of memory before the farm was reloaded."""

    workers: Committed[Worker]
    accounts: Committed[Account]
    logins: Committed[Login]
    last_seq: int
    messages: int

    @classmethod
    def of(cls, farm: Farm) -> Before:
        """Return the present tables of a farm; a reload replaces them and does not change them."""
        messages = farm.messages.count_all()
        return cls(farm.workers, farm.accounts, farm.logins, farm.last_seq, messages)


def restore(
    memory: Memory, clock: Clock, settings: Settings, heard: Mapping[str, int | None]
) -> None:
    """Rebuild the state beside a loaded farm: a seat per worker, the ends of logins and cookies.

    `heard` is when each worker was last heard according to the file (Unix seconds).
    """
    now, monotonic = clock.now(), clock.monotonic()
    for worker in memory.farm.workers.all():
        memory.sessions.seat(worker.id, heard=monotonic, heard_at=heard.get(worker.id))
        memory.drains.note_worker(worker.id, worker, now, monotonic)
    _note_maintenance(memory, now, monotonic)
    for gone in memory.sessions.seats.keys() - {worker.id for worker in memory.farm.workers.all()}:
        memory.sessions.forget(gone)
        memory.drains.note_worker(gone, None, now, monotonic)
    for login in memory.farm.logins.all():
        _note_login(memory, login, now, monotonic, settings)
    for link_id in memory.links.ends.ends.keys() | {one.id for one in memory.farm.links.all()}:
        _note_link(memory, link_id, memory.farm.links.get(link_id), now, monotonic)
    for account in memory.farm.accounts.all():
        _note_warning(memory, account, None)
        if wants_worker(account) and account.id not in memory.deadlines.waiting:
            _note_waiting(memory, account, account.updated_at, monotonic)
    for account_id in [*memory.deadlines.waiting]:
        known = memory.farm.accounts.get(account_id)
        if known is None or not wants_worker(known):
            del memory.deadlines.waiting[account_id]
    for login_id in [
        known for known in memory.deadlines.expiries if memory.farm.logins.get(known) is None
    ]:
        memory.forget_login(login_id)


def resume(
    memory: Memory, before: Before, doubtful: Draft | None, clock: Clock, settings: Settings
) -> Follow | None:
    """Continue with a reloaded farm; return the operation that informs workers, or None.

    A worker may act on an account that the other version of the farm assigned elsewhere: its new
    owner waits for a timeout.
    `doubtful` is the draft of the commit in doubt. If its alarm is stored, its brake applies too.
    Otherwise the workers that are offline only in the file count for the brake, because that commit
    evicted them.
    """
    restore(memory, clock, settings, {})
    if doubtful is not None and memory.farm.messages.count_all() != before.messages:
        memory.minutes.add(doubtful.stored)  # it is stored after all
    if doubtful is not None and before.last_seq != doubtful.last_seq == memory.farm.last_seq:
        memory.watch = doubtful.watch
    else:
        _count_evicted(memory, before, clock.monotonic(), settings.heartbeat_timeout_s)
    accounts = memory.farm.accounts
    moved: dict[str, str | None] = {}
    for account in before.accounts.all():
        now = accounts.get(account.id)
        owner = now.assigned_worker_id if now is not None else None
        if account.assigned_worker_id != owner or (now is not None and now.epoch != account.epoch):
            moved[account.id] = account.assigned_worker_id
    for account in accounts.all():
        if before.accounts.get(account.id) is None and account.assigned_worker_id is not None:
            moved[account.id] = None
    if not moved:
        return None
    monotonic = clock.monotonic()
    until = monotonic + settings.heartbeat_timeout_s
    memory.deadlines.record_handovers(moved, SOMEBODY, now=monotonic, until=until)
    log.warning("farm_differed", accounts=len(moved))
    return tell_moved, moved


def _count_evicted(memory: Memory, before: Before, monotonic: float, timeout_s: float) -> None:
    seats, offline = memory.sessions.seats, WorkerStatus.OFFLINE
    lost = [
        (worker.id, seats[worker.id].heard)
        for worker in memory.farm.workers.all()
        if worker.status is offline
        and (was := before.workers.get(worker.id)) is not None
        and was.status is not offline
    ]
    silent = liveness.find_silent(lost, monotonic, timeout_s)  # the others have said goodbye
    counted = sum(holds_something(before, worker_id) for worker_id in silent)
    memory.watch = replace(
        memory.watch, evictions=(*memory.watch.evictions, *[monotonic] * counted)
    )


def tell_moved(event: Mapping[str, str | None], turn: Turn) -> int:
    """Inform workers of accounts that changed owners in a commit in doubt.

    `event` is account -> owner before. Returns the number of accounts.
    """
    lost: dict[str, list[str]] = {}
    gained: dict[str, list[Account]] = {}
    for account_id, former in event.items():
        account = turn.draft.accounts.get(account_id)
        owner = account.assigned_worker_id if account is not None else None
        if former is not None and former != owner:
            lost.setdefault(former, []).append(account_id)
        if account is not None and owner is not None:
            gained.setdefault(owner, []).append(account)
    for worker_id, account_ids in lost.items():
        tell_to_stop(turn, worker_id, account_ids, RevokeReason.REASSIGNED, reachable=True)
    hand_out(turn, gained)
    return len(event)


def do_nothing(event: None, turn: Turn) -> None:
    """Run an empty turn."""
