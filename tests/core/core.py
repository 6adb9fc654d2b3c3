"""Master's core without database, sockets or loop: memory, a fixed clock, and single turns."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count
from typing import Any

from master.draft import Draft
from master.memory import Memory
from master.model import Account, WorkerStatus
from master.operations.afterwards import apply
from master.protocol.worker import TaskRevoke
from master.settings import load_settings
from master.turn import SWEEP, Caller, Fetch, Turn
from tests.records import make_account, make_login, make_worker


class Core:
    """Memory that only turns change; each turn is a batch of its own."""

    def __init__(self, **environ: str) -> None:
        self.memory = Memory()
        self.settings = load_settings(environ, None)
        self.now, self.monotonic = 1_000_000.0, 500.0
        self.stored: Callable[[Any, Hashable], Any] = lambda read, key: None
        """The result of `Turn.fetch`; None by default."""
        self._numbers = count(1)

    def add_worker(self, worker_id: str, *accounts: Account, **changes: Any) -> None:
        """Add a connected worker, heard now, that owns these accounts."""
        worker = make_worker(worker_id, len(accounts), **{"max_accounts": 100, **changes})
        self.memory.farm.workers.put(worker)
        self.memory.sessions.seat(worker_id, heard=self.monotonic, heard_at=int(self.now))
        if worker.status is WorkerStatus.CONNECTED:
            self.memory.sessions.worker_sockets.add(f"socket of {worker_id}")
            self.memory.sessions.bind(worker_id, f"socket of {worker_id}")
        for account in accounts:
            assert account.assigned_worker_id == worker_id
            self.memory.farm.accounts.put(account)

    def add_account(self, account_id: str, **changes: Any) -> None:
        """Add an unassigned account, unless `changes` says otherwise."""
        self.memory.farm.accounts.put(make_account(account_id, **changes))

    def add_login(self, account_id: str, worker_id: str) -> None:
        """Add an open login of an account on a worker."""
        login = make_login(
            f"login of {account_id}", account_id, worker_id, expires_at=int(self.now) + 300
        )
        self.memory.farm.logins.put(login)
        self.memory.deadlines.note_login(
            login.id,
            login.expires_at,
            now=self.now,
            monotonic=self.monotonic,
            most_s=self.settings.login_max_s,
        )

    def advance(self, seconds: float) -> None:
        """Advance both clocks."""
        self.now, self.monotonic = self.now + seconds, self.monotonic + seconds

    def fall_silent(self, *worker_ids: str) -> None:
        """Let these workers be silent for longer than the timeout; the others are heard now."""
        self.advance(31)
        for worker_id, seat in self.memory.sessions.seats.items():
            if worker_id not in worker_ids:
                seat.heard = self.monotonic

    def hear_all(self) -> None:
        """Let every worker be heard now."""
        for seat in self.memory.sessions.seats.values():
            seat.heard = self.monotonic

    def begin(self, caller: Caller = SWEEP, draft: Draft | None = None) -> Turn:
        """Return an unused turn over memory or over a draft."""
        fresh = Draft(self.memory) if draft is None else draft.begin()
        return Turn(
            self.now,
            self.monotonic,
            caller,
            fresh,
            self.settings,
            lambda: f"id-{next(self._numbers)}",
            None,
            {},
        )

    def decide(
        self,
        operation: Any,
        event: Any = None,
        caller: Caller = SWEEP,
        *,
        draft: Draft | None = None,
    ) -> tuple[Turn, Any]:
        """Run a plain operation; return its turn and its reply. Memory does not change."""
        fetched: dict[tuple[Any, Hashable], Any] = {}
        while True:
            turn = self.begin(caller, draft)
            turn.fetched = fetched
            try:
                return turn, operation(event, turn)
            except Fetch as need:
                fetched[need.read, need.key] = self.stored(need.read, need.key)

    def commit(self, turn: Turn) -> None:
        """Apply a turn to memory."""
        apply(turn.draft, [turn])

    def run(self, operation: Any, event: Any = None, caller: Caller = SWEEP) -> list[Turn]:
        """Run an operation and its follow-up turns; return all turns."""
        turns, waiting = [], [(operation, event)]
        while waiting:
            operation, event = waiting.pop(0)
            turn, _ = self.decide(operation, event, caller)
            self.commit(turn)
            waiting = [*turn.next_turns, *waiting]
            turns.append(turn)
        return turns

    def owner_of(self, account_id: str) -> str | None:
        """Return the owner of an account."""
        account = self.memory.farm.accounts.get(account_id)
        assert account is not None
        return account.assigned_worker_id

    def check_loads(self) -> None:
        """Check that each worker's load is the number of its accounts."""
        for worker in self.memory.farm.workers.all():
            assert worker.assigned_accounts == len(
                list(self.memory.farm.accounts.find("owner", worker.id))
            )


def hold(worker_id: str, *account_ids: str, **changes: Any) -> list[Account]:
    """Return accounts of a worker."""
    return [
        make_account(one, assigned_worker_id=worker_id, epoch=1, **changes) for one in account_ids
    ]


def told_to_watch(turn: Turn) -> dict[str, str]:
    """Return the accounts that a turn assigns: account -> worker."""
    told: dict[str, str] = {}
    for handout in turn.handouts:
        if handout.is_task:
            for account_id in handout.epochs:
                assert account_id not in told, "handed out twice"
                told[account_id] = handout.worker_id
    return told


def told_to_stop(turn: Turn) -> dict[str, list[str]]:
    """Return the accounts that a turn revokes: worker -> accounts."""
    told: dict[str, list[str]] = {}
    for parcel in turn.parcels:
        if isinstance(parcel.content, TaskRevoke):
            told.setdefault(parcel.address.id, []).extend(parcel.content.accountIds)
    return told
