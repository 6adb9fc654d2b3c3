"""A worker's daily work: it looks at due accounts and reports new messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from master.model import LOST, JsonObject, LoginStatus, MessageKind
from simulator.actors.connection import Connection
from simulator.actors.outbox import Outbox, Queued, Report, StateReport, Verdict, judge_ack
from simulator.actors.states import StateEye
from simulator.actors.transport import AckLate, LinkDown
from simulator.actors.world import World
from simulator.pace import Signal
from simulator.truth.holdings import Holdings
from simulator.truth.items import Item

BATCH = 20
"""Messages per report."""

LOOKED_AT = LOST | {LoginStatus.LOGGED_IN}
"""The states of accounts that have cookies: of no use perhaps, which a look shows."""

IDLE_S = 60.0
"""How long to sleep with no account to watch; an assignment wakes the worker earlier."""


class Watch:
    """Watches one worker's accounts and sends reports; its outbox and cursors survive crashes."""

    def __init__(
        self,
        worker_id: str,
        world: World,
        holdings: Holdings,
        connection: Connection,
        rng: Random,
        register_again: Callable[[], None],
    ) -> None:
        self._worker_id = worker_id
        self._world = world
        self._holdings = holdings
        self._connection = connection
        self._rng = rng
        self._register_again = register_again
        self._due: dict[str, float] = {}
        self._cursors: dict[str, int] = {}
        self._look_wake = Signal()
        self._ship_wake = Signal()
        self.outbox = Outbox(rng, retry_wait_s=world.scenario.retry_wait_s)
        self._eye = StateEye(world, holdings, self.outbox)
        self._awake = asyncio.Event()
        self._awake.set()
        self.successes = self.errors = 0
        """Looks that showed an account, and looks that a stuck browser could not make."""

    def hurry(self, account_ids: list[str]) -> None:
        """Look at these accounts at once: they are new, or assigned again."""
        now = self._world.clock.monotonic()
        self._due.update(dict.fromkeys(account_ids, now))
        self._look_wake.set()

    def flush(self) -> None:
        """Send reports that wait for a retry now."""
        self.outbox.hurry(self._world.clock.monotonic())
        self._ship_wake.set()

    def get_stuck(self) -> None:
        """Look at nothing and report nothing until `come_round`; heartbeats go on."""
        self._awake.clear()

    def come_round(self) -> None:
        """Look and report again."""
        self._awake.set()
        self._look_wake.set()

    @property
    def is_stuck(self) -> bool:
        """Whether nothing is looked at or reported."""
        return not self._awake.is_set()

    async def run_looks(self) -> None:
        """Look at each account when it is due, forever."""
        while True:
            await self._awake.wait()
            now = self._world.clock.monotonic()
            self._due = {name: due for name, due in self._due.items() if name in self._holdings}
            for account_id in [name for name, due in self._due.items() if due <= now]:
                self._due[account_id] = now + self._look(account_id)
            earliest = min(self._due.values(), default=now + IDLE_S)
            await self._look_wake.wait(max(0.05, earliest - now))

    async def run_shipping(self) -> None:
        """Send each report until Master has acknowledged it with success, forever."""
        while True:
            await self._connection.wait_ready()
            await self._awake.wait()
            now = self._world.clock.monotonic()
            report = self.outbox.pop_due(now)
            if report is None:
                await self._ship_wake.wait(self.outbox.find_wait(now))
            else:
                await self._send(report)

    def _look(self, account_id: str) -> float:
        """Look at one account and return the seconds until the next look."""
        wait_s = self._holdings.find_wait(account_id)
        if wait_s > 0:
            return wait_s
        account = self._holdings.find(account_id) or {}
        interval_s = max(1.0, float(account.get("monitor_interval") or 20)) * self._rng.uniform(
            0.9, 1.1
        )
        if account.get("login_status") not in LOOKED_AT or not self._may_look(account_id, account):
            return interval_s
        if not self._eye.see(account_id, account):
            self._ship_wake.set()
            return interval_s
        self._ship_wake.set()
        self._world.tally.counts.looks += 1
        self.successes += 1
        items = self._world.platform.look_at_messages(account_id, self._cursors.get(account_id))
        for kind in MessageKind:
            alike = [item for item in items if item.kind is kind]
            for start in range(0, len(alike), BATCH):
                if not self._put(account_id, kind, alike[start : start + BATCH]):
                    # The outbox is full: the cursor stays, so that the next look sees them again.
                    return interval_s
        if items:
            self._cursors[account_id] = items[-1].position
        return interval_s

    def _may_look(self, account_id: str, account: JsonObject) -> bool:
        if self._world.platform.accepts(account_id, account.get("credentials")):
            return True
        if self._world.platform.is_enrolled(account_id):
            self._world.ledger.complain(
                "wrong_cookies",
                f"{self._worker_id} received other cookies for {account_id} than were stored",
            )
        return False  # a real account: no messages are invented for it

    def _put(self, account_id: str, kind: MessageKind, items: list[Item]) -> bool:
        numbers = [item.number for item in items]
        truths = [item.truth for item in items]
        report = Report(account_id, kind, numbers, [item.payload for item in items], truths)
        if not self.outbox.put(report, self._world.clock.monotonic()):
            return False
        self._world.tally.counts.messages_reported += len(numbers)
        self._ship_wake.set()
        return True

    async def _send(self, report: Queued) -> None:
        counts, clock = self._world.tally.counts, self._world.clock
        event = self._note_sending(report)
        counts.reports += 1
        counts.resends += report.tries > 0
        ack: JsonObject | None = None
        try:
            ack = await self._connection.ask(event, report.to_wire())
        except (LinkDown, AckLate):
            pass
        finally:
            # Also when a crash cancels this call: the outbox is on the worker's disk.
            if ack is None:
                self.outbox.retry(report, clock.monotonic())
        if ack is None:
            return
        verdict, least_s = judge_ack(ack)
        if verdict is Verdict.AGAIN:
            self.outbox.retry(report, clock.monotonic(), least_s)
            if ack["error"].get("code") == "not_registered":
                self._register_again()
            return
        self.outbox.finish(report)
        if verdict is Verdict.REFUSED:
            self._note_refused(report, ack)
        elif isinstance(report, StateReport):
            self._eye.note_answer(report, ack)
        else:
            self._note_accepted(report, ack)

    def _note_sending(self, report: Queued) -> str:
        """Note that Master may have a report from now on; return its event."""
        if isinstance(report, StateReport):
            self._world.ledger.states.note_sent(report.account_id, id(report))
            return "worker:account:status"
        self._world.ledger.note_sent((report.account_id, report.kind), report.numbers)
        return "worker:message:detected"

    def _note_refused(self, report: Queued, ack: JsonObject) -> None:
        if isinstance(report, StateReport) and self._eye.note_refusal(report, ack):
            return
        self._world.tally.counts.reports_refused += 1
        self._world.ledger.complain(
            "report_refused", f"{self._worker_id}: {report.account_id}: {ack.get('error')}"
        )

    def _note_accepted(self, report: Report, ack: JsonObject) -> None:
        counts = self._world.tally.counts
        inserted, duplicates = int(ack.get("inserted") or 0), int(ack.get("duplicates") or 0)
        feed = (report.account_id, report.kind)
        if ack.get("refused"):
            self._world.ledger.complain("fact_lost", f"{report.account_id}: {ack.get('details')}")
        self._world.ledger.note_acknowledged(feed, report.numbers, inserted, duplicates)
        self._world.ledger.note_truths(feed, report.numbers, report.truths)
        counts.messages_acknowledged += len(report.numbers)
        counts.messages_stored += inserted
        counts.duplicates += duplicates
        if self._rng.random() < self._world.scenario.repeat_rate:
            counts.repeats_on_purpose += 1
            again = Report(*feed, report.numbers, report.items, report.truths)
            self.outbox.put(again, self._world.clock.monotonic() + self._rng.uniform(0.0, 2.0))
