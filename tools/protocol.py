"""Renders docs/protocol.md from the routes, the payload types, the refusals and the settings.

`python -m tools.protocol --write` writes the page; `--check` tells whether it is up to date.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from pydantic import BaseModel, TypeAdapter

from master.endpoints import ENDPOINTS, ROOT, Endpoint
from master.errors import every_refusal
from master.protocol import admin, client, worker
from master.protocol.answers import Listing
from master.protocol.wire import Outbound
from master.routes import NAMESPACES, Route
from master.settings import describe_settings
from master.turn import Bulk

ROOT_FOLDER = Path(__file__).parents[1]
EXAMPLES = ROOT_FOLDER / "fixtures" / "protocol"
PAGE = ROOT_FOLDER / "docs" / "protocol.md"

TOLD: Mapping[str, Mapping[str, type[Outbound]]] = {
    namespace: {kind.event: kind for kind in kinds}
    for namespace, kinds in {
        "worker": (
            worker.Registered,
            worker.TaskAssign,
            worker.TaskRevoke,
            worker.LoginStart,
            worker.LoginCancel,
            worker.UserInputTyped,
        ),
        "admin": (
            admin.AuthSuccess,
            admin.AuthFailed,
            admin.LoginStarted,
            admin.UserInputRelayed,
            admin.LoginList,
            admin.StatusResponse,
            admin.AdminError,
            admin.QrCodeReady,
            admin.LoginSucceeded,
            admin.LoginFailed,
            admin.QrCodeExpired,
            admin.LoginStatusUpdate,
            admin.NewNotification,
            admin.NotificationConfirmed,
            admin.WorkerChanged,
            admin.AccountChanged,
        ),
        "client": (
            client.DeviceRegistered,
            client.DeviceRefused,
            client.SyncResponse,
            admin.NewNotification,
        ),
    }.items()
}
"""Namespace -> the events that Master sends there, by name."""

OPENING = """# Protocol

Made by `python -m tools.protocol --write` from the types; do not edit.

Socket.IO protocol 5 on `/socket.io`, WebSocket or long-polling. Every event is acknowledged with
`{"success": true, ...}` or
`{"success": false, "error": {"code", "message", "retryable", "details"?, "retry_after_ms"?}}`; a
refusal over HTTP has the same body. If the event changes stored data, its acknowledgement is sent
after the commit. Times are Unix seconds; a field called `timestamp` is in milliseconds. Inbound
times may be seconds, milliseconds, microseconds or nanoseconds (told apart by their size: above
10^10, 10^13 and 10^16), texts of ISO 8601, or objects with `seconds` or with the halves `low` and
`high`. The events of one socket are processed in the order in which they were sent.

Send ids as text. A number with a fraction or beyond 2^53 - 1 is refused as an id, because
JavaScript may have rounded it: two ids would become one.

A worker's report is accepted whatever the form of its fields, except those that say what it is
about: the ids, a report's `type`, a login's `status`, a registration's `capabilities`. Any other
field that is too large is cut, one that cannot be read is left out, and some are read in other
forms: objects in place of texts and names, words for a direction, cookies as an object, a text or a
browser's state. NaN and infinities are read as null. The acknowledgement says what was forgiven in
`notes`, a list of `{"field", "message"}` (for messages also `index`). A message's time after
Master's present becomes that present. A request of an administrator or device with such a field is
refused, and the refusal names the field. Of the keys that workers invent (in `metadata`,
`user_info`, `stats` and login reports), people receive only those that docs/security.md names.

If tokens are configured (docs/security.md), Socket.IO accepts `{"token": "..."}` as the `auth`
object of the CONNECT, or a header `Authorization: Bearer`; HTTP accepts only the header. A refused
CONNECT gets a `connect_error` whose `data` is the error object. A socket may also join /admin
without a token and send `admin:auth` within 30 seconds; until then it receives no event, and every
other event is refused. No event has binary parts, and Master requests no acknowledgement. An event
whose packet has more bytes than the column `largest` says, or more than 150,000 values, is refused
as `too_large` before it is parsed; split the report and send its parts. The column `scope` is the
scope that an administrator's token must have; every authenticated worker and device has `read`.
"""

HTTP_OPENING = f"""## HTTP

