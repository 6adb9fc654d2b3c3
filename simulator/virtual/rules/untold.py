"""The rule that people are told of accounts that wait for a worker, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import orjson

from master.model import SERVED
from simulator.virtual.rules.file_view import AccountRow, Reader

TOLD_AFTER_S = 60.0
SLACK_S = 10.0
"""Seconds within which people must be told once the time is up, in an undisturbed Master."""


@dataclass(slots=True)
class _Wait:
    """Since when an account waits, the last notification before that, and whether it is judged."""

    since: float
    seq: int
    epoch: int
    is_judged: bool = False


class Untold:
    """Watches which accounts wait, and whether a notification names each with a reason."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._waits: dict[str, _Wait] = {}

    def check(
        self, accounts: Mapping[str, AccountRow], now: float, undisturbed_s: float
    ) -> Iterator[str]:
        """Yield a line for each account that waits for too long without a word.

        Time counts only while Master is undisturbed: a restart begins it anew.
        """
        waiting = {
            account_id: account
            for account_id, account in accounts.items()
            if account.owner is None and account.status in SERVED
        }
        for account_id in self._waits.keys() - waiting.keys():
            del self._waits[account_id]
        for account_id, account in waiting.items():
            known = self._waits.get(account_id)
            if known is None or known.epoch != account.epoch:
                self._waits[account_id] = _Wait(now, self._read_last_seq(), account.epoch)
        limit_s = TOLD_AFTER_S + SLACK_S
        if undisturbed_s <= limit_s:
            return
        for account_id, wait in self._waits.items():
            if not wait.is_judged and now - wait.since > limit_s:
                wait.is_judged = True
                if not self._is_told(account_id, wait.seq):
                    yield f"{account_id} waits for {now - wait.since:.0f} s, and no person was told"

    def _read_last_seq(self) -> int:
        [row] = self._reader.ask("SELECT coalesce(max(seq), 0) FROM notifications")
        return int(row[0])

    def _is_told(self, account_id: str, after: int) -> bool:
        query = "SELECT data FROM notifications WHERE type = 'system' AND seq > ?"
        for (text,) in self._reader.ask(query, (after,)):
            told = orjson.loads(text or "{}")
            named = told.get("account_ids") or ()
            # of many accounts only the first are named
            if told.get("reason") and (account_id in named or told.get("count", 0) > len(named)):
                return True
        return False
