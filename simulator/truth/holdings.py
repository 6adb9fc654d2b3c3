"""One worker's beliefs about its accounts, derived from Master's events."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from master.clock import Clock
from master.model import JsonObject
from simulator.truth.ledger import Ledger


@dataclass(frozen=True, slots=True)
class WorkerProfile:
    """A worker's registration data."""

    id: str
    capabilities: tuple[str, ...]
    max_accounts: int = 10
    host: str = "127.0.0.1"
    port: int = 4000
    version: str = "1.0.0"

    def to_wire(self) -> JsonObject:
        """Return the payload of `worker:register`."""
        return {
            "workerId": self.id,
            "capabilities": list(self.capabilities),
            "maxAccounts": self.max_accounts,
            "host": self.host,
            "port": self.port,
            "version": self.version,
            "metadata": {"simulated": True},
        }


@dataclass(slots=True)
class _Holding:
    """An account as Master described it; before `acts_at` another worker may still act on it."""

    account: JsonObject
    taken_at: float
    acts_at: float
    acts: bool = False


class Holdings:
    """One worker's accounts, by id."""

    def __init__(self, profile: WorkerProfile, clock: Clock, ledger: Ledger) -> None:
        self._profile = profile
        self._platforms = set(profile.capabilities)
        self._most = profile.max_accounts
        self._clock = clock
        self._ledger = ledger
        self._held: dict[str, _Holding] = {}
        self._missed: set[str] = set()

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, account_id: object) -> bool:
        return account_id in self._held

    def introduce(self, profile: WorkerProfile) -> None:
        """Store the worker's new profile; until Master answers, the old one is valid as well."""
        self._profile = profile
        self._platforms |= set(profile.capabilities)
        # A lower limit removes no account: the worker may keep those it owns.
        self._most = max(self._most, profile.max_accounts)
        self.drop(
            [
                name
                for name, held in self._held.items()
                if held.account["platform"] not in profile.capabilities
            ]
        )

    def find(self, account_id: str) -> JsonObject | None:
        """Return an account as Master described it; None if the worker does not own it."""
        holding = self._held.get(account_id)
        return holding.account if holding else None

    def find_epoch(self, account_id: str) -> int | None:
        """Return the epoch of an account's assignment; None if the worker does not own it."""
        epoch = (self.find(account_id) or {}).get("epoch")
        return epoch if isinstance(epoch, int) else None

    def take(self, accounts: Iterable[Any]) -> list[str]:
        """Add or update the accounts of an assignment; return their ids."""
        now = self._clock.monotonic()
        taken = []
        self.begin_due()
        for account in accounts:
            account_id = str(account["id"])
            if (
                account.get("platform") not in self._profile.capabilities
                and account.get("platform") in self._platforms
            ):
                continue  # Master does not know yet that the worker dropped this platform
            known, wait_s = (
                self._held.get(account_id),
                float(account.get("start_after_ms") or 0) / 1000,
            )
            if known is not None and known.account.get("epoch") == account.get("epoch"):
                known.account, known.acts_at = account, min(known.acts_at, now + wait_s)
            else:
                self.drop([account_id])
                self._held[account_id] = _Holding(account, now, now + wait_s)
                self._judge(account)
            taken.append(account_id)
        self.begin_due()
        if len(self._held) > self._most:
            self._ledger.complain(
                "over_capacity",
                f"{self._profile.id} owns {len(self._held)} accounts of at most {self._most}",
            )
        return taken

    def begin_due(self) -> None:
        """Start to act on the accounts whose wait is over."""
        now = self._clock.monotonic()
        for account_id, held in self._held.items():
            if not held.acts and held.acts_at <= now:
                held.acts = True
                self._ledger.ownership.take(self._profile.id, account_id, now)

    def find_wait(self, account_id: str) -> float:
        """Return the seconds until no other worker may act on an account; 0 if none may now."""
        self.begin_due()
        held = self._held.get(account_id)
        return 0.0 if held is None or held.acts else held.acts_at - self._clock.monotonic()

    @property
    def waits(self) -> bool:
        """Whether another worker may still act on an account of this worker."""
        self.begin_due()
        return not all(held.acts for held in self._held.values())

    def replace(
        self, accounts: Collection[Any], told: WorkerProfile, total: int | None = None
    ) -> list[str]:
        """Own exactly the accounts of a registration with the profile `told`; return their ids.

        If `total` is higher than their number, more assignments follow: accounts not listed yet
        stay, until the answers to heartbeats decide.
        """
        self._platforms = {*told.capabilities, *self._profile.capabilities}
        listed = {str(account["id"]) for account in accounts}
        if total is None or total <= len(listed):
            self.drop([account_id for account_id in self._held if account_id not in listed])
        self._missed.clear()
        return self.take(accounts)

    def drop(self, account_ids: Iterable[str]) -> list[str]:
        """Release accounts; return the ids of those that were owned."""
        now = self._clock.monotonic()
        dropped = []
        for account_id in account_ids:
            if self._held.pop(account_id, None) is not None:
                self._ledger.ownership.drop(self._profile.id, account_id, now)
                dropped.append(account_id)
        return dropped

    def drop_all(self) -> list[str]:
        """Release all accounts; return their ids."""
        return self.drop(list(self._held))

    def reconcile(self, listed: Collection[str], sent_at: float) -> bool:
        """Compare with Master's list in the answer to a heartbeat sent at `sent_at`.

        Return True if the worker must register again: Master listed an account twice in a row that
        was never assigned. Accounts assigned since `sent_at` stay: the answer may be older than the
        assignment.
        """
        known = set(listed)
        self.drop(
            [
                name
                for name, held in self._held.items()
                if name not in known and held.taken_at < sent_at
            ]
        )
        missing = {name for name in known if name not in self._held}
        repeated = missing & self._missed
        self._missed = missing
        return bool(repeated)

    def _judge(self, account: JsonObject) -> None:
        platform = account.get("platform")
        if platform not in self._platforms:
            self._ledger.complain(
                "platform_not_listed", f"{self._profile.id} was given {account['id']} of {platform}"
            )
