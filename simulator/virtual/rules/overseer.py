"""Invariants of every moment of a virtual run: checked after every turn that wrote, and once a
second.

The overseer compares Master's rows with Master's memory, with the rows before, and with the events
that workers received (docs/simulation.md, "What must hold").
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from master.app import Master
from master.batch import Batch
from master.model import OPEN_SESSION, WorkerStatus
from master.settings import Settings
from master.turn import Parcel
from simulator.truth.ledger import Ledger
from simulator.virtual.machine.house import House
from simulator.virtual.rules.deadlines import Moment, Signs, Silence
from simulator.virtual.rules.drain_rules import Drains
from simulator.virtual.rules.evenness import Gain, find_overloaded, find_uneven
from simulator.virtual.rules.file_view import AccountRow, LoginRow, Reader, View, WorkerRow
from simulator.virtual.rules.forecasts import Forecasts
from simulator.virtual.rules.login_rules import check_logins, check_sessions, find_accepted_late
from simulator.virtual.rules.parcels import (
    find_misassigned,
    find_mishandled,
    find_turned_away,
    list_closed,
)
from simulator.virtual.rules.retelling import Retelling
from simulator.virtual.rules.untold import Untold

LOOKED_AT = frozenset({"accounts", "workers", "login_sessions"})
"""The tables that the rules cover."""

HEARD_BEATS = 2
"""A worker silent for this many heartbeat intervals gets no account when loads are evened."""


class Overseer:
    """Watches one file through all its Masters."""

    def __init__(self, house: House, settings: Settings, ledger: Ledger, clock: Any) -> None:
        self._house = house
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._reader = Reader(house.path)
        self._untold = Untold(self._reader)
        self._view = View()
        self._retelling = Retelling(self._reader, ledger.complain)
        self._silence = Silence(house, settings, clock, ledger.complain)
        self._drains = Drains(house, clock, ledger.complain)
        self.forecasts = Forecasts(ledger.complain, self._was_heard_lately)
        self._began: Moment | None = None
        """When the batch under way began, which a slow disk prolongs; None if unknown."""
        self._new = False
        """Whether Master's memory is still to be checked for the first time."""
        self._reported: dict[str, int | None] = {}
        self._closed: set[str] | None = None
        """The logins whose end the batch under check announces; None if unknown."""
        self._together = False
        """Whether several turns are checked as one: a worker may have come and left in between."""
        self.held: set[tuple[str, str]] = set()
        """Every (account, worker) that the file ever had: present and former owners."""
        self.checks = 0
        self.brakes = 0
        house.on_birth = self._look_unseen  # to check the last writes of the Master before
        house.disk.on_doubt = self._look_in_doubt

    @property
    def signs(self) -> dict[str, Signs]:
        """Return each worker's signs of life."""
        return self._silence.signs

    @property
    def open_logins(self) -> dict[str, LoginRow]:
        """Return the open login sessions by id."""
        return self._view.logins

    def adopt(self, master: Master) -> None:
        """Check every turn of a new Master, and the changes that its start made to the file."""

        def look(batch: Batch) -> None:
            self._together, self._began, self._closed = (
                len(batch.items) > 1,
                _find_beginning(batch),
                list_closed(batch),
            )
            for rule, detail in (
                *find_mishandled(batch, self._view.accounts),
                *find_turned_away(batch),
            ):
                self._complain(rule, detail)
            self.look(master)

        publish = master.rooms.publish

        async def look_and_publish(parcels: Sequence[Parcel]) -> None:
            for rule, detail in find_misassigned(parcels, master.memory.farm):
                self._complain(rule, detail)
            await publish(parcels)

        master.turns.on_commit = look
        # here, because secrets are filled in after the commit
        master.rooms.publish = look_and_publish  # type: ignore[method-assign]
        before = self._view
        self._look_unseen()
        self._silence.check_evictions(before.workers, self._view.workers, None)
        # its memory is checked after its next turn, because a turn may be under way now
        self._house.disk.dirty |= LOOKED_AT

    def _look_unseen(self) -> None:
        """Check writes that no turn reported; how many turns wrote them, and when, is unknown."""
        if self._house.path.exists():
            before, self._together, self._began, self._closed = self._view, True, None, None
            self._view = self._reader.read(before, LOOKED_AT)
            self._check_hands(before, self._view)
            check_sessions(before, self._view, self._reported, self._closed, self._complain)
            self._new = True

    def _look_in_doubt(self) -> None:
        """Check what a failed commit stored all the same; Master learns of it at its next load."""
        before = self._view
        self._look_unseen()
        self._silence.check_evictions(before.workers, self._view.workers, None)
        self._house.disk.dirty |= LOOKED_AT  # its memory is checked after the next load

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def note_answered(self, worker_id: str, sent: float, said_at: int) -> None:
        """Record an acknowledged sign of life: `sent` is monotonic, `said_at` wall clock in ms."""
        self._silence.note_answered(worker_id, sent, said_at)

    def note_success(self, session_id: str, epoch: int | None) -> None:
        """Record the account's epoch, as the worker knew it, in a report of a login's success.

        If any report of a session lacks the epoch, it is unknown which report Master accepted.
        """
        known = self._reported.get(session_id, epoch)
        self._reported[session_id] = None if epoch is None or known is None else max(epoch, known)

    def note_arrived(self, worker_id: str) -> None:
        """Record that a sign of life has arrived at Master."""
        self._silence.note_arrived(worker_id)

    # -- after every turn --------------------------------------------------------------------------

    def look(self, master: Master) -> None:
        """Check every rule that depends on the tables written since the last check."""
        dirty, self._house.disk.dirty = self._house.disk.dirty, set()
        if not dirty & LOOKED_AT:
            return
        self.checks += 1
        before, now = self._view, self._reader.read(self._view, dirty)
        if now.accounts is not before.accounts or now.workers is not before.workers or self._new:
            self._new = False
            self._check_hands(before, now)
            self._drains.check_hands(before, now, lambda name: self.read_wishes()[name][1])
            if not self._together:
                self._check_choice(before, now)
            self._check_memory(master, now)
            began = None if self._began is None else self._began.monotonic
            holdings = (
                (before.list_holding(), now.list_holding())
                if self._together
                else (before.list_holding(),)
            )
            self._silence.check_evictions(before.workers, now.workers, began, *holdings)
        if "login_sessions" in dirty:
            if self._began is not None:
                ended = Moment.read(self._clock)
                for detail in find_accepted_late(before.logins, now.logins, self._began, ended):
                    self._complain("taken_after_deadline", detail)
            check_sessions(before, now, self._reported, self._closed, self._complain)
            check_logins(master.memory, now, self._complain)
        self.forecasts.check(before, now, together=self._together)
        self._view = now

    def _check_hands(self, before: View, now: View) -> None:
        gained = set()
        self._retelling.check(now.accounts)
        self.held |= {
            (name, account.owner)
            for name, account in now.accounts.items()
            if account.owner is not None
        }
        for account_id, account in now.accounts.items():
            old = before.accounts.get(account_id)
            if old is not None and account.epoch < old.epoch:
                self._complain(
                    "epoch_fell", f"{account_id} went from epoch {old.epoch} to {account.epoch}"
                )
            if account.owner is None or (
                old is not None and (account.owner, account.epoch) == (old.owner, old.epoch)
            ):
                continue
            if old is not None and account.epoch <= old.epoch:
                self._complain(
                    "epoch_kept",
                    f"{account_id} went to {account.owner} in epoch {account.epoch} again",
                )
            gained.add(account.owner)
            self._check_gain(account_id, account, now.workers.get(account.owner))
        loads = dict.fromkeys(now.workers, 0)
        for account in now.accounts.values():
            if account.owner is not None:
                loads[account.owner] += 1
        for worker_id, worker in now.workers.items():
            if worker.load != loads[worker_id]:
                self._complain(
                    "load_differs",
                    f"{worker_id} has load {worker.load} in its row, owns {loads[worker_id]}",
                )
            most: float = worker.max_accounts
            old_worker = before.workers.get(worker_id)
            # earlier turns of the batch may have assigned them under the higher limit
            if self._together:
                most = math.inf if old_worker is None else max(most, old_worker.max_accounts)
            if worker_id in gained and loads[worker_id] > most:
                self._complain(
                    "given_too_many", f"{worker_id} gained accounts and owns {loads[worker_id]}"
                )

    def _check_gain(self, account_id: str, account: AccountRow, worker: WorkerRow | None) -> None:
        if account.pinned not in (None, account.owner):
            self._complain(
                "pin_ignored",
                f"{account_id} is pinned to {account.pinned}, went to {account.owner}",
            )
        if worker is None or (worker.status != WorkerStatus.CONNECTED and not self._together):
            self._complain(
                "given_to_absent",
                f"{account_id} was assigned to {account.owner}, which is not connected",
            )
        elif account.platform not in worker.capabilities:
            self._complain(
                "given_to_unfit",
                f"{account_id} of {account.platform} was assigned to {account.owner}",
            )

    def _check_choice(self, before: View, now: View) -> None:
        """Check that accounts that Master was free to assign went to the least loaded worker."""
        gains, lost, evened = list[Gain](), Counter[str](), False
        for account_id, account in now.accounts.items():
            old = before.accounts.get(account_id)
            if old is not None and old.owner is not None and old.owner != account.owner:
                lost[old.owner] += 1
            if account.owner is None or (old is not None and account.epoch == old.epoch):
                continue
            logins = [
                login.worker_id
                for login in before.logins.values()
                if login.account_id == account_id
            ]
            if old is not None and old.pinned == account.pinned and self._may_keep(old, now):
                evened = True
                if self._is_logged_in(account_id, now):
                    self._complain(
                        "moved_while_logging_in",
                        f"{account_id} went from {old.owner} to {account.owner}",
                    )
            gains.append(
                Gain(
                    account.owner,
                    account.platform,
                    chosen=account.pinned is None and account.owner not in logins,
                    kept=logins[0] if logins else None,
                )
            )
        if gains:
            takers = now.show_takers()
            if evened:  # a worker silent lately may be gone: evening loads assigns it nothing
                takers = {
                    name: taker for name, taker in takers.items() if self._was_heard_lately(name)
                }
            for detail in find_overloaded(gains, lost, takers):
                self._complain("not_least_loaded", detail)

    def _was_heard_lately(self, worker_id: str) -> bool:
        """Tell whether evening loads must treat a worker as present, however long the turn took.

        That is: its latest sign of life was sent before the turn began, and is still recent at the
        turn's end.
        """
        answered, began = self._silence.of(worker_id).answered, self._began
        if began is None:
            return False
        quiet_s = HEARD_BEATS * self._settings.heartbeat_interval_s
        return (
            self._clock.monotonic() - quiet_s <= answered <= began.monotonic
            and answered >= self._house.started_at
        )

    @staticmethod
    def _may_keep(old: AccountRow, now: View) -> bool:
        """Tell whether the owner of an account could have kept it."""
        owner = now.workers.get(old.owner or "")
        return (
            owner is not None
            and owner.status == WorkerStatus.CONNECTED
            and old.platform in owner.capabilities
        )

    @staticmethod
    def _is_logged_in(account_id: str, now: View) -> bool:
        """Tell whether an account has an open login."""
        return any(
            login.account_id == account_id and login.status in OPEN_SESSION
            for login in now.logins.values()
        )

    def _check_memory(self, master: Master, now: View) -> None:
        farm, sessions = master.memory.farm, master.memory.sessions
        known = {one.id: (one.assigned_worker_id, one.epoch) for one in farm.accounts.all()}
        rows = {
            account_id: (account.owner, account.epoch)
            for account_id, account in now.accounts.items()
        }
        states = {one.id: (one.status.value, one.assigned_accounts) for one in farm.workers.all()}
        worker_rows = {
            worker_id: (worker.status, worker.load) for worker_id, worker in now.workers.items()
        }
        for what, remembered, stored in (("account", known, rows), ("worker", states, worker_rows)):
            if remembered != stored:
                apart = sorted({*remembered.items()} ^ {*stored.items()}, key=str)
                self._complain("memory_differs", f"{what}s of memory or file alone: {apart}")
        for account_id, account in now.accounts.items():
            if account.owner is not None and account_id not in farm.accounts.list_keys(
                "owner", account.owner
            ):
                self._complain(
                    "memory_differs", f"{account_id} is not listed among those of {account.owner}"
                )
        for sid, worker_id in sessions.worker_of_socket.items():
            if sessions.seats[worker_id].sid != sid:
                self._complain(
                    "ghost_socket", f"{sid} speaks for {worker_id}, whose socket is another"
                )
        if len({seat.sid for seat in sessions.seats.values() if seat.sid}) != len(
            sessions.worker_of_socket
        ):
            self._complain("ghost_socket", "the map of sockets and the seats are not inverse")

    # -- once a second -----------------------------------------------------------------------------

    def sweep(self, undisturbed_s: float) -> None:
        """Check the rules that time alone can break: late evictions, brakes, ghost sockets."""
        master = self._house.master
        if master is None:
            return
        watch = master.memory.watch
        self.brakes = max(self.brakes, watch.brakes)
        self._silence.check_late(
            self._view.workers, undisturbed_s, braked=watch.brake_until is not None
        )
        self._drains.check_ends(self._view.workers, undisturbed_s)
        self._silence.check_protection(self._view.workers, self._view.list_holding(), watch)
        self._silence.check_links(master.memory.sessions, self._view.workers, undisturbed_s)
        now = self._clock.monotonic()
        for detail in self._untold.check(self._view.accounts, now, undisturbed_s):
            self._complain("unplaced_untold", detail)

    def check_even(self) -> None:
        """Check that no move would make loads more even; call it only while no login is open."""
        now = self._reader.read(self._view, {"accounts", "workers"})
        busy = {
            row[0]
            for row in self._reader.ask("SELECT id FROM accounts WHERE login_status = 'logging_in'")
        }
        movable = [
            (account.owner, account.platform)
            for account_id, account in now.accounts.items()
            if account.owner is not None and account.pinned is None and account_id not in busy
        ]
        for detail in find_uneven(now.show_takers(), movable):
            self._complain("uneven", detail)

    def read_wishes(self) -> dict[str, tuple[str, str, str | None]]:
        """Return platform, status and pinned worker of each account."""
        rows = self._reader.ask("SELECT id, platform, status, pinned_worker_id FROM accounts")
        return {row[0]: row[1:] for row in rows}

    def _complain(self, rule: str, detail: str) -> None:
        self._ledger.complain(rule, detail)


def _find_beginning(batch: Batch) -> Moment:
    """Return when a batch first decided; its turns knew everything that came before."""
    first = min((done.turn for done in batch.done), key=lambda turn: turn.monotonic)
    return Moment(first.monotonic, first.now)
