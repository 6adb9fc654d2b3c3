"""Proxies, worker configurations and worker processes over HTTP."""

from __future__ import annotations

import pytest

PROXY = {
    "name": "p",
    "server": "127.0.0.1:8080",
    "protocol": "http",
    "username": "u",
    "password": "top-secret",
}


async def add_proxy(site, **fields):
    return (await site.call("POST", "/proxies", 201, json={**PROXY, **fields}))["proxy"]


async def test_a_proxy_is_kept_and_its_password_never_shown(site):
    answer = await site.ask("POST", "/api/v1/proxies", json=PROXY)
    assert "top-secret" not in await answer.text()
    proxy = (await answer.json())["proxy"]
    assert answer.headers["Location"] == f"/api/v1/proxies/{proxy['id']}"
    assert proxy["has_password"] is True
    path = f"/proxies/{proxy['id']}"
    assert (await site.call("GET", path))["proxy"] == proxy
    changed = (await site.call("PUT", path, json={**proxy, "name": "q", "protocol": "socks5"}))[
        "proxy"
    ]
    assert (changed["name"], changed["protocol"], changed["has_password"]) == ("q", "socks5", True)
    assert (await site.call("PATCH", path, json={"password": None}))["proxy"][
        "has_password"
    ] is False
    listed = await site.call("GET", "/proxies")
    assert ([row["id"] for row in listed["data"]], listed["total"]) == ([proxy["id"]], 1)
    assert (await site.call("DELETE", path))["proxy"]["id"] == proxy["id"]
    await site.refused("GET", path, 404)
    await site.refused("PUT", path, 404, json={})
    await site.refused("DELETE", path, 404)


async def test_a_proxys_name_is_its_own(site):
    first, second = await add_proxy(site), await add_proxy(site, name="other")
    error = await site.refused("POST", "/proxies", 409, json=PROXY)
    assert (error["code"], error["details"]) == ("already_exists", [{"id": first["id"]}])
    await site.refused("PUT", f"/proxies/{second['id']}", 409, json={"name": "p"})
    await site.call("PUT", f"/proxies/{first['id']}", json={"name": "p"})


@pytest.mark.parametrize(
    ("field", "value"),
    [("server", "nowhere"), ("server", "h:0"), ("server", "h:65536"), ("server", "h:1\r\nX: y"),
    ("protocol", "ftp"),
     ("status", "odd"), ("name", None), ("colour", "red"), ("password", ["x"])],
)  # fmt: skip
async def test_wrong_values_of_a_proxy_are_named_without_being_repeated(site, field, value):
    error = await site.refused("POST", "/proxies", 422, json={**PROXY, field: value})
    assert error["details"][0]["field"] == field
    assert "top-secret" not in str(error)


async def test_a_proxy_in_use_is_not_removed(site):
    proxy = await add_proxy(site)
    await site.call(
        "POST", "/worker-configs", 201, json={"worker_id": "w", "proxy_id": proxy["id"]}
    )
    error = await site.refused("DELETE", f"/proxies/{proxy['id']}", 409)
    assert (error["code"], error["details"]) == ("conflict", [{"worker_id": "w"}])
    await site.call("DELETE", "/worker-configs/w")
    await site.call("DELETE", f"/proxies/{proxy['id']}")


async def test_a_worker_configuration_is_kept_and_its_environment_not_shown(site):
    body = {
        "worker_id": "w/1 ü",
        "command": "run",
        "args": ["-v"],
        "env": {"TOKEN": "hush"},
        "auto_start": True,
    }
    answer = await site.ask("POST", "/api/v1/worker-configs", json=body)
    assert "hush" not in await answer.text()
    created = (await answer.json())["worker_config"]
    assert (created["env"], created["args"]) == (["TOKEN"], ["-v"])
    location = answer.headers["Location"]
    assert location == "/api/v1/worker-configs/w%2F1%20%C3%BC"
    path = location.removeprefix("/api/v1")
    assert (await site.call("GET", path))["worker_config"] == created
    site.clock.advance(1)
    changed = (
        await site.call("PUT", path, json={"auto_restart": True, "worker_id": "w/1 ü", "args": []})
    )["data"]
    assert (changed["auto_start"], changed["auto_restart"], changed["args"]) == (True, True, [])
    assert (changed["env"], changed["updated_at"]) == (["TOKEN"], created["updated_at"] + 1)
    assert (await site.call("GET", "/worker-configs?limit=1"))["total"] == 1
    await site.refused("POST", "/worker-configs", 409, json=body)
    await site.call("DELETE", path)
    for method in ("GET", "PUT", "DELETE"):
        await site.refused(method, path, 404, json={})