Under `{ROOT}`, which answers with links to the routes that need no id. A list answers with `total`,
`limit`, `offset`, `has_more` and `next_offset`. A page ends by its size in bytes as well as by
`limit`; the next page begins at `next_offset`, which is null at the end. Each answer has `success`,
and its content both under the name in the column `answer` and as `data`. A query parameter or a
body field that the route does not have is refused; the message lists the known ones.

| route | scope | query | body | answer | |
|---|---|---|---|---|---|"""


def render_protocol(examples: Path) -> str:
    """Return docs/protocol.md; `examples` is the folder of one valid payload per event."""
    parts = [
        OPENING,
        *_render_events(examples),
        *_render_endpoints(),
        *_render_refusals(),
        *_render_settings(),
    ]
    return "\n".join(parts) + "\n"


def _render_events(examples: Path) -> Iterator[str]:
    for name, routes in NAMESPACES.items():
        yield f"## /{name}\n\n### To Master\n"
        yield "| event | scope | largest | payload | |\n|---|---|---|---|---|"
        for route in routes.values():
            scope, size = route.scope.name.lower(), f"{route.payload.largest // 1024:,} KiB"
            cells = f"{scope} | {size} | {_fields(route.payload)} | {_summarise(route)}"
            yield f"| `{route.event}` | {cells} |"
        yield "\n### From Master\n\n| event | payload | |\n|---|---|---|"
        for event, kind in TOLD[name].items():
            yield f"| `{event}` | {_fields(kind)} | {_first_line(kind)} |"
        yield f"\n### Examples on /{name}\n\n```text"
        for event in dict.fromkeys([*routes, *TOLD[name]]):
            yield f"{event} {_read_example(examples / name / f'{event}.json')}"
        yield "```\n"


def _read_example(path: Path) -> str:
    """Return an example on one line, its longest values cut."""
    example = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps(_shorten(example), ensure_ascii=False)


def _shorten(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shorten(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shorten(inner) for inner in value]
    return value[:37] + "..." if isinstance(value, str) and len(value) > 40 else value


def _render_endpoints() -> Iterator[str]:
    yield HTTP_OPENING
    for endpoint in ENDPOINTS:
        body = _fields(endpoint.body) if endpoint.body is not None else ""
        route, scope = f"{endpoint.method} {endpoint.path}", endpoint.scope.name.lower()
        asked = f"{_fields(endpoint.query)} | {body}"
        yield f"| `{route}` | {scope} | {asked} | {_answer(endpoint)} | {_summarise(endpoint)} |"
    yield "\n### Answers\n\n| type | fields | |\n|---|---|---|"
    for kind in dict.fromkeys(
        kind for endpoint in ENDPOINTS for kind in _find_shown(_read_return(endpoint))
    ):
        marks = dict.fromkeys(getattr(kind, "__optional_keys__", ()), "?")
        shown = ", ".join(
            f"`{name}{marks.get(name, '')}`: {_word(one)}"
            for name, one in get_type_hints(kind).items()
        )
        yield f"| {_name(kind)} | {shown} | {_first_line(kind)} |"
    yield ""


def _read_return(endpoint: Endpoint) -> Any:
    """Return the type of an endpoint's content: the return type of its operation or edge."""
    return get_type_hints(endpoint.operation or endpoint.edge)["return"]


def _answer(endpoint: Endpoint) -> str:
    """Return the name and type of an endpoint's content, in one cell."""
    kind = _read_return(endpoint)
    if get_origin(kind) is Listing:
        return f"`{endpoint.noun.plural}`: list of {_word(get_args(kind)[0])}"
    return (
        "an image"
        if endpoint.path.endswith(".png")
        else f"`{endpoint.noun.singular}`: {_word(kind)}"
    )


