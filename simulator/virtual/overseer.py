"""What must hold at every moment of a virtual run: asked after every turn that wrote something, and once a second.

Master's rows and Master's memory are held against each other, against what they were before, and against what the
workers themselves were told (simulation.md, invariants 1 to 10, 14 and 15).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from master.app import Master
from master.model import OPEN_SESSION, SessionStatus, WorkerStatus
from master.operations.rebalance import HEARD_BEATS
from master.settings import Settings
from simulator.ledger import Ledger
from simulator.virtual.evenness import Gain, find_overloaded, find_uneven
from simulator.virtual.house import House
from simulator.virtual.view import AccountRow, Reader, View, WorkerRow

DETECTION_S = 1.0
"""How late a silent worker may be given up by an undisturbed Master."""

ARROWS = {
    SessionStatus.PENDING: {SessionStatus.SCANNING, SessionStatus.SUCCESS, SessionStatus.FAILED, SessionStatus.EXPIRED},
    SessionStatus.SCANNING: {SessionStatus.SUCCESS, SessionStatus.FAILED, SessionStatus.EXPIRED},
}
"""Where a login may go (protocol.md section 4); from an end nowhere."""


@dataclass(slots=True)
class Signs:
    """What one worker knows of its own signs of life: monotonic seconds at which those were sent that were answered."""

    answered: float = float("-inf")
    arrived: float = float("-inf")
    """When the latest one arrived at Master's door, answered or not."""
    left: bool = False