@pytest.mark.parametrize(
    ("field", "value"),
    [("proxy_id", "nobody"), ("worker_id", ""), ("worker_id", "a\u0000b"), ("args", "x"),
    ("args", ["\u0000"]),
     ("env", ["TOKEN"]), ("env", {"A=B": "x"}), ("max_accounts", -1), ("auto_start", "perhaps"),
     ("odd", 1)],
)  # fmt: skip
async def test_wrong_values_of_a_configuration_are_named(site, field, value):
    error = await site.refused(
        "POST", "/worker-configs", 422, json={"worker_id": "w", field: value}
    )
    assert error["details"][0]["field"].partition(".")[0] == field
    assert (await site.call("GET", "/worker-configs"))["total"] == 0


async def test_an_unknown_proxy_is_refused_in_a_change_too(site):
    await site.call("POST", "/worker-configs", 201, json={"worker_id": "w"})
    error = await site.refused("PUT", "/worker-configs/w", 422, json={"proxy_id": "nobody"})
    assert error["details"][0]["field"] == "proxy_id"


async def test_a_workers_process_is_started_shown_restarted_and_stopped(site):
    await site.call("POST", "/worker-configs", 201, json={"worker_id": "w"})
    path = "/workers/w/lifecycle"
    assert (await site.call("GET", path + "/status"))["process"]["state"] == "stopped"
    assert (await site.refused("POST", path + "/stop", 409))["code"] == "not_running"
    started = (await site.call("POST", path + "/start", json={}))["process"]
    assert (started["worker_id"], started["state"]) == ("w", "running")
    assert (await site.refused("POST", path + "/start", 409))["code"] == "already_running"
    restarted = (await site.call("POST", path + "/restart"))["process"]
    assert restarted["pid"] not in (None, started["pid"])
    assert (await site.call("GET", path + "/status"))["process"] == restarted
    stopped = (await site.call("POST", path + "/stop"))["data"]
    assert (stopped["state"], stopped["pid"]) == ("stopped", None)


async def test_the_end_of_a_workers_output_is_shown(site, settings):
    await site.call("POST", "/worker-configs", 201, json={"worker_id": "w"})
    path = "/workers/w/lifecycle/logs"
    assert (await site.call("GET", path))["logs"] == []
    output = settings.log_dir / "workers" / "w.log"
    output.parent.mkdir(parents=True)
    output.write_text("one\ntwo\nthree\n")
    shown = await site.call("GET", path + "?lines=2")
    assert shown["logs"] == shown["data"] == ["two", "three"]
    await site.refused("GET", path + "?lines=0", 422)


async def test_a_command_that_is_not_there_cannot_be_started(site):
    await site.call(
        "POST", "/worker-configs", 201, json={"worker_id": "w", "command": "/nowhere/to/be/found"}
    )
    assert (await site.refused("POST", "/workers/w/lifecycle/start", 409))["code"] == "start_failed"
    assert (await site.call("GET", "/workers/w/lifecycle/status"))["process"]["state"] == "failed"


async def test_a_worker_without_a_configuration_cannot_be_started(site):
    await site.register_worker("remote")
    for method, verb in (
        ("POST", "start"),
        ("POST", "stop"),
        ("POST", "restart"),
        ("GET", "status"),
        ("GET", "logs"),
    ):
        error = await site.refused(method, f"/workers/remote/lifecycle/{verb}", 404)
        assert "POST /api/v1/worker-configs" in error["message"]


async def test_what_runs_can_be_stopped_after_its_configuration_is_gone(site):
    await site.call("POST", "/worker-configs", 201, json={"worker_id": "w"})
    await site.call("POST", "/workers/w/lifecycle/start")
    await site.call("DELETE", "/worker-configs/w")
    assert (await site.call("GET", "/workers/w/lifecycle/status"))["process"]["state"] == "running"
    assert (await site.call("POST", "/workers/w/lifecycle/stop"))["process"]["state"] == "stopped"
    await site.refused("POST", "/workers/w/lifecycle/stop", 404)
    await site.refused("GET", "/workers/w/lifecycle/status", 404)


async def test_a_stopping_master_starts_no_process(site):
    await site.call("POST", "/worker-configs", 201, json={"worker_id": "w"})
    site.vitals.stopping = True
    for verb in ("start", "restart"):
        assert (await site.refused("POST", f"/workers/w/lifecycle/{verb}", 503))[
            "code"
        ] == "stopping"
    assert site.supervisor.status("w").state == "stopped"
