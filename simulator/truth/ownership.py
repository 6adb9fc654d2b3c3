"""The workers' beliefs about ownership: no account may have two acting owners."""

from __future__ import annotations

from collections.abc import Callable

Complain = Callable[[str, str], None]
"""Receives a rule and the detail of its violation."""


class Ownership:
    """The beliefs of all workers. Times are monotonic seconds.

    `grace_s` is how long the news of a handover may take on two different sockets; 0 in virtual
    time.
    """

    def __init__(self, complain: Complain, grace_s: float = 1.0) -> None:
        self._complain = complain
        self._grace_s = grace_s
        self._owners: dict[str, dict[str, float]] = {}
        self._suspended: set[str] = set()
        self._shared: set[str] = set()
        """Accounts with more than one owner."""
        self.overlaps = 0

    def take(self, worker_id: str, account_id: str, now: float) -> None:
        """Note that a worker believes from `now` on that it owns the account."""
        owners = self._owners.setdefault(account_id, {})
        if worker_id not in owners:
            owners[worker_id] = now
            if len(owners) > 1:
                self.overlaps += 1
                self._shared.add(account_id)

    def drop(self, worker_id: str, account_id: str, now: float) -> None:
        """Note that a worker will no longer act on the account."""
        owners = self._owners.get(account_id, {})
        if worker_id in owners:
            self._judge(account_id, now)
            del owners[worker_id]
            if len(owners) < 2:
                self._shared.discard(account_id)
            if not owners:
                del self._owners[account_id]

    def suspend(self, worker_id: str) -> None:
        """Note that a worker's process is stopped: it does not act on its beliefs."""
        self._suspended.add(worker_id)

    def resume(self, worker_id: str, now: float) -> None:
        """Note that a stopped worker continues: from `now` on its beliefs count again."""
        self._suspended.discard(worker_id)
        for owners in self._owners.values():
            if worker_id in owners:
                owners[worker_id] = now

    def count_owned(self) -> int:
        """Return how many accounts have an owner."""
        return len(self._owners)

    def show_owners(self) -> dict[str, list[str]]:
        """Return, per account that has any, the workers that believe to own it."""
        return {account_id: sorted(owners) for account_id, owners in self._owners.items()}

    def sweep(self, now: float) -> None:
        """Complain about every overlap that has lasted longer than the grace."""
        for account_id in sorted(self._shared):
            self._judge(account_id, now)

    def _judge(self, account_id: str, now: float) -> None:
        owners = {
            name: since
            for name, since in self._owners[account_id].items()
            if name not in self._suspended
        }
        if len(owners) < 2:
            return
        since = sorted(owners.values())[1]
        if now - since > self._grace_s:
            who = " and ".join(sorted(owners))
            self._complain(
                "two_owners", f"{account_id} was held by {who} at once for {now - since:.2f} s"
            )
            for worker_id in owners:  # reported once: the overlap counts from now
                self._owners[account_id][worker_id] = now
