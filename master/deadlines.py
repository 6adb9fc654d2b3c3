"""What has its time: when logins end, until when a former owner may act on an account, and what is due again.

Moments are monotonic seconds, which nobody can set; a login's row also says it in Unix seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping


class Deadlines:
    """Facts of this process: a start can rebuild when logins end, and knows nothing of former owners."""

    def __init__(self) -> None:
        self.expiries: dict[str, int] = {}
        """Open login -> the Unix second at which it ends, as its row says."""
        self.ends: dict[str, float] = {}
        """Open login -> the moment at which it ends even if somebody sets the wall clock back."""
        self.last_ends: dict[str, float] = {}
        """Open login -> the moment after which no new QR code keeps it open."""
        self._by_wall: list[tuple[float, str]] = []
        self._by_clock: list[tuple[float, str]] = []
        self.handovers: dict[str, dict[str, float]] = {}
        """Account -> the workers it was taken from that may not have heard of it yet, and until when.

        An account that was removed is here by its name on its platform: it may be added again under another id.
        """
        self._handovers_end: list[tuple[float, str]] = []
        self.unsure_until = float("-inf")
        """Until when workers may hold what a Master before, or a commit in doubt, took from them."""
        self.handed_out: dict[str, float] = {}
        """Account -> when its worker was last told to watch it."""

    # -- logins --------------------------------------------------------------------------------------------------

    def note_login(
        self, login_id: str, expires_at: int, *, now: float, monotonic: float, most_s: float
    ) -> None:
        """Note when a login ends, `most_s` after this was noted first at the latest.

        `now` and `monotonic` are the same moment.
        """
        last = self.last_ends.setdefault(login_id, monotonic + most_s)
        self.expiries[login_id] = expires_at
        end = self.ends[login_id] = min(monotonic + expires_at - now, last)
        heapq.heappush(self._by_wall, (expires_at, login_id))
        heapq.heappush(self._by_clock, (end, login_id))

    def forget_login(self, login_id: str) -> None:
        """Forget a login that has ended."""
        self.expiries.pop(login_id, None)
        self.ends.pop(login_id, None)
        self.last_ends.pop(login_id, None)
        if not self.expiries:
            self._by_wall.clear()
            self._by_clock.clear()

    def find_overdue(self, now: float, monotonic: float) -> list[str]:
        """Return the open logins whose time is up by either clock."""
        by_wall = _find_past(self._by_wall, self.expiries, now)
        return sorted(by_wall | _find_past(self._by_clock, self.ends, monotonic))

    # -- handovers -----------------------------------------------------------------------------------------------

    def part(self, account_ids: Iterable[str], worker_id: str, *, now: float, until: float) -> None:
        """Note that a worker loses accounts and may act on them `until` then, at the latest.

        Noted before the commit: too much caution does no harm. Nobody who lost one before is forgotten: within a
        timeout an account may change hands more than once.
        """
        self._drop_past_handovers(now)
        for account_id in account_ids:
            self._note_handover(account_id, worker_id, until)

    def pass_handovers(self, name: str, heir: str) -> None:
        """Let whoever may still act on one account count for `heir` as well, which is the same account elsewhere."""
        for former, until in self.handovers.get(name, {}).items():
            known = self.handovers.get(heir, {})
            self._note_handover(heir, former, max(until, known.get(former, until)))

    def find_wait(self, account_id: str, worker_id: str, now: float) -> float:
        """Return the seconds until a worker that did not hold an account may act on it."""
        until = self.unsure_until
        for former, at in self.handovers.get(account_id, {}).items():
            if former != worker_id and at > until:
                until = at
        return max(0.0, until - now)

    def _note_handover(self, account_id: str, worker_id: str, until: float) -> None:
        self.handovers.setdefault(account_id, {})[worker_id] = until
        heapq.heappush(self._handovers_end, (until, account_id))

    def _drop_past_handovers(self, now: float) -> None:
        while self._handovers_end and self._handovers_end[0][0] <= now:
            _, account_id = heapq.heappop(self._handovers_end)
            formers = self.handovers.get(account_id)
            if formers is not None:
                lasting = {former: at for former, at in formers.items() if at > now}
                if lasting:
                    self.handovers[account_id] = lasting
                else:
                    del self.handovers[account_id]


def _find_past(heap: list[tuple[float, str]], known: Mapping[str, float], now: float) -> set[str]:
    """Return whose time is past; entries that no longer say what is known are dropped as they come up."""
    past: dict[str, tuple[float, str]] = {}
    while heap and heap[0][0] <= now:
        entry = heapq.heappop(heap)
        if known.get(entry[1]) == entry[0]:
            past[entry[1]] = entry
    for (
        entry
    ) in past.values():  # they stay until they are forgotten: the disk may refuse to end them
        heapq.heappush(heap, entry)
    return set(past)
