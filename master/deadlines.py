"""Deadlines: when logins end, until when former owners may act, when accounts were handed out.

Moments are monotonic seconds, which cannot be set; a login's row also has its end in Unix seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping

from master.due import Due

SOMEBODY = ""
"""Stands for workers that memory does not know; it is no worker's id."""
ANY_NAME = " "
"""Stands for every account of an unknown name; it is no row's id."""


class Deadlines:
    """Facts of this process: a start rebuilds the ends of logins, but not the former owners."""

    def __init__(self) -> None:
        self.expiries: dict[str, int] = {}
        """Open login -> the Unix second at which it ends, as in its row."""
        self.ends: dict[str, float] = {}
        """Open login -> the moment at which it ends, even if the wall clock is set back."""
        self.last_ends: dict[str, float] = {}
        """Open login -> the moment after which no sign of progress extends it."""
        self._by_wall: list[tuple[float, str]] = []
        self._by_clock: list[tuple[float, str]] = []
        self.handovers: dict[str, Mapping[str, float]] = {}
        """Account -> former worker that may not have heard of its loss -> until when.

        Accounts that changed hands together share one mapping, so it is replaced and never changed.

        A removed account is stored under its name on its platform, because it may be added again
        under another id. SOMEBODY may own accounts that an earlier Master or a commit in doubt has
        revoked.
        """
        self._handovers_end: list[tuple[float, tuple[str, ...]]] = []
        self.warnings = Due()
        """Accounts whose people must be told that its cookies end (Unix seconds)."""
        self.unplaced = Due()
        """Accounts whose people must be told that it waits for a worker (monotonic seconds)."""
        self.waiting: dict[str, tuple[int, float]] = {}
        """Account that waits for a worker -> since when (Unix seconds), and when to tell people."""
        self.handed_out: dict[str, float] = {}
        """Account -> when its worker was last told to watch it."""

    # -- logins -----------------------------------------------------------------------------------

    def note_login(
        self, login_id: str, expires_at: int, *, now: float, monotonic: float, most_s: float
    ) -> None:
        """Record when a login ends, at most `most_s` after its first record.

        `now` and `monotonic` are the same moment.
        """
        last = self.last_ends.setdefault(login_id, monotonic + most_s)
        self.expiries[login_id] = expires_at
        end = self.ends[login_id] = min(monotonic + expires_at - now, last)
        heapq.heappush(self._by_wall, (expires_at, login_id))
        heapq.heappush(self._by_clock, (end, login_id))

    def forget_login(self, login_id: str) -> None:
        """Remove a login that has ended."""
        self.expiries.pop(login_id, None)
        self.ends.pop(login_id, None)
        self.last_ends.pop(login_id, None)
        if not self.expiries:
            self._by_wall.clear()
            self._by_clock.clear()

    def find_overdue(self, now: float, monotonic: float) -> list[str]:
        """Return the open logins that are overdue by either clock."""
        by_wall = _find_past(self._by_wall, self.expiries, now)
        return sorted(by_wall | _find_past(self._by_clock, self.ends, monotonic))

    # -- handovers --------------------------------------------------------------------------------

    def record_handovers(
        self, account_ids: Iterable[str], worker_id: str, *, now: float, until: float
    ) -> None:
        """Record that a worker loses accounts and may act on them until `until` at the latest.

        This precedes the commit: if the commit fails, a worker waits without need, which does no
        harm. Earlier former owners
        stay: an account may change hands more than once within a timeout.
        """
        self._drop_past_handovers(now)
        self._note_handovers(tuple(account_ids), worker_id, until)

    def pass_handovers(self, name: str, heir: str) -> None:
        """Copy the former owners of `name` to `heir`, another key of the same account."""
        for source in (name, ANY_NAME):
            for former, until in self.handovers.get(source, {}).items():
                known = self.handovers.get(heir, {})
                self._note_handovers((heir,), former, max(until, known.get(former, until)))

    def find_wait(self, account_id: str, worker_id: str, now: float) -> float:
        """Return the seconds until a worker that did not own an account may act on it."""
        until = now
        for former, at in self.handovers.get(account_id, {}).items():
            if former != worker_id and at > until:
                until = at
        return until - now

    def _note_handovers(self, account_ids: tuple[str, ...], worker_id: str, until: float) -> None:
        alone = {worker_id: until}
        for account_id in account_ids:
            known = self.handovers.get(account_id)
            self.handovers[account_id] = alone if known is None else {**known, **alone}
        heapq.heappush(self._handovers_end, (until, account_ids))

    def _drop_past_handovers(self, now: float) -> None:
        while self._handovers_end and self._handovers_end[0][0] <= now:
            _, account_ids = heapq.heappop(self._handovers_end)
            for account_id in account_ids:
                formers = self.handovers.get(account_id, {})
                lasting = {former: at for former, at in formers.items() if at > now}
                if lasting:
                    self.handovers[account_id] = lasting
                else:
                    self.handovers.pop(account_id, None)


def _find_past(heap: list[tuple[float, str]], known: Mapping[str, float], now: float) -> set[str]:
    """Return the keys that are past their time; outdated entries are dropped as they come up."""
    past: dict[str, tuple[float, str]] = {}
    while heap and heap[0][0] <= now:
        entry = heapq.heappop(heap)
        if known.get(entry[1]) == entry[0]:
            past[entry[1]] = entry
    # entries stay until `forget_login`: the disk may refuse to end a login
    for entry in past.values():
        heapq.heappush(heap, entry)
    return set(past)
