"""Renders types.d.ts: the types that docs/protocol.md describes, for the console's comments.

It has what the console can read and send: the answer, the body and the query of each HTTP route,
the events that Master tells administrators, and the events of administrators.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from typing_extensions import is_typeddict

from master.endpoints import ENDPOINTS, Endpoint
from master.protocol.answers import Listing
from master.protocol.console import ShownSession, ShownSignIn
from master.protocol.shown import CODES, MACHINE, PROFILE, WORDS
from master.protocol.stats import Stats
from master.protocol.wire import HttpPayload
from master.routes import NAMESPACES
from tools.protocol.fields import find_inner, name_type
from tools.protocol.http import read_return
from tools.protocol.page import ROOT_FOLDER
from tools.protocol.tables import read_first
from tools.protocol.told import TOLD

TYPES = ROOT_FOLDER / "master" / "web" / "console" / "types.d.ts"
HEAD = Path(__file__).with_name("types.head.txt")
"""The beginning of the file: the types of envelopes, and those that find a route by its path."""
PLAIN: Mapping[Any, str] = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "Record<string, any>",
    list: "any[]",
    object: "any",
    Any: "any",
}
OPEN: Mapping[str, tuple[str, frozenset[str]]] = {
    "user_info": ("Profile", PROFILE),
    "metadata": ("Machine", MACHINE),
    "stats": ("Figures", frozenset(Stats.model_fields)),
    "words": ("LoginWords", WORDS | CODES),
}
"""Fields without a type of their own, whose members Master knows by these names."""
PARAMETER = re.compile(r"\{[^}]+\}")
WIDTH = 96
CONSOLE: Sequence[tuple[str, str, str]] = (
    ("GET", "console/session", 'One<"session", SignIn>'),
    ("POST", "console/session", 'One<"session", SignIn>, { token: string } | { link: string }'),
    ("DELETE", "console/session", "{ success: true }"),
    ("GET", "console/sessions", "{ success: true; data: Session[]; total: number }"),
    ("DELETE", "console/sessions/{id}", "{ success: true }"),
)
"""Routes of the console alone, which the table of the API does not have."""


def render_types() -> str:
    """Return the text of types.d.ts."""
    opens = (_render_open(name, fields) for name, fields in OPEN.values())
    types = (_render_type(kind) for kind in _list_types())
    head = HEAD.read_text(encoding="utf-8")
    return "\n".join((head, *opens, *types, _render_routes(), _render_events(), ""))


def _list_types() -> list[Any]:
    """Return every type that an answer, a body or an event of administrators has, by name."""
    admin = NAMESPACES["admin"].values()
    roots = [ShownSignIn, ShownSession, *(read_return(one) for one in ENDPOINTS)]
    roots += [*TOLD["admin"].values(), *(one.reply for one in admin if one.reply is not None)]
    kinds = {kind for root in roots for kind in find_inner(root) if kind is not Listing}
    kinds |= {one.payload for one in admin} | {one.body for one in ENDPOINTS if one.body}
    kinds |= {one for kind in tuple(kinds) for one in _find_models(kind)}
    named = sorted((name_type(kind), str(kind), kind) for kind in kinds if not get_origin(kind))
    return [kind for _, _, kind in named]


def _find_models(kind: Any) -> Iterator[Any]:
    """Yield the payload types inside a payload type."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for hint in _list_hints(kind).values():
            waiting = [hint]
            while waiting:
                one = waiting.pop()
                waiting += get_args(one)
                if isinstance(one, type) and issubclass(one, BaseModel):
                    yield one


