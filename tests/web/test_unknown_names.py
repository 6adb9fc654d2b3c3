"""A refusal of an unknown query parameter or body field lists the known ones, on every route."""

from __future__ import annotations

from typing import Any

import pytest

from master.endpoints import ENDPOINTS, ROOT, Endpoint

READING = [one for one in ENDPOINTS if one.method == "GET"]
WRITING = [one for one in ENDPOINTS if one.method != "GET"]
TAKING = [one for one in WRITING if one.body is not None]


def name_route(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def fill_path(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{id}", "x").replace("{kind}", "comments").replace("{link}", "x")


@pytest.mark.parametrize("endpoint", READING, ids=name_route)
async def test_an_unknown_parameter_is_refused_with_the_known_ones(
    site: Any, endpoint: Endpoint
) -> None:
    error = await site.refused("GET", fill_path(endpoint) + "?nonsense=1", 400)
    known = ", ".join(endpoint.parameters)
    message = f"unknown; known are: {known}" if known else "unknown; this route has no parameters"
    assert error["code"] == "unknown_parameter"
    assert error["details"] == [{"field": "nonsense", "message": message}]


@pytest.mark.parametrize("endpoint", WRITING, ids=name_route)
async def test_a_route_that_changes_something_has_no_parameters(
    site: Any, endpoint: Endpoint
) -> None:
    answer = await site.ask(endpoint.method, ROOT + fill_path(endpoint) + "?nonsense=1", json={})
    message = "unknown; this route has no parameters"
    assert (await answer.json())["error"]["details"] == [{"field": "nonsense", "message": message}]


@pytest.mark.parametrize("endpoint", TAKING, ids=name_route)
async def test_an_unknown_field_is_refused_with_the_known_ones(
    site: Any, endpoint: Endpoint
) -> None:
    path = fill_path(endpoint)
    error = await site.refused(endpoint.method, path, 422, json={"nonsense": 1})
    assert endpoint.body is not None
    message = f"unknown; known are: {', '.join(endpoint.body.list_fields())}"
    assert {"field": "nonsense", "message": message} in error["details"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=1&limit=2", "given more than once"),
        ("limit=x", "Input should be a valid integer, unable to parse string as an integer"),
    ],
)
async def test_other_faults_of_known_parameters_keep_their_messages(
    site: Any, query: str, message: str
) -> None:
    error = await site.refused("GET", f"/proxies?{query}", 422 if "x" in query else 400)
    assert error["details"] == [{"field": "limit", "message": message}]
