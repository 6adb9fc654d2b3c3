"""Faults of peers that flood, send impossible requests, or resend in another order."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from simulator.actors.transport import AckLate, LinkDown
from simulator.truth.api import ApiTrouble
from simulator.truth.tally import WorkerState
from simulator.virtual.faults.base import Fault, pick
from simulator.virtual.scene import Scene

FLOOD = (200, 1_000)
"""Fewest and most events of a flood; the most is half of what one socket may send at once."""

FLOODS = {
    "/worker": ("worker:heartbeat", "worker:goodbye", "worker:login:status", "no:such:event"),
    "/admin": ("master:login:user_input", "master:login:cancel", "no:such:event"),
    "/client": ("client:heartbeat", "client:sync:request", "no:such:event"),
}

CROWD = 8
"""Most workers of a crowd; they return under the same names."""

CROWD_PATIENCE_S = 5.0

PATIENCE_S = 60.0

WAIT_S = 10.0
"""Seconds to wait until a worker has two unacknowledged reports."""


SETTLE_S = 0.01
"""Seconds after which interrupted reports are back in the outbox."""


async def flood(scene: Scene, rng: Random) -> None:
    """A stranger sends hundreds of events at once, and then waits for the last acknowledgement."""
    namespace = rng.choice(tuple(FLOODS))
    event, count = rng.choice(FLOODS[namespace]), rng.randint(*FLOOD)
    scene.note("flood", f"{count} {event}")
    transport = scene.open_stranger(namespace, "flood")
    try:
        await transport.connect()
        for number in range(count):
            transport.send_raw(
                f'42{namespace},{1_000_000 + number}["{event}",{{"number":{number}}}]'
            )
        await transport.call(event, {}, PATIENCE_S)
    except LinkDown:
        pass
    except AckLate as late:
        if scene.is_calm_since(PATIENCE_S):
            scene.ledger.complain(
                "stranger_unanswered",
                f"{late} after {count} others was not answered within a minute",
            )
    finally:
        transport.cut()


async def mistaken_request(scene: Scene, rng: Random) -> None:
    """A person or a script sends an impossible HTTP request."""
    account = pick(rng, sorted(scene.ledger.accounts))
    away = [
        one
        for one in scene.workers
        if scene.tally.worker_states[one.profile.id] is not WorkerState.CONNECTED
    ]
    worker = pick(rng, away or scene.workers)
    if account is None or worker is None:
        return
    requests: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("GET", "nowhere", {}),
        ("PUT", "accounts", {}),
        ("GET", "accounts?colour=red", {}),
        ("GET", "workers/nobody", {}),
        ("PATCH", f"accounts/{account}", {"status": "no such state"}),
        ("POST", f"accounts/{account}/login", {"worker_id": worker.profile.id}),
        ("POST", f"workers/{worker.profile.id}/lifecycle/stop", {}),
        ("POST", "accounts", await _show_twin(scene, account)),
    )
    method, path, body = rng.choice(requests)
    scene.note("mistaken_request", f"{method} {path}")
    await scene.ask_http(method, path, body)


async def _show_twin(scene: Scene, account_id: str) -> dict[str, Any]:
    """Return a body that would create a second row for an existing account."""
    try:
        status, answer = await scene.api.ask("GET", f"accounts/{account_id}")
    except ApiTrouble:
        status, answer = 0, {}
    shown = answer.get("account", answer)
    if status != 200 or not shown.get("account_id"):
        return {}
    return {
        "platform": shown["platform"],
        "account_name": "twin",
        "account_id": shown["account_id"],
    }


async def resent_anyhow(scene: Scene, rng: Random) -> None:
    """A worker loses its connection and resends its unacknowledged reports in another order.

    A link keeps its order, as TCP does. An outbox need not: several tasks send it, or it is read
    from a disk.
    """
    accounts = sorted(scene.ledger.accounts)
    holding = [
        one
        for one in scene.workers
        if any(one.find_epoch(account) is not None for account in accounts)
    ]
    worker = pick(rng, holding)
    if worker is None:
        return
    for line in scene.lines:
        if line.owner == worker.profile.id:
            line.link.go_dark(up=False)
    for _ in range(int(WAIT_S * 10)):
        if worker.waiting_reports > 1:
            break
        await asyncio.sleep(0.1)
    scene.note("resent_anyhow", f"{worker.profile.id} {worker.waiting_reports}")
    for line in scene.lines:
        if line.owner == worker.profile.id:
            line.transport.cut()
    await asyncio.sleep(SETTLE_S)
    worker.shuffle_reports(rng)


async def silent_crowd(scene: Scene, rng: Random) -> None:
    """Unknown workers register, are assigned nothing, and fall silent at once."""
    names = [f"crowd-{number}" for number in range(rng.randint(3, CROWD))]
    scene.note("silent_crowd", str(len(names)))
    lines = [scene.open_stranger("/worker", name) for name in names]
    scene.crowd.update(names)
    for name, line in zip(names, lines, strict=True):
        told = {
            "workerId": name,
            "capabilities": ["nothing"],
            "maxAccounts": 1,
            "host": "h",
            "port": 1,
            "version": "1",
        }
        try:
            await line.connect()
            await line.call("worker:register", told, CROWD_PATIENCE_S)
        except (LinkDown, AckLate):
            continue
    await asyncio.sleep(rng.uniform(0.0, 10.0))
    for line in lines:
        line.cut()


NUISANCE_FAULTS: dict[str, Fault] = {
    fault.__name__: fault for fault in (flood, mistaken_request, resent_anyhow, silent_crowd)
}