def _list_hints(kind: Any) -> dict[str, Any]:
    """Return the fields of a type that are sent in a body, an answer or an event, by name."""
    hints = get_type_hints(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        known = kind.list_fields() if issubclass(kind, HttpPayload) else kind.model_fields
        return {name: hints[name] for name in known}
    return {name: one for name, one in hints.items() if get_origin(one) is not ClassVar}


def _render_type(kind: Any) -> str:
    hints, lacking = _list_hints(kind), _list_lacking(kind)
    beside = hints.pop(getattr(kind, "beside", ""), None)
    above = f" extends {write_type(beside, kind.beside)}" if beside is not None else ""
    lines = [
        f"  {_quote(name)}{'?' if name in lacking else ''}: {_write_field(kind, name, hint)};"
        for name, hint in hints.items()
    ]
    text = f"/** {read_first(kind)} */\nexport interface {name_type(kind)}{above} {{"
    return "\n".join((text, *lines, "}")) if lines else f"{text}}}"


def _write_field(kind: Any, name: str, hint: Any) -> str:
    word = write_type(hint, name)
    return word.removesuffix(" | null") if name in getattr(kind, "may_lack", ()) else word


def _list_lacking(kind: Any) -> frozenset[str]:
    """Return the fields that may be absent."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return frozenset(name for name, field in fields if not field.is_required())
    return getattr(kind, "__optional_keys__", frozenset()) | getattr(kind, "may_lack", frozenset())


def write_type(kind: Any, name: str = "") -> str:
    """Return a type in TypeScript; `name` is the field that has it."""
    if is_typeddict(kind) or is_dataclass(kind) or _is_model(kind):
        return name_type(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _write_words(one.value for one in kind)
    return _write_generic(kind, name) if get_origin(kind) else PLAIN[kind]


def _write_generic(kind: Any, name: str) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _write_words(inner)
    if origin is dict:
        return OPEN[name][0] if name in OPEN else f"Record<string, {write_type(inner[1])}>"
    words = dict.fromkeys(write_type(one, name) for one in inner)
    if origin is list:
        return "".join(f"({one})[]" if " | " in one else f"{one}[]" for one in words)
    return " | ".join(words)  # a union, or one type with a mark of its own, such as Secret


def _write_words(words: Iterable[str]) -> str:
    return " | ".join(json.dumps(one) for one in words)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _quote(name: str) -> str:
    return name if name.isidentifier() else json.dumps(name)


def _render_open(name: str, fields: frozenset[str]) -> str:
    lines, line = [], "  |"
    for field in sorted(fields):
        if len(line) + len(field) + 5 > WIDTH:
            lines.append(line)
            line = "  |"
        line += f" {json.dumps(field)} |"
    names = "\n".join((*lines, line)).removesuffix(" |").replace(" |\n", "\n")
    return (
        f"/** Members that Master passes on, each as it was sent, if it was. */\n"
        f"export interface {name} extends Partial<Record<\n{names}, any>> {{}}"
    )


def _render_routes() -> str:
    """Return the type that finds a route; longer paths first, as `${string}` may have slashes."""
    known = [one for one in ENDPOINTS if not one.path.endswith(".png")]
    rows = [(one.method, one.path.strip("/"), _write_route(one)) for one in known]
    rows += CONSOLE
    rows.sort(key=lambda row: (-row[1].count("/"), row[1].count("{"), row[1], row[0]))
    lines = [
        f"  Q extends `{method} {PARAMETER.sub('${string}', path)}` ? Route<{route}> :"
        for method, path, route in rows
    ]
    return "\n".join(("type Find<Q extends string> =", *lines, "  never;"))


def _write_route(endpoint: Endpoint) -> str:
    """Return the answer of a route, its body and its query."""
    kind = read_return(endpoint)
    if get_origin(kind) is Listing:
        rev = "" if endpoint.operation else ", null"
        answer = f"Page<{write_type(get_args(kind)[0])}{rev}>"
    else:
        answer = f"One<{json.dumps(endpoint.noun.singular)}, {write_type(kind)}>"
    body = "undefined" if endpoint.body is None else name_type(endpoint.body)
    if endpoint.body_optional:
        body = f"{body} | undefined"
    query = " | ".join(json.dumps(name) for name in endpoint.parameters)
    parts = (answer, body, query) if query else (answer, body) if body != "undefined" else (answer,)
    return ", ".join(parts)


def _render_events() -> str:
    told = [f"  {json.dumps(event)}: {name_type(kind)};" for event, kind in TOLD["admin"].items()]
    asked = [
        f"  {json.dumps(one.event)}: {{ payload: {name_type(one.payload)}; "
        f"reply: {name_type(one.reply)} & {{ success: true }} }};"
        for one in NAMESPACES["admin"].values()
    ]
    return "\n".join(
        (
            "/** What Master tells administrators, by the event's name. */",
            "export interface AdminEvents {",
            *told,
            "}",
            "/** What administrators send, with its acknowledgement. */",
            "export interface AdminRequests {",
            *asked,
            "}",
        )
    )
