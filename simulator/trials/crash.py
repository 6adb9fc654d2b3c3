"""The crash test: Master is killed again and again under load; no data may be lost or doubled.

start --> killing --(all kills, Ctrl-C)--> healing --> checking over HTTP --> leaving
      --> checking the file --> summary
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass

import aiohttp
from rich.console import Console

from master.clock import SystemClock
from master.model import JsonObject
from simulator.actors.admin import create_account
from simulator.actors.crew import Crew, note_stray_faults, open_world, stop_on_signals
from simulator.actors.transport import SocketTransport, open_http_session
from simulator.chance import draw_backoff, open_stream
from simulator.display.report import choose_console, draw_violations
from simulator.scenario import Scenario
from simulator.trials.kills import carry_out, draw_kill
from simulator.trials.master_process import MasterProcess, StartTrouble, choose_port, prepare_master
from simulator.truth.api import ApiTrouble, HttpApi, list_all
from simulator.truth.histogram import Histogram
from simulator.truth.invariants import check_all, read_stored
from simulator.truth.stored_file import (
    DOUBLED,
    LOST,
    StoredFile,
    check_file,
    compare_owners,
    read_file,
)

CRASH = Scenario(
    workers=8,
    admins=2,
    clients=2,
    accounts=24,
    monitor_interval_s=1,
    rate_per_s=100.0,
    login_failure_rate=0.05,
    never_scan_rate=0.02,
    relogin_rate_per_min=4.0,
    scan_delay_s=(0.1, 1.0),
    login_poll_s=0.5,
    login_ttl_s=20,
    crash_rate_per_min=1.5,
    crash_return_s=(0.5, 8.0),
    client_drop_rate_per_min=3.0,
    ramp_s=0.5,
    retry_wait_s=(0.2, 0.5),
    reports_at_once=4,
)
"""The default scenario: much of everything, and actors that return quickly."""

SETTINGS = {
    "HEARTBEAT_INTERVAL_S": "1",
    "HEARTBEAT_TIMEOUT_S": "4",
    "HEARTBEAT_CHECK_S": "2",
    "SCHEDULE_INTERVAL_S": "5",
    "RESTART_GRACE_S": "0.5",
    "LOGIN_TTL_S": str(CRASH.login_ttl_s),
}
"""Short intervals for Master, so that processes of half a minute fit between two kills.

The environment overrides them.
"""

LATE_S = 5.0
"""Seconds until Master has evicted workers that stayed away: timeout, grace and a margin."""

LINE_S = 5.0
LOOKS = 20
"""How often the file is checked before the end."""

SETTLE_S = 15.0
"""Seconds in which a healed Master and its workers must agree on the accounts' owners."""


@dataclass(frozen=True, slots=True)
class CrashOptions:
    """The number of kills, and the output."""

    kills: int = 12
    json: bool = False
    prefix: str = "crash"


