"""Faults of peers: strangers, impostors, changed settings, bursts and last-moment events."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import Any

from simulator.actors.transport import AckLate, LinkDown
from simulator.truth.ledger import SECRET_MARK
from simulator.virtual.faults.base import Fault, pick, pick_some
from simulator.virtual.machine.wire import LinkTransport
from simulator.virtual.scene import Scene

PLATFORMS = ("douyin", "xiaohongshu")


FORGED_SUCCESS = {
    "status": "success",
    "cookies": [{"name": "sessionid", "value": f"{SECRET_MARK}.forged"}],
}


async def impostor(scene: Scene, rng: Random) -> None:
    """A worker registers from a second host and reports another's login; it may leave properly."""
    worker = pick(rng, scene.workers)
    if worker is None:
        return
    scene.note("impostor", worker.profile.id)
    transport = scene.open_stranger("/worker", "impostor")
    try:
        await transport.connect()
        await transport.call("worker:register", worker.profile.to_wire(), 10.0)
        foreign = [
            name
            for name, login in scene.overseer.open_logins.items()
            if login.worker_id != worker.profile.id
        ]
        if foreign:
            ack = await transport.call(
                "worker:login:status", {"session_id": foreign[0], **FORGED_SUCCESS}, 10.0
            )
            if ack.get("success") is True:
                scene.ledger.complain(
                    "forgery_taken",
                    f"{worker.profile.id} ended {foreign[0]}, another worker's login",
                )
            else:
                scene.trace.note_refusal(ack)
        await asyncio.sleep(rng.uniform(0.0, 15.0))
        await _report_of_strangers(scene, transport, worker.profile.id)
        if rng.random() < 0.5:
            await transport.disconnect()
    except (LinkDown, AckLate):
        pass
    finally:
        transport.cut()


async def _report_of_strangers(scene: Scene, transport: LinkTransport, worker_id: str) -> None:
    """Report a message of an account that this worker has never owned."""
    theirs = [
        name
        for name in sorted(scene.ledger.accounts)
        if (name, worker_id) not in scene.overseer.held
    ]
    if not theirs:
        return
    forged = {"platform_comment_id": "forged", "content": "forged"}
    report = {"type": "comment", "account_id": theirs[0], "messages": [forged]}
    ack = await transport.call("worker:message:detected", report, 10.0)
    if ack.get("success") is True:
        scene.ledger.complain(
            "foreign_fact", f"{worker_id} reported of {theirs[0]}, which it never owned"
        )
    else:
        scene.trace.note_refusal(ack)


async def hostile(scene: Scene, rng: Random) -> None:
    """A stranger sends unknown, malformed, forged, excessive or unfinished events."""
    namespace = rng.choice(("/worker", "/admin", "/client"))
    scene.note("hostile", namespace)
    transport = scene.open_stranger(namespace, "hostile")
    try:
        await transport.connect()
        for _ in range(rng.randint(1, 12)):
            event, payload = draw_nonsense(scene, rng, namespace)
            ack = await transport.call(event, payload, 60.0)
            if ack.get("success") is not True:
                scene.trace.note_refusal(ack)
            elif event not in HARMLESS:
                scene.ledger.complain("forgery_taken", f"{event} of a stranger was accepted")
        for frame in pick_some(rng, BROKEN_FRAMES):
            transport.send_raw(frame.replace("NS", namespace))
        await asyncio.sleep(rng.uniform(0.0, 5.0))
    except LinkDown:
        pass
    except AckLate as late:
        if scene.is_calm_since(60.0):
            scene.ledger.complain("stranger_unanswered", f"{late} was not answered within a minute")
    finally:
        transport.cut()


HARMLESS = frozenset({"admin:status:request", "client:register", "client:heartbeat", "client:ping"})
"""Events that any peer may send; Master must refuse every other event of a stranger."""

NONSENSE: tuple[Any, ...] = (
    {}, {"workerId": None}, {"workerId": ["x"]}, {"workerId": "x" * 10_000}, [], None, 7, "text",
    {"a": {"b": [{"c": []}] * 50}}, {"session_id": "no such"},
    {"account_id": "no such", "type": "comment", "messages": []},
)  # fmt: skip

BROKEN_FRAMES = (
    '42NS,["never closed',
    '42NS,{"an":"object"}',
    "42NS,",
    '451-NS,1["worker:heartbeat",{"_placeholder":true,"num":0}]',
    '42/nowhere,5["x"]',
    "9",
    "4",
    "",
    '42NS,99999999999999999999999["x"]',
)

