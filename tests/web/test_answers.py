"""HTTP answers equal the declared types of their operations and docs/protocol.md."""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import orjson
import pytest

from master.endpoints import ENDPOINTS, ROOT, Endpoint
from master.errors import INTERNAL, Refusal, every_refusal
from master.protocol.answers import Listing
from master.protocol.wire import refuse
from master.web.answers import answer_internal, answer_refusal

SHOWING = [one for one in ENDPOINTS if one.method == "GET" and not one.path.endswith(".png")]


async def fill(site: Any) -> dict[str, str]:
    """Create one of each noun; return their ids."""
    worker, account = await site.register_worker(), await site.add_account()
    started = (await site.call("POST", f"/accounts/{account['id']}/login"))["login_session"]
    await site.detect(
        worker, account["id"], "comment", {"platform_comment_id": "c", "content": "a"}
    )
    await site.detect(
        worker, account["id"], "direct_message", {"platform_message_id": "d", "content": "b"}
    )
    proxy = (await site.call("POST", "/proxies", 201, json={"name": "p", "server": "127.0.0.1:1"}))[
        "proxy"
    ]
    await site.call(
        "POST",
        "/worker-configs",
        201,
        json={"worker_id": "worker-1", "command": "sleep", "args": ["600"]},
    )
    await site.call("POST", f"/accounts/{started['account_id']}/login-links", json={})
    await site.call("POST", "/console/views", json={"name": "v", "url": "#/accounts"})
    return {
        "accounts": account["id"],
        "workers": "worker-1",
        "worker-configs": "worker-1",
        "proxies": proxy["id"],
        "login-sessions": started["session_id"],
    }


def require_shape(shown: Any, kind: Any) -> None:
    """Check the field names of an answer, nested ones included, against its type."""
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        assert set(shown) == set(hints)
        for name, value in shown.items():
            require_shape(value, hints[name])
    elif get_origin(kind) is list:
        for value in shown:
            require_shape(value, get_args(kind)[0])
    elif shown is not None:
        for inner in get_args(kind):
            if is_typeddict(inner):
                require_shape(shown, inner)


@pytest.mark.parametrize("endpoint", SHOWING, ids=lambda one: one.path)
async def test_what_is_shown_has_the_fields_of_its_type(site: Any, endpoint: Endpoint) -> None:
    names = await fill(site)
    if endpoint.path == "/processes":
        await site.call("POST", "/workers/worker-1/lifecycle/start")
    path = endpoint.path.replace("{id}", names.get(endpoint.path.split("/")[1], ""))
    answer = await site.call("GET", path)
    kind = get_type_hints(endpoint.operation or endpoint.edge)["return"]
    if get_origin(kind) is Listing:
        named = {endpoint.noun.deployed_as} - {None}
        assert {name for name in answer if isinstance(answer[name], list)} == {"data", *named}
        assert [answer[name] for name in named] == [answer["data"]] * len(named)
        assert answer["data"], "there is one"
        require_shape(answer["data"], list[get_args(kind)[0]])
    else:
        assert answer[endpoint.noun.singular] == answer["data"]
        require_shape(answer["data"], kind)


async def test_what_is_added_changed_and_removed_is_shown_as_what_is_read(site: Any) -> None:
    names = await fill(site)
    bodies = {
        "accounts": {"account_name": "n"},
        "proxies": {"name": "n"},
        "worker-configs": {"auto_start": False},
    }
    for noun, body in bodies.items():
        path = f"/{noun}/{names[noun]}"
        read = (await site.call("GET", path))["data"]
        changed = (await site.call("PATCH", path, json=body))["data"]
        assert set(changed) == set(read) == set((await site.call("DELETE", path))["data"])


@pytest.mark.parametrize("kind", list(every_refusal()), ids=lambda kind: kind.code)
@pytest.mark.parametrize(
    "more", [{}, {"details": [{"field": "a", "message": "b"}], "retry_after_ms": 1_500}]
)
def test_a_refusal_has_the_same_error_object_over_http_as_on_a_socket(
    kind: type[Refusal], more: Any
) -> None:
    refusal = kind(**more)
    answer = answer_refusal(refusal)
    assert orjson.loads(answer.text or "") == refuse(refusal)
    assert orjson.loads(answer.text or "")["error"]["retryable"] is kind.retryable


def test_an_internal_error_has_the_same_error_object_over_http_as_on_a_socket() -> None:
    answer = orjson.loads(answer_internal().text or "")
    assert answer == {"success": False, "error": INTERNAL}


@pytest.mark.parametrize("path", ["/", ROOT, f"{ROOT}/"])
async def test_every_link_of_an_index_answers(site: Any, path: str) -> None:
    answer = await site.ask("GET", path)
    index = await answer.json()
    assert (answer.status, index["success"], index["name"]) == (200, True, "master")
    assert index["version"] == site.vitals.version
    assert index["links"]
    for link in index["links"].values():
        if link != "/socket.io":  # its server is not part of the site
            assert (await site.ask("GET", link)).status == 200, link
    assert (await site.ask("HEAD", path)).status == 200
    assert (await site.ask("POST", path)).status == 405


async def test_the_index_of_the_api_links_to_every_list(site: Any) -> None:
    index = await (await site.ask("GET", ROOT)).json()
    lists = {one.path for one in SHOWING if "{" not in one.path}
    assert set(index["links"].values()) == {ROOT + path for path in lists}
