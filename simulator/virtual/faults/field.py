"""Faults of the field: what platforms, phones, browsers and lines do to a farm every day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from master.model import AccountStatus, LoginStatus
from simulator.virtual.faults.base import Fault, pick, pick_some
from simulator.virtual.scene import Scene

SPELL_S = (40.0, 300.0)
"""Shortest and longest time for which a platform's mood or a browser's trouble lasts."""


def _ends_session(name: str, state: LoginStatus) -> Fault:
    """Return a fault in which the platform ends the sessions of some accounts."""

    async def end_sessions(scene: Scene, rng: Random) -> None:
        accounts = pick_some(rng, sorted(scene.ledger.accounts))[:3]
        scene.note(name, " ".join(accounts))
        for account_id in accounts:
            scene.platform.standings.end_session(account_id, state)

    return end_sessions


def _judges(name: str, status: AccountStatus) -> Fault:
    """Return a fault in which the platform bans or restricts an account, and perhaps thinks again.

    A banned account is not watched until a person says that it is active again.
    """

    async def judge(scene: Scene, rng: Random) -> None:
        account_id = pick(rng, sorted(scene.ledger.accounts))
        if account_id is None:
            return
        scene.note(name, account_id)
        scene.platform.standings.judge(account_id, status)
        await asyncio.sleep(rng.uniform(*SPELL_S))
        if rng.random() < 0.3:
            return
        scene.platform.standings.judge(account_id, AccountStatus.ACTIVE)
        if status is AccountStatus.BANNED:
            await scene.ask_http("PATCH", f"accounts/{account_id}", {"status": "active"})

    return judge


def _mood(name: str, begin: Callable[[Scene, Random], None], end: Callable[[Scene], None]) -> Fault:
    """Return a fault that changes the platform's mood for a while.

    Some accounts are logged out as it begins: their next logins come under it.
    """

    async def be_so(scene: Scene, rng: Random) -> None:
        accounts = pick_some(rng, sorted(scene.ledger.accounts))
        scene.note(name, " ".join(accounts))
        for account_id in accounts:
            scene.platform.standings.end_session(account_id, LoginStatus.LOGGED_OUT)
        begin(scene, rng)
        await asyncio.sleep(rng.uniform(*SPELL_S))
        end(scene)

    return be_so


def _set(name: str) -> tuple[Callable[[Scene, Random], None], Callable[[Scene], None]]:
    return (
        lambda scene, rng: setattr(scene.platform.mischief, name, rng),
        lambda scene: setattr(scene.platform.mischief, name, None),
    )


def _report_oddly(scene: Scene, rng: Random) -> None:
    scene.platform.mischief.odd = rng
    scene.platform.mischief.odd_share = rng.choice((0.1, 0.5, 1.0))


async def edited(scene: Scene, rng: Random) -> None:
    """Authors change the texts of some messages that are listed already."""
    accounts = pick_some(rng, sorted(scene.ledger.accounts))
    changed = [scene.platform.edit(account_id, rng) for account_id in accounts]
    scene.note("edited", str(sum(changed)))


async def same_id(scene: Scene, rng: Random) -> None:
    """Messages of other conversations have the ids of messages that are listed already."""
    accounts = pick_some(rng, sorted(scene.ledger.accounts))
    used = [scene.platform.use_id_again(account_id, rng) for account_id in accounts]
    scene.note("same_id", str(sum(used)))


async def slow_uplink(scene: Scene, rng: Random) -> None:
    """The line of a worker carries few kilobytes a second for a while."""
    line = pick(rng, [line for line in scene.lines if line.namespace == "/worker"])
    if line is None:
        return
    rate = rng.choice((1_000.0, 4_000.0, 16_000.0))
    scene.note("slow_uplink", f"{line.owner} {rate:g} bytes a second")
    line.link.up.narrow(rate)
    await asyncio.sleep(rng.uniform(*SPELL_S))
    line.link.up.narrow(None)


async def stuck_browser(scene: Scene, rng: Random) -> None:
    """A worker sends heartbeats, but looks at nothing and reports nothing for a while."""
    worker = pick(rng, scene.workers)
    if worker is None:
        return
    scene.note("stuck_browser", worker.profile.id)
    worker.get_stuck()
    await asyncio.sleep(rng.uniform(*SPELL_S))
    worker.come_round()


FIELD_FAULTS: dict[str, Fault] = {
    "logged_out": _ends_session("logged_out", LoginStatus.LOGGED_OUT),
    "captcha": _ends_session("captcha", LoginStatus.NEEDS_VERIFICATION),
    "banned": _judges("banned", AccountStatus.BANNED),
    "restricted": _judges("restricted", AccountStatus.RESTRICTED),
    "wrong_phones": _mood("wrong_phones", *_set("wrong_phones")),
    "odd_fields": _mood("odd_fields", _report_oddly, _set("odd")[1]),
    "edited": edited,
    "same_id": same_id,
    "histories": _mood("histories", *_set("histories")),
    "slow_uplink": slow_uplink,
    "stuck_browser": stuck_browser,
    "short_cookies": _mood("short_cookies", *_set("short_cookies")),
}
"""Name -> fault. All draw from streams of their own, also whether a seed has them."""


def heal_field(scene: Scene) -> None:
    """End the mischief: what it did to accounts and messages remains to be told."""
    scene.platform.mischief.end()
    for worker in scene.workers:
        worker.come_round()
    for line in scene.lines:
        line.link.up.narrow(None)
