"""A Master without tokens authenticates its own processes all the same."""

from __future__ import annotations

import pytest

from tests.conftest import registration
from tests.security.test_processes import API, refuse


@pytest.fixture
def given() -> dict[str, str]:
    return {}


async def test_a_configuration_for_a_proxy_alone_reserves_nothing_until_it_is_started(guarded):
    assert (
        await guarded.ask("POST", f"{API}/worker-configs", None, json={"worker_id": "ours"})
    ).status == 201
    await guarded.register("ours", None)
    token = guarded.master.access.issue_worker_token("ours")
    await refuse(await guarded.connect("worker"))
    await guarded.register("ours", token)
    guarded.master.access.withdraw_worker_token("ours")
    await refuse(await guarded.connect("worker"))


async def test_a_process_of_ours_is_known_by_its_token_and_others_are_not_mistaken_for_it(guarded):
    body = {"worker_id": "ours", "command": "/bin/true"}
    assert (await guarded.ask("POST", f"{API}/worker-configs", None, json=body)).status == 201
    await refuse(await guarded.connect("worker"))
    await refuse(await guarded.connect("worker", "nobodys-secret-token"))
    process = await guarded.register("ours", guarded.master.access.issue_worker_token("ours"))
    refused = await process.ask("worker:register", registration("another"))
    assert refused["error"]["code"] == "forbidden", "its token is for one worker"
    await guarded.register("another", None)
