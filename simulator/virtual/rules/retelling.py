"""A timeline retells exactly what the file shows: each change of hands, and none that was not."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulator.virtual.rules.file_view import AccountRow, Reader

Complain = Callable[[str, str], None]

HANDS = ("assigned", "revoked", "account_removed")


class Retelling:
    """Follows the stored events of accounts: account -> the owner and epoch that they tell."""

    def __init__(self, reader: Reader, complain: Complain) -> None:
        self._reader = reader
        self._complain = complain
        self._last = 0
        self._told: dict[str, tuple[str | None, int]] = {}

    def check(self, accounts: Mapping[str, AccountRow]) -> None:
        """Read the new events, and compare what they tell with the accounts as stored."""
        rows = self._reader.ask(
            "SELECT seq, kind, account_id, worker_id, epoch FROM events WHERE seq > ? ORDER BY seq",
            (self._last,),
        )
        for seq, kind, account_id, worker_id, epoch in rows:
            self._last = seq
            if kind in HANDS:
                self._follow(kind, account_id, worker_id, epoch)
        for account_id, account in accounts.items():
            told = self._told.get(account_id, (None, 0))
            if told != (account.owner, account.epoch):
                self._complain(
                    "timeline_differs",
                    f"{account_id} is with {account.owner} in epoch {account.epoch}, its timeline "
                    f"tells {told[0]} in epoch {told[1]}",
                )
                self._told[account_id] = account.owner, account.epoch

    def _follow(self, kind: str, account_id: str, worker_id: str | None, epoch: int) -> None:
        """Apply one event, which must continue what was told before."""
        owner, last = self._told.get(account_id, (None, 0))
        if kind == "account_removed":
            self._told.pop(account_id, None)
            return
        if kind == "assigned":
            fits, now = owner is None and epoch == last + 1, (worker_id, epoch)
        else:
            fits, now = (owner, last) == (worker_id, epoch), (None, epoch)
        if not fits:
            self._complain(
                "timeline_differs",
                f"{account_id} was {kind} by its timeline ({worker_id}, epoch {epoch}) while it "
                f"was with {owner} in epoch {last}",
            )
        self._told[account_id] = now
