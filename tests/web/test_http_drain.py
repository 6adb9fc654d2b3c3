"""Workers are taken out of service over HTTP, before a restart as well, and the farm as a whole."""

from __future__ import annotations

import pytest

from master.operations.drains import go_on_draining
from tests.waiting import until


@pytest.mark.parametrize(
    "body",
    [
        {}, {"deadline_s": None}, {"deadline_s": 9}, {"deadline_s": 86_401}, {"deadline_s": "soon"},
        {"deadline_s": 60, "deadline": 60}, {"deadline_s": 60, "reason": "r" * 10_000},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/workers/w/drain", "/maintenance"])
async def test_a_wrong_request_is_refused_by_field(site, path, body):
    await site.register_worker("w")
    error = await site.refused("POST", path, 422, json=body)
    assert error["code"] == "invalid"
    assert error["details"][0]["field"] in {"deadline_s", "deadline", "reason"}


async def test_a_worker_is_drained_and_put_back(site):
    assert (await site.refused("POST", "/workers/w/drain", 404, json={"deadline_s": 60}))[
        "code"
    ] == "unknown_worker"
    await site.register_worker("w")
    assert (await site.refused("DELETE", "/workers/w/drain", 409))["code"] == "not_draining"
    body = {"deadline_s": 60, "reason": "new disk"}
    shown = (await site.call("POST", "/workers/w/drain", json=body))["worker"]
    assert (shown["draining"]["state"], shown["draining"]["reason"]) == ("draining", "new disk")
    [listed] = (await site.call("GET", "/workers"))["data"]
    assert listed["draining"] == shown["draining"]
    await site.turns.run(go_on_draining, None)
    assert (await site.call("GET", "/workers/w"))["worker"]["draining"]["state"] == "done"
    assert (await site.call("DELETE", "/workers/w/drain"))["worker"]["draining"] is None


async def test_a_process_is_restarted_once_its_accounts_have_left_it(site):
    await site.call("POST", "/worker-configs", 201, json={"worker_id": "w"})
    path = "/workers/w/lifecycle"
    error = await site.refused("POST", path + "/restart", 404, json={"drain_s": 60})
    assert error["code"] == "unknown_worker"
    pid = (await site.call("POST", path + "/start"))["process"]["pid"]
    await site.register_worker("w")
    answer = (await site.call("POST", path + "/restart", json={"drain_s": 60}))["process"]
    assert (answer["pid"], answer["draining"]["state"]) == (pid, "draining")
    await site.turns.run(go_on_draining, None)
    await until(lambda: site.supervisor.status("w").pid not in (None, pid))
    await until(lambda: site.memory.farm.workers.get("w").drain_since is None)


async def test_a_cancelled_drain_restarts_nothing(site):
    await site.call("POST", "/worker-configs", 201, json={"worker_id": "w"})
    path = "/workers/w/lifecycle"
    pid = (await site.call("POST", path + "/start"))["process"]["pid"]
    await site.register_worker("w")
    await site.call("POST", path + "/restart", json={"drain_s": 60})
    await site.call("DELETE", "/workers/w/drain")
    assert (await site.call("GET", path + "/status"))["process"]["pid"] == pid


async def test_a_maintenance_is_shown_with_the_status_until_it_ends(site):
    none = {"active": False, "since": None, "deadline_at": None, "reason": None, "by": None}
    assert (await site.call("GET", "/maintenance"))["maintenance"] == none
    assert (await site.refused("DELETE", "/maintenance", 409))["code"] == "not_in_maintenance"
    body = {"deadline_s": 60, "reason": "new switch"}
    before = (await site.call("GET", "/maintenance"))["rev"]
    answer = await site.call("POST", "/maintenance", json=body)
    begun = answer["maintenance"]
    assert answer["rev"] > before
    assert (begun["active"], begun["deadline_at"] - begun["since"]) == (True, 60)
    assert (await site.call("GET", "/status"))["status"]["maintenance"] == begun
    assert (await site.call("DELETE", "/maintenance"))["maintenance"] == none
