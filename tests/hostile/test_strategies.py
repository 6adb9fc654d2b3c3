"""Unforeseen payloads: generated from the types' JSON schemas, with any value in any field."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import aiohttp
import pytest
from hypothesis import HealthCheck, Verbosity, given, settings
from hypothesis import strategies as st

from master.endpoints import ENDPOINTS, ROOT
from master.protocol.detected import CommentItem, DirectMessageItem
from master.routes import NAMESPACES
from tests.conftest import Bench
from tests.hostile.peers import join
from tests.hostile.strategies import Values, almost, almost_query
from tests.hostile.test_events import introduce
from tests.hostile.test_routes import Caller
from tests.hostile.world import DEVICE, WORKER, Bystanders, Stage, watch
from tests.hostile.zoo import Shape
from tests.waiting import PATIENCE_S

BOUNDED = settings(
    max_examples=30,
    derandomize=True,  # a failing example is reproduced
    database=None,
    deadline=None,
    verbosity=Verbosity.quiet,
    # one Master receives all examples: its state by then is part of the test
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

SAFE = [
    endpoint
    for endpoint in ENDPOINTS
    if endpoint.method != "DELETE" and "/lifecycle/" not in endpoint.path
]
"""Routes that neither remove the target of the next request nor start a process."""

NO_QUERY: Values = st.just({})


async def name_what_exists(stage: Stage) -> dict[str, str]:
    """Return existing values by field; the login is open.

    An earlier example may have made the account unfit for the worker, so this repairs it first.
    """
    await stage.restore()
    session = await stage.example_of("worker", "worker:login:qrcode")
    return {
        "id": session["account_id"],
        "workerId": WORKER,
        "worker_id": WORKER,
        "assigned_worker_id": WORKER,
        "pinned_worker_id": WORKER,
        "account_id": session["account_id"],
        "session_id": session["session_id"],
        "device_id": DEVICE,
        "notification_id": await stage.find_id("notifications"),
    }


@pytest.mark.parametrize("name", NAMESPACES)
@BOUNDED
@given(data=st.data())
async def test_any_payload_is_answered_and_a_refusal_leaves_no_trace(
    bench: Bench, bystanders: Bystanders, stage: Stage, name: str, data: st.DataObject
) -> None:
    await bench.worker(WORKER)
    names = await name_what_exists(stage)
    async with join(bench.master.port, f"/{name}") as peer:
        await introduce(peer)
        with watch(bench) as witness:
            for route in NAMESPACES[name].values():
                payload = data.draw(almost(route.payload, names), label=route.event)
                if isinstance(payload, dict) and isinstance(payload.get("messages"), list):
                    item = almost(CommentItem, {}) | almost(DirectMessageItem, {})
                    payload["messages"] = data.draw(st.lists(item, max_size=3), label="messages")
                answer = await peer.ask(route.event, Shape((json.dumps(payload),)))
                if answer["success"]:
                    witness.look()
                else:
                    assert witness.nothing_changed()
    await bystanders.work()


@BOUNDED
@given(data=st.data())
async def test_any_request_is_answered_and_a_refusal_leaves_no_trace(
    bench: Bench, bystanders: Bystanders, stage: Stage, data: st.DataObject
) -> None:
    await bench.worker(WORKER)
    names = await name_what_exists(stage)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S)) as session:
        caller = Caller(session, bench.master.port)
        with watch(bench) as witness:
            for endpoint in data.draw(
                st.lists(st.sampled_from(SAFE), min_size=6, max_size=6), label="routes"
            ):
                path = endpoint.path.replace("{id}", names["id"]).replace("{link}", "x")
                path = path.replace("{kind}", "comments")
                query = data.draw(almost_query(endpoint.query, names) | NO_QUERY, label="query")
                body = None
                if endpoint.body is not None:
                    body = json.dumps(
                        data.draw(almost(endpoint.body, names), label="body")
                    ).encode()
                if (
                    await caller.ask(endpoint.method, f"{ROOT}{path}?{urlencode(query)}", body)
                    < 400
                ):
                    witness.look()
                else:
                    assert witness.nothing_changed()
    await bystanders.work()
