"""Every malformed shape of every event in every namespace: refused without a trace, or accepted."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import aiohttp
import pytest

from master.endpoints import ENDPOINTS, ROOT
from master.routes import NAMESPACES, Route
from master.store.sqlite.upgrade import check
from tests.conftest import Bench
from tests.hostile.peers import RawPeer, join
from tests.hostile.world import Bystanders, Stage, introduction, read_example, watch
from tests.hostile.zoo import Shape, plan_shapes

EVENTS = [(name, route) for name, routes in NAMESPACES.items() for route in routes.values()]
EACH_EVENT = pytest.mark.parametrize(
    ("name", "route"), EVENTS, ids=[f"{n}-{r.event}" for n, r in EVENTS]
)

WHO_IT_IS = {"worker:register", "worker:goodbye", "client:register"}
"""Events after which a peer may have another identity, or none."""

SOME = 4
"""Test every nth shape when the test is about something else."""


async def introduce(peer: RawPeer) -> None:
    """Identify this peer as its namespace requires."""
    said = introduction(peer.namespace[1:])
    if said is not None:
        event, payload = said
        answer = await peer.ask(event, Shape((json.dumps(payload),)))
        assert answer["success"], answer


async def throw_all(bench: Bench, stage: Stage, peer: RawPeer, route: Route) -> Counter[str]:
    """Send every shape of one event; count the accepted and the refused ones."""
    name = peer.namespace[1:]
    example = await stage.example_of(name, route.event)
    counts: Counter[str] = Counter()
    with watch(bench) as witness:
        for label, build in plan_shapes(example, route.payload).items():
            answer = await peer.ask(route.event, build(example))
            if answer["success"]:
                counts["done"] += 1
                if route.event in WHO_IT_IS:
                    await introduce(peer)
                example = await stage.example_of(name, route.event)
                witness.look()
            else:
                counts[answer["error"]["code"]] += 1
                assert witness.nothing_changed(), f"{label}: refused, and yet something changed"
    return counts


@EACH_EVENT
async def test_every_shape_is_answered_and_a_refusal_leaves_no_trace(
    bench: Bench, bystanders: Bystanders, stage: Stage, name: str, route: Route
) -> None:
    await bystanders.work()
    async with (
        join(bench.master.port, "/worker") as worker,
        join(bench.master.port, f"/{name}") as peer,
    ):
        await introduce(worker if name == "admin" else peer)
        counts = await throw_all(bench, stage, peer, route)
        assert counts["done"]
        assert counts["unreadable"]
        await bystanders.work()


@pytest.mark.parametrize("name", NAMESPACES)
async def test_an_unauthenticated_peer_is_answered_as_well(bench: Bench, name: str) -> None:
    async with join(bench.master.port, f"/{name}") as peer:
        for event in NAMESPACES[name]:
            for text in ("{}", "null", "[]", "[[]],1", json.dumps(read_example(name, event))):
                await peer.ask(event, Shape((text,)))
            await peer.ask(event, Shape(()))


@pytest.mark.parametrize("name", NAMESPACES)
async def test_unknown_and_reserved_names_are_refused(bench: Bench, name: str) -> None:
    names = [
        "",
        "*",
        "connect",
        "disconnect",
        "connect_error",
        "message",
        "error",
        "ping",
        "reserved",
        "trigger_event",
    ]
    names += [
        "__class__",
        "on_connect",
        "x" * 60_000,
        "\u2603",
        "a\nb",
        "a\x00b",
        "Worker:Register",
        "admin:auth ",
    ]
    others = [event for other in NAMESPACES if other != name for event in NAMESPACES[other]]
    async with join(bench.master.port, f"/{name}") as peer:
        for event in names + [event for event in others if event not in NAMESPACES[name]]:
            assert (await peer.ask(event, Shape(("{}",))))["error"]["code"] == "unknown_event"


async def test_bystanders_work_while_everybody_else_misbehaves(
    bench: Bench, bystanders: Bystanders
) -> None:
    async def misbehave(name: str) -> None:
        async with join(bench.master.port, f"/{name}") as peer:
            for route in NAMESPACES[name].values():
                example = read_example(name, route.event)
                for build in [*plan_shapes(example, route.payload).values()][::SOME]:
                    await peer.ask(route.event, build(example))

    attack = asyncio.gather(*map(misbehave, NAMESPACES))
    rounds = 0
    while not attack.done() or rounds < 3:
        await bystanders.work()
        rounds += 1
    await attack
    await bench.advance(1)
    await bystanders.work()
    await read_everything(bench)


async def read_everything(bench: Bench) -> None:
    """Check that all stored data can be read over HTTP, and that the file is sound."""
    async with aiohttp.ClientSession() as session:
        for endpoint in ENDPOINTS:
            if endpoint.method == "GET" and "{" not in endpoint.path:
                async with session.get(
                    f"http://127.0.0.1:{bench.master.port}{ROOT}{endpoint.path}"
                ) as answer:
                    assert answer.status == 200, endpoint.path
    assert check(bench.master.settings.db_path) == []