EVENTS = {
    "/worker": (
        "worker:register", "worker:heartbeat", "worker:goodbye", "worker:message:detected",
        "worker:login:qrcode", "worker:login:status", "worker:account:status", "no:such:event",
        "connect", "disconnect",
    ),
    "/admin": (
        "master:login:start", "master:login:cancel", "master:login:user_input",
        "admin:status:request", "nope",
    ),
    "/client": (
        "client:register", "client:sync:request", "client:notification:ack", "client:heartbeat",
        "nope",
    ),
}  # fmt: skip


def draw_nonsense(scene: Scene, rng: Random, namespace: str) -> tuple[str, Any]:
    """Return an event and payload that Master must refuse: malformed, or forged with real names."""
    event = rng.choice(EVENTS[namespace])
    worker, account = pick(rng, scene.workers), pick(rng, sorted(scene.ledger.accounts))
    session = pick(rng, list(scene.ledger.logins))
    if worker is None or rng.random() < 0.6:
        return event, rng.choice(NONSENSE)
    forged = {
        "worker:goodbye": {"workerId": worker.profile.id},
        "worker:login:status": {
            "session_id": session,
            "status": "failed",
            "error_message": "forged",
        },
        "worker:login:qrcode": {
            "session_id": session,
            "account_id": account,
            "qr_code_data": "forged",
        },
        "worker:account:status": {"account_id": account, "status": "offline", "epoch": 1},
        "client:notification:ack": {"device_id": "nobody", "notification_id": "nothing"},
        "master:login:cancel": {"session_id": "no such session"},
    }
    return event, forged.get(event, {"workerId": None})


async def burst(scene: Scene, rng: Random) -> None:
    """Up to ten thousand messages appear within a second."""
    accounts, (count,) = (
        sorted(scene.ledger.accounts),
        rng.choices((20, 200, 1_000, 10_000), (4, 14, 5, 1)),
    )
    if accounts:
        scene.note("burst", str(count))
        scene.platform.burst(pick_some(rng, accounts), count)


async def capacity_change(scene: Scene, rng: Random) -> None:
    """A worker changes how many accounts it accepts."""
    worker = pick(rng, scene.workers)
    if worker is not None:
        room = rng.choice((0, 1, 3, scene.scenario.max_accounts, 2 * scene.scenario.max_accounts))
        scene.note("capacity_change", f"{worker.profile.id} {room}")
        worker.change(replace(worker.profile, max_accounts=room))


async def capability_change(scene: Scene, rng: Random) -> None:
    """A worker changes the platforms that it serves."""
    worker = pick(rng, scene.workers)
    if worker is not None:
        platforms = tuple(sorted(pick_some(rng, PLATFORMS)))
        scene.note("capability_change", f"{worker.profile.id} {platforms}")
        worker.change(replace(worker.profile, capabilities=platforms))


async def edge_scans(scene: Scene, rng: Random) -> None:
    """For some minutes, people scan at the moment when the login expires, and some scan twice."""
    scene.note("edge_scans")
    scene.platform.scan_at_the_edge(rng, scene.settings.login_ttl_s)
    await asyncio.sleep(rng.uniform(60.0, 400.0))
    scene.platform.scan_at_the_edge(None, 0.0)


async def moved_by_hand(scene: Scene, rng: Random) -> None:
    """A person pins an account to a worker, unpins it, or pauses it and activates it again."""
    account, worker = pick(rng, sorted(scene.ledger.accounts)), pick(rng, scene.workers)
    if account is None or worker is None:
        return
    change = rng.choice(
        (
            {"assigned_worker_id": worker.profile.id},
            {"assigned_worker_id": None},
            {"status": "paused"},
        )
    )
    scene.note("moved_by_hand", f"{account} {change}")
    await scene.ask_http("PATCH", f"accounts/{account}", change)
    if "status" in change:
        await asyncio.sleep(rng.uniform(1.0, 60.0))
        await scene.ask_http("PATCH", f"accounts/{account}", {"status": "active"})


async def moved_at_success(scene: Scene, rng: Random) -> None:
    """A person moves an account between its login's success and Master's receipt of the report."""
    session_id = await scene.wait_success(120.0)
    login = scene.ledger.logins.get(session_id or "")
    if login is None:
        return
    # the present owner would keep the account, and a worker without the platform would not get it
    platform = scene.overseer.read_wishes()[login.account_id][0]
    others = [one for one in scene.workers if one.find_epoch(login.account_id) is None]
    worker = pick(
        rng, [one for one in others if platform in one.profile.capabilities] or scene.workers
    )
    if worker is None:
        return
    scene.note("moved_at_success", login.account_id)
    await scene.ask_http(
        "PATCH", f"accounts/{login.account_id}", {"assigned_worker_id": worker.profile.id}
    )


PEOPLE_FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        impostor,
        hostile,
        burst,
        capacity_change,
        capability_change,
        edge_scans,
        moved_by_hand,
        moved_at_success,
    )
}
