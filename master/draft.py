"""A draft: a copy-on-write view of the farm that operations read and write.

Each item of a batch has its own draft over the batch's draft; a refused item drops its draft at no
cost. The store writes the batch's draft, and the farm applies it after the commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from master.changes import Changes
from master.decisions.history import Event
from master.decisions.sickness import Health
from master.farm import Maintenance
from master.login_link import LoginLink
from master.memory import Memory, Watch
from master.minutes import name_minute
from master.model import (
    ACTIVE_PROXY,
    Account,
    Device,
    Login,
    MessageKind,
    Notification,
    Proxy,
    Worker,
    WorkerConfig,
    WorkerStatus,
)
from master.record import change
from master.tallies import NONE, Key, Numbers, add


class Draft:
    """The tables that a turn reads and writes, and the decisions that go with them.

    `kept` are values that only the database stores (secrets, codes): (table, row) -> column ->
    value. `notes` are notifications to store. `bound` is worker -> the socket that will speak for
    it. `signs` is worker -> its last sign of life (Unix seconds). `lost` is worker -> all accounts
    that it has lost and could not be told of. `told` is worker -> approximate bytes of accounts
    sent to it; `told_bytes` is their total in this draft and those below. `removed_at` is when an
    account was removed (Unix seconds); a start needs it. `health` is worker -> how it does its work
    from now on, None if well. `tallied` is what to add to the numbers of messages. `stored` is
    minute (since 1970) -> messages stored in it. `is_told` notes that an event or an answer has the
    revision of this draft.
    """

    __slots__ = (
        "_over", "accounts", "bound", "configs", "devices", "events", "health", "is_told", "kept",
        "last_seq", "links", "logins", "lost", "maintenance", "memory", "notes", "proxies",
        "reasons", "removed_at", "signs", "stored", "tallied", "told", "told_bytes", "watch",
        "workers",
    )  # fmt: skip

    def __init__(self, memory: Memory, over: Draft | None = None) -> None:
        below: Any = memory.farm if over is None else over
        self.memory = memory
        self._over = over
        self.workers: Changes[Worker] = Changes(below.workers)
        self.accounts: Changes[Account] = Changes(below.accounts)
        self.logins: Changes[Login] = Changes(below.logins)
        self.proxies: Changes[Proxy] = Changes(below.proxies)
        self.configs: Changes[WorkerConfig] = Changes(below.configs)
        self.devices: Changes[Device] = Changes(below.devices)
        self.links: Changes[LoginLink] = Changes(below.links)
        self.last_seq: int = below.last_seq
        self.maintenance: Maintenance | None = below.maintenance
        self.watch: Watch = memory.watch if over is None else over.watch
        self.kept: dict[tuple[str, str], dict[str, Any]] = {}
        self.notes: list[Notification] = []
        self.events: list[Event] = []
        self.reasons: dict[tuple[str, str], str] = {}
        self.bound: dict[str, str] = {}
        self.signs: dict[str, int] = {}
        self.lost: dict[str, set[str]] = {}
        self.health: dict[str, Health | None] = {}
        self.told: dict[str, int] = {}
        self.removed_at: int | None = None
        self.tallied: dict[Key, Numbers] = {}
        self.stored: dict[int, int] = {}
        self.is_told = False
        self.told_bytes: int = over.told_bytes if over is not None else 0

    @property
    def tables(self) -> tuple[Changes[Any], ...]:
        """Return every table, referenced tables first."""
        return (
            self.workers, self.proxies, self.configs, self.accounts, self.logins, self.devices,
            self.links,
        )  # fmt: skip

    def begin(self) -> Draft:
        """Return a draft over this one, for one item of a batch."""
        return Draft(self.memory, self)

    def absorb(self, other: Draft) -> None:
        """Merge a draft over this one."""
        for table, changes in zip(self.tables, other.tables, strict=True):
            table.absorb(changes)
        self.last_seq, self.watch = other.last_seq, other.watch
        self.maintenance = other.maintenance
        for row, values in other.kept.items():
            self.kept.setdefault(row, {}).update(values)
        self.notes += other.notes
        self.events += other.events
        self.bound.update(other.bound)
        self.signs.update(other.signs)
        self.lost.update(other.lost)
        self.removed_at = other.removed_at or self.removed_at
        self.health.update(other.health)
        for key, numbers in other.tallied.items():
            self.tally(key, numbers)
        for minute, number in other.stored.items():
            self.stored[minute] = self.stored.get(minute, 0) + number
        self.is_told = self.is_told or other.is_told
        for worker_id, size in other.told.items():
            self.count_told(worker_id, size)

    def is_empty(self) -> bool:
        """Return whether there is nothing to store."""
        if self.kept or self.notes or self.events or self.signs:
            return False
        if self.last_seq != self.memory.farm.last_seq:
            return False
        if self.maintenance != self.memory.farm.maintenance:
            return False
        return not any(table.changed for table in self.tables)

    @property
    def is_seen(self) -> bool:
        """Tell whether this draft changes rows that people see, so that it gets a revision."""
        return bool(
            self.is_told
            or self.notes
            or self.tallied
            or any(table.changed for table in self.tables if table is not self.devices)
        )

    @property
    def rev(self) -> int:
        """Return the revision of what this draft shows: the committed one, or that of its batch."""
        if self._over is None:
            return self.memory.revision.value
        self.is_told = True
        return self.memory.revision.value + 1

    @property
    def weight(self) -> int:
        """Return the approximate number of rows that this draft writes.

        Four events count as one row: they are only appended.
        """
        rows = sum(len(table.changed) for table in self.tables)
        return rows + len(self.notes) + len(self.events) // 4 + len(self.kept)

    # -- messages ---------------------------------------------------------------------------------

    def tally(self, key: Key, numbers: Numbers) -> None:
        """Add to the numbers of an account's messages of one kind."""
        self.tallied[key] = add(self.tallied.get(key, NONE), numbers)

    def count_stored(self, number: int, now: float) -> None:
        """Count messages that this draft's batch stores at `now` (Unix seconds)."""
        minute = name_minute(now)
        self.stored[minute] = self.stored.get(minute, 0) + number

    def count_messages(self, key: Key) -> Numbers:
        """Return the numbers of an account's messages of one kind, as this draft leaves them."""
        below = self.memory.farm.messages.get(key)
        if self._over is not None:
            below = self._over.count_messages(key)
        return add(below, self.tallied[key]) if key in self.tallied else below

    def count_unread(self, account_id: str) -> int:
        """Return how many unread messages an account has."""
        return sum(self.count_messages((account_id, kind))[1] for kind in MessageKind)

    # -- assignments ------------------------------------------------------------------------------

    def assign(self, account: Account, worker_id: str, now: int) -> Account:
        """Assign an unassigned account to a worker and raise its epoch; return the new record."""
        return self.assign_all([account], worker_id, now)[0]

    def assign_all(self, accounts: Sequence[Account], worker_id: str, now: int) -> list[Account]:
        """Assign unassigned accounts to a worker and raise their epochs; return the new records."""
        worker = self.workers.get(worker_id)
        assert worker is not None, "only a known worker gets accounts"
        lost, assigned = self.lost_by(worker_id), []
        for account in accounts:
            assert account.assigned_worker_id is None, "an assigned account is released first"
            mine = change(
                account, assigned_worker_id=worker.id, epoch=account.epoch + 1, updated_at=now
            )
            self.accounts.put(mine)
            assigned.append(mine)
        self.workers.put(change(worker, assigned_accounts=worker.assigned_accounts + len(assigned)))
        if lost:
            self.lost[worker_id] = lost - {account.id for account in assigned}
        return assigned

    def release(self, account: Account, now: int) -> Account:
        """Release an account from its worker, with the same epoch; return the new record."""
        return self.release_all([account], account.assigned_worker_id or "", now)[0]

    def release_all(self, accounts: Sequence[Account], worker_id: str, now: int) -> list[Account]:
        """Release accounts from the worker that owns them; return the new records."""
        worker = self.workers.get(worker_id)
        assert worker is not None, "an owner is a known worker"
        released = []
        for account in accounts:
            assert account.assigned_worker_id == worker_id, "only the owner releases an account"
            free = change(account, assigned_worker_id=None, updated_at=now)
            self.accounts.put(free)
            released.append(free)
        self.workers.put(change(worker, assigned_accounts=worker.assigned_accounts - len(released)))
        return released

    def held_by(self, worker_id: str) -> list[Account]:
        """Return the accounts of a worker, by id."""
        return sorted(self.accounts.find("owner", worker_id), key=lambda account: account.id)

    def count_reserved(self, worker_id: str) -> int:
        """Count a worker's reservations: open logins of accounts that it does not own."""
        accounts = self.accounts
        return sum(
            (account := accounts.get(login.account_id)) is None
            or account.assigned_worker_id != worker_id
            for login in self.logins.find("worker", worker_id)
        )

    def keeper_of(self, account_id: str) -> str | None:
        """Return the worker that has a reservation for an account's open login, or None."""
        login = self.logins.first("account", account_id)
        return login.worker_id if login is not None else None

    def list_connected(self, platform: str | None = None) -> list[Worker]:
        """Return the connected workers, or those that support a platform."""
        if platform is not None:
            return list(self.workers.find("platform", platform))
        return [worker for worker in self.workers.all() if worker.status is WorkerStatus.CONNECTED]

    def proxy_of(self, account: Account, worker_id: str) -> Proxy | None:
        """Return the proxy of an account on a worker, or None.

        It is the account's own, else that of the worker's configuration; an inactive one does not
        count.
        """
        config = self.configs.get(worker_id)
        for proxy_id in (account.proxy_id, config.proxy_id if config is not None else None):
            proxy = self.proxies.get(proxy_id) if proxy_id is not None else None
            if proxy is not None and proxy.status == ACTIVE_PROXY:
                return proxy
        return None

    # -- sockets and sequence numbers -------------------------------------------------------------

    def socket_of(self, worker_id: str) -> str | None:
        """Return a worker's live socket, or None; a socket that this draft binds counts already."""
        draft: Draft | None = self
        while draft is not None:
            if worker_id in draft.bound:
                sid = draft.bound[worker_id]
                return sid if sid in self.memory.sessions.worker_sockets else None
            draft = draft._over
        seat = self.memory.sessions.seats.get(worker_id)
        return seat.sid if seat is not None else None

    def speaker_of(self, sid: str | None) -> str | None:
        """Return the worker that a socket speaks for, or None; a replaced one speaks for none."""
        draft: Draft | None = self
        seen: set[str] = set()
        while draft is not None:
            for worker_id, bound in draft.bound.items():
                if bound == sid and worker_id not in seen:
                    return worker_id
            seen.update(draft.bound)
            draft = draft._over
        speaks_for = self.memory.sessions.worker_of_socket.get(sid) if sid is not None else None
        return None if speaks_for in seen else speaks_for

    def allocate_seqs(self, count: int) -> int:
        """Allocate `count` sequence numbers and return the first; none is ever reused."""
        first = self.last_seq + 1
        self.last_seq += count
        return first

    def explain(self, table: str, keys: Iterable[str], reason: str) -> None:
        """Say why this draft changes rows, for the history."""
        self.reasons.update({(table, key): reason for key in keys})

    def keep(self, table: str, key: str, values: dict[str, Any]) -> None:
        """Store values that memory does not keep; secrets among them are sealed when written."""
        self.kept.setdefault((table, key), {}).update(values)

    def has_kept(self, table: str, key: str) -> bool:
        """Return whether values are to be stored in a row that memory does not keep."""
        return (table, key) in self.kept or (
            self._over is not None and self._over.has_kept(table, key)
        )

    def lost_by(self, worker_id: str) -> set[str]:
        """Return the accounts that a worker has lost and could not be told of."""
        draft: Draft | None = self
        while draft is not None:
            if worker_id in draft.lost:
                return draft.lost[worker_id]
            draft = draft._over
        seat = self.memory.sessions.seats.get(worker_id)
        return seat.lost if seat is not None else set()

    def owe(self, worker_id: str, account_ids: Iterable[str]) -> None:
        """Record losses that a worker is told of when it returns."""
        self.lost[worker_id] = {*self.lost_by(worker_id), *account_ids}

    def health_of(self, worker_id: str) -> Health | None:
        """Return how a worker does its work; None if well."""
        draft: Draft | None = self
        while draft is not None:
            if worker_id in draft.health:
                return draft.health[worker_id]
            draft = draft._over
        return self.memory.wards.health.get(worker_id)

    def count_told(self, worker_id: str, size: int) -> None:
        """Add to the approximate bytes of accounts sent to a worker."""
        self.told[worker_id] = self.told.get(worker_id, 0) + size
        self.told_bytes += size

    def measure_told(self, worker_id: str) -> int:
        """Return the approximate bytes of accounts sent to a worker, here and in drafts below."""
        below = self._over.measure_told(worker_id) if self._over is not None else 0
        return below + self.told.get(worker_id, 0)

    def touches(self, worker_id: str) -> bool:
        """Return whether this draft changes a worker, its accounts or its socket."""
        return (
            worker_id in self.workers.changed
            or worker_id in self.bound
            or self.accounts.touches("owner", worker_id)
        )

    def evicts(self, worker_id: str) -> bool:
        """Return whether a worker is offline in this draft."""
        worker = self.workers.get(worker_id)
        return worker is not None and worker.status is WorkerStatus.OFFLINE