class CrashRun:
    """One run against one Master that is not started yet."""

    def __init__(
        self,
        scenario: Scenario,
        options: CrashOptions,
        session: aiohttp.ClientSession,
        master: MasterProcess,
    ) -> None:
        url = master.url
        self._run = f"{options.prefix}{scenario.seed}-{int(SystemClock().now())}"
        self._options = options
        self._master = master
        self.world = open_world(
            scenario,
            lambda namespace: SocketTransport(session, url, namespace),
            self._run,
            options.prefix,
        )
        self.ledger, self.tally = self.world.ledger, self.world.tally
        self._api = HttpApi(session, url, self.ledger)
        self._crew = Crew(self.world)
        self._founding: set[asyncio.Task[None]] = set()
        self._founded = 0
        self._rng = open_stream(scenario.seed, "kills")
        self.aims: Counter[str] = Counter()
        self.ready = Histogram()
        self.found = StoredFile()
        self.file_findings: Counter[str] = Counter()

    async def play(self, stop: asyncio.Event) -> None:
        """Kill, heal and check; afterwards Master has ended."""
        note_stray_faults(self.ledger)
        async with asyncio.TaskGroup() as group:
            self._crew.start(group)
            helpers = [
                group.create_task(self._crew.look_after()),
                group.create_task(self._tell_progress()),
            ]
            try:
                await self._kill_again_and_again(group, stop)
                await self._heal()
                await self._check_lists()
            except StartTrouble as trouble:
                self.ledger.complain("not_back", str(trouble))
            self.tally.leaving = True
            for task in (*helpers, *self._founding):
                task.cancel()
            self._crew.leave.set()
        await self._master.stop()
        await self._look_at_file(thorough=True)

    # -- killing -----------------------------------------------------------------------------------

    async def _kill_again_and_again(self, group: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        kills = self._options.kills
        look_every = max(4, kills // LOOKS)
        for number in range(1, kills + 1):
            if stop.is_set():
                break
            self._found_accounts(group, number / kills)
            kill = draw_kill(self._rng, number, LATE_S)
            await self._master.spawn()
            ready_s = await carry_out(kill, self._master, self.tally)
            self.aims[kill.aim] += 1
            if ready_s is not None:
                self.ready.add(ready_s)
            if number % look_every == 0:
                await self._look_at_file(thorough=False)

    def _found_accounts(self, group: asyncio.TaskGroup, share: float) -> None:
        """Create half of the accounts at once, and the others bit by bit."""
        count = self.world.scenario.account_count
        while self._founded < count * (1 + share) / 2:
            self._founded += 1
            task = group.create_task(self._found_account(self._founded))
            self._founding.add(task)
            task.add_done_callback(self._founding.discard)

    async def _found_account(self, number: int) -> None:
        rng = open_stream(self.world.scenario.seed, "found", str(number))
        while True:
            try:
                account_id = await create_account(self._api, self.world, self._run, number)
            except ApiTrouble:
                await asyncio.sleep(draw_backoff(rng, 0, self.world.scenario.retry_wait_s))
            else:
                self._crew.entrust(account_id)
                return

    # -- healing and checking ----------------------------------------------------------------------

    async def _heal(self) -> None:
        """Start Master for good, let all actors return, and wait for every acknowledgement.

        Errors: StartTrouble.
        """
        await self._master.spawn()
        await self._master.wait_ready()
        if self._founding:
            await asyncio.wait(self._founding, timeout=SETTLE_S)
        await self._crew.drain(self._master.ended)
        self.ledger.ownership.sweep(self.world.clock.monotonic())

    async def _check_lists(self) -> None:
        try:
            await self._check_owners()
            facts = self.ledger.freeze()
            stored = await read_stored(self._api, sorted(self.ledger.accounts))
        except ApiTrouble as trouble:
            self.ledger.complain("api", str(trouble))
            return
        await self._crew.catch_up()
        check_all(
            stored,
            facts,
            self.ledger,
            self.world.platform,
            [client.seen for client in self._crew.clients],
        )

    async def _check_owners(self) -> None:
        """Check that Master and the workers soon agree on account owners. Errors: ApiTrouble."""
        end = self.tally.elapsed() + SETTLE_S
        while True:
            listed = {
                row["id"]: row["assigned_worker_id"]
                async for row in list_all(self._api, "accounts")
            }
            apart = compare_owners(listed, self.ledger.ownership.show_owners())
            if not apart or self.tally.elapsed() > end:
                break
            await asyncio.sleep(0.25)
        for detail in apart:
            self.ledger.complain("owner_differs", detail)

    async def _look_at_file(self, *, thorough: bool) -> None:
        """Compare the file with all acknowledgements so far."""
        facts = self.ledger.freeze()
        self.found = await asyncio.to_thread(
            read_file, self._master.db_path, thorough=thorough, keys=self._master.keys
        )
        self.file_findings.clear()

        def complain(rule: str, detail: str) -> None:
            self.file_findings[rule] += 1
            self.ledger.complain(rule, f"in the file: {detail}")

        check_file(self.found, facts, self.ledger, self.world.platform, complain)

    # -- output ------------------------------------------------------------------------------------

    async def _tell_progress(self) -> None:
        console = choose_console(self._options.json)
        while True:
            await asyncio.sleep(LINE_S)
            console.print(self.say(), markup=False, highlight=False, soft_wrap=True)

    def say(self) -> str:
        """Return the current state in one line."""
        counts = self.tally.counts
        return (
            f"{self.tally.elapsed():6.1f} s: {self.aims.total()}/{self._options.kills} kills, "
            f"{counts.messages_acknowledged} messages acknowledged, "
            f"{counts.duplicates} duplicates, "
            f"{len(self.ledger.accounts)} accounts, {counts.logins_succeeded} logins, "
            f"{self.ledger.violation_count} violations"
        )

    def show_result(self) -> JsonObject:
        """Return the figures for `--json`; times are seconds unless their name says otherwise."""
        counts, lists = self.tally.counts, self.found.lists
        return {
            "kills": self.aims.total(),
            "seed": self.world.scenario.seed,
            "seconds": round(self.tally.elapsed(), 1),
            "workers": self.world.scenario.workers,
            "accounts": len(self.ledger.accounts),
            "messages_produced": self.world.platform.produced,
            "messages_acknowledged": sum(
                len(told.acknowledged) for told in self.ledger.told.values()
            ),
            "messages_stored": sum(map(len, lists.messages.values())),
            "notifications": len(lists.notifications),
            "duplicates_offered": counts.duplicates,
            "logins": sum(login.acknowledged for login in self.ledger.logins.values()),
            "confirmations": len(self.ledger.confirmations),
            "lost": sum(count for rule, count in self.file_findings.items() if rule in LOST),
            "doubled": sum(count for rule, count in self.file_findings.items() if rule in DOUBLED),
            "violations": self.ledger.violation_count,
            "violation_details": [asdict(violation) for violation in self.ledger.violations],
            "ownership_overlaps": self.ledger.ownership.overlaps,
            "kills_by_aim": dict(sorted(self.aims.items())),
            "ready_ms": self.ready.show_ms(),
            "counts": asdict(counts),
        }


def print_summary(console: Console, result: JsonObject) -> None:
    """Print the summary of a run."""
    aims = ", ".join(f"{count} {aim}" for aim, count in result["kills_by_aim"].items())
    ready = result["ready_ms"]
    lines = [
        f"seed {result['seed']}, {result['seconds']:.0f} s: {result['kills']:,} kills ({aims})",
        f"ready again after p50 {ready['p50'] or 0:,.0f} ms, at most {ready['max'] or 0:,.0f} ms",
        f"messages: {result['messages_produced']:,} produced, "
        f"{result['messages_acknowledged']:,} acknowledged, "
        f"{result['messages_stored']:,} stored, "
        f"{result['duplicates_offered']:,} duplicates offered",
        f"{result['notifications']:,} notifications, {result['confirmations']:,} confirmed",
        f"{result['logins']:,} logins of {result['accounts']:,} accounts",
        f"lost: {result['lost']:,}, doubled: {result['doubled']:,}",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    for part in draw_violations(result):
        console.print(part, soft_wrap=True)


async def run_crash(scenario: Scenario, options: CrashOptions, environment: dict[str, str]) -> int:
    """Run the crash test; return 0 if no data was lost or doubled and no other rule broken.

    Errors: StartTrouble.
    """
    stop = asyncio.Event()
    port = choose_port(environment)
    with stop_on_signals(stop):
        async with open_http_session() as session:
            async with prepare_master(session, port, SETTINGS) as master:
                run = CrashRun(scenario, options, session, master)
                await run.play(stop)
            for rule, detail in master.findings:
                run.ledger.complain(rule, detail)
    result = run.show_result()
    print_summary(choose_console(options.json), result)
    if options.json:
        print(json.dumps(result, ensure_ascii=False), file=sys.stdout, flush=True)
    return 1 if result["violations"] else 0
