"""The mishaps of a demo: now and then it does what platforms, phones and browsers do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from master.model import AccountStatus, LoginStatus
from simulator.actors.crew import Crew
from simulator.actors.world import World
from simulator.chance import draw_gap, open_stream
from simulator.pace import wait_forever
from simulator.truth.api import Api, ApiTrouble

SPELL_S = 15.0
"""Seconds for which a mood of the platform, a ban or a stuck browser lasts."""

ODD_SHARE = 0.2

MOODS = {
    "odd": "workers report in odd forms for a while",
    "wrong_phones": "wrong phones scan for a while",
    "histories": "logins bring hundreds of old messages for a while",
    "short_cookies": "logins get cookies with a short life for a while",
}
"""Mischief of the platform -> the words of the live view."""


class Mishaps:
    """One mishap after another, at the scenario's rate, until the run calms down."""

    def __init__(self, world: World, api: Api, crew: Crew, account_ids: Sequence[str]) -> None:
        self._world = world
        self._platform = world.platform
        self._api = api
        self._crew = crew
        self._accounts = account_ids
        self._rng = open_stream(world.scenario.seed, "mishaps")
        self._kinds: tuple[Callable[[str], Awaitable[None]], ...] = (
            self._end_session,
            self._judge,
            self._change_messages,
            self._be_in_a_mood,
            self._get_stuck,
        )

    async def run(self) -> None:
        """Let mishaps happen until `calm`; then undo what would go on by itself."""
        happening = asyncio.create_task(self._happen())
        try:
            await self._crew.calm.wait()
        finally:
            happening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await happening
            self._platform.mischief.end()
            for worker in self._crew.workers:
                worker.come_round()

    async def _happen(self) -> None:
        rate = self._world.scenario.mishap_rate_per_min / 60
        if rate <= 0 or not self._accounts:
            await wait_forever()
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(draw_gap(self._rng, rate))
                kind = self._rng.choice(self._kinds)
                group.create_task(_run(kind(self._rng.choice(self._accounts))))

    def _tell(self, words: str) -> None:
        self._world.tally.counts.mishaps += 1
        self._world.tally.tell(words)
        self._world.tally.mark("mishap of the field")

    async def _end_session(self, account_id: str) -> None:
        state = self._rng.choice((LoginStatus.LOGGED_OUT, LoginStatus.NEEDS_VERIFICATION))
        self._platform.standings.end_session(account_id, state)
        words = {
            LoginStatus.LOGGED_OUT: "the platform logs out",
            LoginStatus.NEEDS_VERIFICATION: "the platform shows a captcha to",
        }
        self._tell(f"{words[state]} account {account_id[:8]}")

    async def _judge(self, account_id: str) -> None:
        status = self._rng.choice((AccountStatus.BANNED, AccountStatus.RESTRICTED))
        self._platform.standings.judge(account_id, status)
        self._tell(f"the platform says that account {account_id[:8]} is {status}")
        await asyncio.sleep(SPELL_S)
        self._platform.standings.judge(account_id, AccountStatus.ACTIVE)
        if status is AccountStatus.BANNED:
            await self._activate(account_id)

    async def _activate(self, account_id: str) -> None:
        """Say as a person that an account is to be watched: no worker looks at a banned one."""
        states, this = self._world.ledger.states, object()
        states.begin(account_id, this)
        try:
            await self._api.ask("PATCH", f"accounts/{account_id}", body={"status": "active"})
        except ApiTrouble:
            return
        finally:
            states.end(account_id, this)

    async def _change_messages(self, account_id: str) -> None:
        if self._rng.random() < 0.5:
            if self._platform.edit(account_id, self._rng):
                self._tell(f"somebody edits a message to account {account_id[:8]}")
        elif self._platform.use_id_again(account_id, self._rng):
            self._tell(f"two messages to account {account_id[:8]} have one id")

    async def _be_in_a_mood(self, _: str) -> None:
        name = self._rng.choice(tuple(MOODS))
        self._platform.mischief.odd_share = ODD_SHARE
        setattr(self._platform.mischief, name, self._rng)
        self._tell(MOODS[name])
        await asyncio.sleep(SPELL_S)
        setattr(self._platform.mischief, name, None)

    async def _get_stuck(self, _: str) -> None:
        if not self._crew.workers:
            return
        worker = self._rng.choice(self._crew.workers)
        worker.get_stuck()
        self._tell(f"the browser of {worker.profile.id} is stuck: heartbeats, but no reports")
        await asyncio.sleep(SPELL_S)
        worker.come_round()


async def _run(work: Awaitable[None]) -> None:
    await work