class Overseer:
    """Watches one file over all its Masters."""

    def __init__(self, house: House, settings: Settings, ledger: Ledger, clock: Any) -> None:
        self._house = house
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._reader = Reader(house.path)
        self._view = View()
        self._given_up: list[float] = []
        self._began = 0.0
        """When the group of turns began that is being committed: a slow disk makes it long."""
        self._reported: dict[str, int | None] = {}
        self.signs: dict[str, Signs] = {}
        self._adopting = False
        self._together = False
        """Whether the turns of a whole group are looked at as one: somebody may have come and gone in between."""
        self.checks = 0
        self.brakes = 0

    def adopt(self, master: Master) -> None:
        """Look after every turn of a new Master; what it found in the file is compared with what was there before."""
        commit = master.turns._commit

        async def commit_and_look(group: Any) -> None:
            self._together = len(group) > 1 or self._adopting
            self._began = self._clock.monotonic()
            await commit(group)
            self.look(master)

        master.turns._commit = commit_and_look  # type: ignore[method-assign]  # the laboratory's only hold on a turn
        self._house.disk.dirty |= {"accounts", "workers", "login_sessions"}
        self._adopting = self._together = True

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def note_answered(self, worker_id: str, sent: float) -> None:
        """Note that a worker heard that its sign of life, sent then, was taken."""
        signs = self.signs.setdefault(worker_id, Signs())
        signs.answered = max(signs.answered, sent)

    def note_success(self, session_id: str, epoch: int | None) -> None:
        """Note in which epoch of its account, as far as it knew, a worker reported a login's success.

        Of one that was ever reported without an epoch it cannot be said by which report Master took it.
        """
        known = self._reported.get(session_id, epoch)
        self._reported[session_id] = None if epoch is None or known is None else max(epoch, known)

    def note_arrived(self, worker_id: str) -> None:
        """Note that a sign of life has arrived at Master's door."""
        self.signs.setdefault(worker_id, Signs()).arrived = self._clock.monotonic()

    # -- after every turn ----------------------------------------------------------------------------------------

    def look(self, master: Master) -> None:
        """Check everything that the tables written to since the last look have a say in."""
        dirty, self._house.disk.dirty = self._house.disk.dirty, set()
        if not dirty & {"accounts", "workers", "login_sessions"}:
            return
        self.checks += 1
        before, now = self._view, self._reader.read(self._view, dirty)
        if now.accounts is not before.accounts or now.workers is not before.workers or self._adopting:
            self._check_hands(before, now)
            if not self._together:
                self._check_choice(before, now)
            self._check_memory(master, now)
            if not self._adopting:  # what the Master before wrote last: when that was is not known any more
                self._check_given_up(master, before, now)
            self._adopting = False
        if "login_sessions" in dirty:
            self._check_logins(master, before, now)
        self._view = now

    def _check_hands(self, before: View, now: View) -> None:
        gained = set()
        for account_id, account in now.accounts.items():
            old = before.accounts.get(account_id)
            if old is not None and account.epoch < old.epoch:
                self._complain("epoch_fell", f"{account_id} went from epoch {old.epoch} to {account.epoch}")
            if account.owner is None or (old is not None and (account.owner, account.epoch) == (old.owner, old.epoch)):
                continue
            if old is not None and account.epoch <= old.epoch:
                self._complain("epoch_kept", f"{account_id} went to {account.owner} in epoch {account.epoch} again")
            gained.add(account.owner)
            self._check_gain(account_id, account, now.workers.get(account.owner))
        loads = dict.fromkeys(now.workers, 0)
        for account in now.accounts.values():
            if account.owner is not None:
                loads[account.owner] += 1
        for worker_id, worker in now.workers.items():
            if worker.load != loads[worker_id]:
                self._complain("load_differs", f"{worker_id} is said to hold {worker.load}, holds {loads[worker_id]}")
            most: float = worker.max_accounts
            old_worker = before.workers.get(worker_id)
            if self._together:  # it may have been given them before it said, in the same group, that it takes less
                most = math.inf if old_worker is None else max(most, old_worker.max_accounts)
            if worker_id in gained and loads[worker_id] > most:
                self._complain("given_too_many", f"{worker_id} was given accounts and holds {loads[worker_id]}")

    def _check_gain(self, account_id: str, account: AccountRow, worker: WorkerRow | None) -> None:
        if account.pinned not in (None, account.owner):
            self._complain("pin_ignored", f"{account_id} is pinned to {account.pinned}, went to {account.owner}")
        if worker is None or (worker.status != WorkerStatus.CONNECTED and not self._together):
            self._complain("given_to_absent", f"{account_id} was given to {account.owner}, which is not connected")
        elif account.platform not in worker.capabilities:
            self._complain("given_to_unfit", f"{account_id} of {account.platform} was given to {account.owner}")

    def _check_choice(self, before: View, now: View) -> None:
        """Check that what Master was free to place went to the least loaded worker."""
        gains, lost, evened = list[Gain](), Counter[str](), False
        for account_id, account in now.accounts.items():
            old = before.accounts.get(account_id)
            if old is not None and old.owner is not None and old.owner != account.owner:
                lost[old.owner] += 1
            if account.owner is None or (old is not None and account.epoch == old.epoch):
                continue
            logins = [worker_id for named, worker_id, _ in before.logins.values() if named == account_id]
            if old is not None and old.pinned == account.pinned and self._may_keep(old, now):
                evened = True
                if self._is_logged_in(account_id, now):
                    self._complain("moved_while_logging_in", f"{account_id} went from {old.owner} to {account.owner}")
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
            if evened:  # of who says nothing lately it is doubtful whether they are there: they get nothing then
                takers = {name: taker for name, taker in takers.items() if self._was_heard_lately(name)}
            for detail in find_overloaded(gains, lost, takers):
                self._complain("not_least_loaded", detail)

    def _was_heard_lately(self, worker_id: str) -> bool:
        """Tell whether a worker surely counts as there for who makes loads even.

        However long the turn took: it said something so lately by the turn's end, and before its beginning.
        """
        answered = self.signs.setdefault(worker_id, Signs()).answered
        quiet_s = HEARD_BEATS * self._settings.heartbeat_interval_s
        return self._clock.monotonic() - quiet_s <= answered <= self._began and answered >= self._house.started_at

    @staticmethod
    def _may_keep(old: AccountRow, now: View) -> bool:
        """Tell whether the owner of an account could have kept it."""
        owner = now.workers.get(old.owner or "")
        return owner is not None and owner.status == WorkerStatus.CONNECTED and old.platform in owner.capabilities

    @staticmethod
    def _is_logged_in(account_id: str, now: View) -> bool:
        """Tell whether somebody is logging an account in."""
        return any(named == account_id and status in OPEN_SESSION for named, _, status in now.logins.values())

    def _check_memory(self, master: Master, now: View) -> None:
        presence = master.presence
        owned: dict[str, dict[str, int]] = {worker_id: {} for worker_id in now.workers}
        for account_id, account in now.accounts.items():
            if account.owner is not None:
                owned[account.owner][account_id] = account.epoch
        for worker_id, worker in now.workers.items():
            seat = presence.seats.get(worker_id)
            if seat is None or seat.owned != owned[worker_id] or seat.status != worker.status:
                remembered = None if seat is None else (seat.status, sorted(seat.owned))
                row = (worker.status, sorted(owned[worker_id]))
                self._complain("memory_differs", f"{worker_id}: memory {remembered}, file {row}")
        for sid, worker_id in presence.worker_of_socket.items():
            if presence.seats[worker_id].sid != sid:
                self._complain("ghost_socket", f"{sid} speaks for {worker_id}, whose socket is another")
        if len({seat.sid for seat in presence.seats.values() if seat.sid}) != len(presence.worker_of_socket):
            self._complain("ghost_socket", "the map of sockets and the seats are not inverse")

    def _check_given_up(self, master: Master, before: View, now: View) -> None:
        """Check that nobody is given up before the time, and that the brake held where most fell silent at once."""
        lost = [
            worker_id
            for worker_id, worker in now.workers.items()
            if worker.status == WorkerStatus.OFFLINE
            and worker_id in before.workers
            and before.workers[worker_id].status != WorkerStatus.OFFLINE
            and not self.signs.setdefault(worker_id, Signs()).left
        ]
        if not lost:
            return
        at, timeout_s = self._clock.monotonic(), self._settings.heartbeat_timeout_s
        for worker_id in lost:
            silent_s = at - self.signs[worker_id].answered
            if silent_s <= timeout_s:
                self._complain("given_up_early", f"{worker_id} was given up, answered {silent_s:.3f} s ago")
        grace_end = self._house.started_at + timeout_s + self._settings.restart_grace_s
        if at < grace_end and master.presence.brakes == 0:
            early = [name for name in lost if self.signs[name].arrived < self._house.started_at]
            if early:
                self._complain("grace_missed", f"{early} given up {grace_end - at:.3f} s before the grace's end")
        # whenever its turns were during this time, Master counts as lately lost what began so lately at least
        self._given_up = [then for then in self._given_up if at - then <= timeout_s] + [self._began] * len(lost)
        alive = sum(worker.status != WorkerStatus.OFFLINE for worker in now.workers.values())
        total = alive + len(self._given_up)
        longest = max(at - self.signs[worker_id].answered for worker_id in lost)
        if total >= 3 and 2 * len(self._given_up) > total and longest < 2 * timeout_s:
            self._complain("brake_missed", f"{len(self._given_up)} of {total} given up, one after {longest:.3f} s")

    def _check_logins(self, master: Master, before: View, now: View) -> None:
        opened: dict[str, str] = {}
        for session_id, (account_id, _, status) in list(now.logins.items()):
            was = before.logins.get(session_id, ("", "", SessionStatus.PENDING.value))[2]
            if status != was and SessionStatus(status) not in ARROWS.get(SessionStatus(was), set()):
                self._complain("login_arrow", f"{session_id} went from {was} to {status}")
            account, epoch = before.accounts.get(account_id), self._reported.get(session_id)
            if status == SessionStatus.SUCCESS and account is not None and epoch is not None and epoch < account.epoch:
                self._complain(
                    "old_epoch_taken", f"{session_id}: epoch {epoch} of {account_id}, which is {account.epoch}"
                )
            if status not in OPEN_SESSION:
                del now.logins[session_id]
                continue
            if account_id in opened:
                self._complain("two_open_logins", f"{account_id}: {opened[account_id]} and {session_id}")
            opened[account_id] = session_id
        if set(master.presence.deadlines) != set(now.logins):
            apart = sorted(set(master.presence.deadlines) ^ set(now.logins))
            self._complain("memory_differs", f"deadlines and open logins differ in {apart}")

    # -- once a second -------------------------------------------------------------------------------------------

    def sweep(self, undisturbed_s: float) -> None:
        """Check what time alone can break: late detection, and memory that grows."""
        master = self._house.master
        if master is None or self._adopting:
            return
        at, presence = self._clock.monotonic(), master.presence
        limit_s = self._settings.heartbeat_timeout_s + DETECTION_S
        self.brakes = max(self.brakes, presence.brakes)
        if presence.brake_until is None and undisturbed_s > limit_s + self._settings.restart_grace_s:
            for worker_id, seat in presence.seats.items():
                silent_s = at - self.signs.setdefault(worker_id, Signs()).arrived
                if seat.status is not WorkerStatus.OFFLINE and silent_s > limit_s:
                    self._complain("given_up_late", f"{worker_id} is {seat.status}, silent for {silent_s:.3f} s")
                    self.signs[worker_id].arrived = at
        accounts, workers = len(self._view.accounts), len(self._view.workers)
        sizes = {
            "handed_out": (len(presence.handed_out), accounts),
            "deadlines": (len(presence.deadlines), accounts),
            "seats": (len(presence.seats), workers),
            "waiting": (master.turns.waiting, self._settings.write_queue_items),
            "owed": (sum(len(seat.owed_revocations) for seat in presence.seats.values()), accounts * max(1, workers)),
        }
        for name, (size, bound) in sizes.items():
            if size > bound:
                self._complain("memory_grows", f"{name} holds {size}, more than {bound}")

    def check_even(self) -> None:
        """Check that no account could be moved to make loads more even; for when nobody is being logged in."""
        now = self._reader.read(self._view, {"accounts", "workers"})
        busy = {row[0] for row in self._reader.ask("SELECT id FROM accounts WHERE login_status = 'logging_in'")}
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