def _find_shown(kind: Any) -> Iterator[type]:
    """Yield the answer types (TypedDicts) inside a type, and those inside their fields."""
    if is_typeddict(kind):
        yield kind
    for inner in get_type_hints(kind).values() if is_typeddict(kind) else get_args(kind):
        yield from _find_shown(inner)


def _word(kind: Any) -> str:
    """Return the type of an answer's value, in words."""
    if is_typeddict(kind):
        return _name(kind)
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return " or ".join(_word(one) for one in get_args(kind) if one is not Any)
    if get_origin(kind) is list:
        return f"list of {_word(get_args(kind)[0])}"
    words = {
        str: "text",
        int: "integer",
        float: "number",
        bool: "boolean",
        type(None): "null",
        dict: "object",
    }
    return words[get_origin(kind) or kind]


def _name(kind: type) -> str:
    """Return the page's name of an answer type: ShownLiveWorker is a live worker."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind.__name__.removeprefix("Shown")).lower()


def _render_refusals() -> Iterator[str]:
    yield "## Refusals\n\n| code | status | again? | |\n|---|---|---|---|"
    for refusal in every_refusal():
        again = "yes" if refusal.retryable else "no"
        yield f"| `{refusal.code}` | {refusal.status} | {again} | {_first_line(refusal)} |"
    yield "| `internal` | 500 | yes | Something went wrong inside Master. |\n"


def _render_settings() -> Iterator[str]:
    yield "## Settings\n\n| name | default | allowed | |\n|---|---|---|---|"
    for setting in describe_settings():
        cells = f"`{setting.default}` | {setting.allowed} | {setting.description}"
        yield f"| `{setting.name}` | {cells} |"


def _fields(kind: type[BaseModel] | type[Outbound]) -> str:
    """Return a payload's fields in one cell: name, type, `?` if it may be absent."""
    if issubclass(kind, Outbound):
        schema = TypeAdapter(kind).json_schema()
        names = [name for name in schema.get("properties", {}) if name != kind.beside]
        wanted = [name for name in names if name not in kind.may_lack]
    else:
        schema = kind.model_json_schema(by_alias=True)
        names, wanted = list(schema.get("properties", {})), schema.get("required", [])
    return ", ".join(
        f"`{name}{'' if name in wanted else '?'}`: {_kind(schema['properties'][name], schema)}"
        for name in names
    )


def _kind(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "budget" in field:
        others = {key: value for key, value in field.items() if key != "budget"}
        return f"{_kind(others, schema)} ({field['budget']})"
    if "$ref" in field:
        return _kind(schema["$defs"][field["$ref"].rsplit("/", 1)[1]], schema)
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(one, schema) for one in field["anyOf"]))
    if "enum" in field:
        return " / ".join(str(value) for value in field["enum"])
    return {"string": "text", "integer": "integer", "null": "null", "array": "list"}.get(
        str(field.get("type", "any")), str(field.get("type", "any"))
    )


def _summarise(row: Route | Endpoint) -> str:
    """Return the first line of the docstring of a row's operation, without its "Errors: ..."."""
    if isinstance(row, Route):
        answers: Any = row.live or row.operation or row.payload
    else:
        answers = row.operation or row.edge
    return _first_line(answers.perform if isinstance(answers, Bulk) else answers).partition(
        " Errors: "
    )[0]


def _first_line(thing: Any) -> str:
    return str(thing.__doc__).strip().splitlines()[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or check whether it is up to date (the default)."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.protocol", description="docs/protocol.md, from the types"
    )
    parser.add_argument(
        "--write", action="store_true", help="write it; without this, check that it is up to date"
    )
    parser.add_argument(
        "--check", action="store_true", help="check that it is up to date (the default)"
    )
    chosen = parser.parse_args(arguments)
    wanted = render_protocol(EXAMPLES)
    if chosen.write:
        PAGE.write_text(wanted, encoding="utf-8")
    elif not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != wanted:
        print(
            f"{PAGE.name} does not match the types; run `python -m tools.protocol --write`.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
