"""The sections of the HTTP routes, with an example of each, and of the types of their answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from master.endpoints import ENDPOINTS, ROOT, Endpoint
from master.protocol.answers import Listing
from master.protocol.wire import HttpPayload
from tools.protocol.fields import find_inner, list_fields, word_type
from tools.protocol.tables import read_example, read_first, render_fields, render_json

SAME_AS = {"PATCH": "PUT"}
"""Methods that do the same as another one of the same path."""


def name_example(endpoint: Endpoint) -> str:
    """Return the name of the file with an endpoint's example."""
    path = endpoint.path.replace("{", "").replace("}", "").strip("/").replace("/", "-")
    return f"{endpoint.method} {path}.json"


def render_endpoints(examples: Path) -> Iterator[str]:
    """Yield a section per route."""
    for endpoint in ENDPOINTS:
        title = f"`{endpoint.method} {endpoint.path}`"
        yield f"#### {title}\n"
        if same := SAME_AS.get(endpoint.method):
            yield f"The same as `{same} {endpoint.path}`.\n"
            continue
        answers = endpoint.operation or endpoint.edge
        yield f"{read_first(answers)} Scope: {endpoint.scope.name.lower()}.\n"
        yield from _render_part("Query", list_fields_of(endpoint.query))
        if endpoint.body is not None:
            optional = " (an empty body counts as `{}`)" if endpoint.body_optional else ""
            yield from _render_part(f"Body{optional}", list_fields_of(endpoint.body))
        yield f"Answer: {endpoint.status}, {_word_answer(endpoint)}.\n"
        yield from _render_example(examples / "http" / name_example(endpoint))
        yield ""


def list_fields_of(kind: type[HttpPayload]) -> list[Any]:
    """Return the fields of a query or a body; those that the path names are left out."""
    return [field for field in list_fields(kind) if field.name in kind.list_fields()]


def _render_part(title: str, fields: list[Any]) -> Iterator[str]:
    if fields:
        yield f"{title}:\n"
        yield from render_fields(fields)
        yield ""


def _render_example(path: Path) -> Iterator[str]:
    example = read_example(path)
    yield from render_json(example["answer"], title=_word_request(example["request"]))


def _word_request(request: dict[str, Any]) -> str:
    """Return the request of an example as its first lines."""
    body = request.get("body")
    line = f"{request['method']} {ROOT}{request['path']}"
    return f"{line}\n{_compact(body)}\n" if body is not None else f"{line}\n"


def _compact(body: Any) -> str:
    lines = list(render_json(body))
    return "\n".join(lines[1:-1])


def read_return(endpoint: Endpoint) -> Any:
    """Return the type of an endpoint's content: the return type of its operation or edge."""
    return get_type_hints(endpoint.operation or endpoint.edge)["return"]


def _word_answer(endpoint: Endpoint) -> str:
    kind = read_return(endpoint)
    if get_origin(kind) is Listing:
        return f"a page; `data` is a list of {word_type(get_args(kind)[0])}"
    if endpoint.path.endswith(".png"):
        return "an image"
    kinds = (kind,) if get_origin(kind) is list else get_args(kind) or (kind,)
    shown = " or ".join(word_type(one) for one in kinds if one is not Any)
    return f"`{endpoint.noun.singular}` is {shown}"


def list_answer_types() -> list[Any]:
    """Return the types of all answers and of what is inside them, each once."""
    return list(dict.fromkeys(kind for one in ENDPOINTS for kind in _find_types(one)))


def _find_types(endpoint: Endpoint) -> Iterator[Any]:
    for kind in find_inner(read_return(endpoint)):
        if get_origin(kind) is None and kind is not Listing:
            yield kind
