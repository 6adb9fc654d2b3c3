"""A worker id of a configuration belongs to its process: no other peer can register under it."""

from __future__ import annotations

import pytest

from tests.conftest import Peer, registration
from tests.security.conftest import ANY_WORKER, MINE, ROOT, Guarded

API = "/api/v1"


@pytest.fixture
def given() -> dict[str, str]:
    return {
        "WORKER_TOKENS": f"*:{ANY_WORKER}",
        "ADMIN_TOKENS": f"root:{ROOT}",
        "TRUSTED_WORKERS": "127.0.0.1",
    }


async def configure(guarded: Guarded) -> None:
    body = {"worker_id": "ours", "command": "/bin/true"}
    assert (await guarded.ask("POST", f"{API}/worker-configs", json=body)).status == 201


async def refuse(peer: Peer) -> None:
    for event in ("worker:register", "worker:heartbeat", "worker:goodbye"):
        answer = await peer.ask(event, registration("ours"))
        assert answer["error"]["code"] == "forbidden", answer


@pytest.mark.parametrize(
    "token", [ANY_WORKER, None], ids=["a token for any worker", "a trusted address"]
)
async def test_no_stranger_registers_as_a_process_of_ours(guarded, token: str | None):
    await configure(guarded)
    await refuse(await guarded.connect("worker", token))  # the process is not running yet
    process = await guarded.register("ours", guarded.master.access.issue_worker_token("ours"))
    await guarded.add_account(MINE)
    await refuse(await guarded.connect("worker", token))
    assert process.client.connected
    assert (await process.ask("worker:heartbeat", {"workerId": "ours"}))["accountIds"] == [MINE]
    guarded.master.access.withdraw_worker_token("ours")
    await refuse(await guarded.connect("worker", token))


async def test_an_id_is_free_again_without_its_configuration(guarded):
    await configure(guarded)
    assert (await guarded.ask("DELETE", f"{API}/worker-configs/ours")).status == 200
    await guarded.register("ours", ANY_WORKER)
