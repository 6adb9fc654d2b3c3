"""The sections of the events: what arrives, with its acknowledgement, and what Master sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from master.protocol.detected import ITEMS
from master.protocol.wire import Outbound, Payload
from master.routes import NAMESPACES, Route
from master.turn import Bulk
from tools.protocol.fields import list_fields
from tools.protocol.tables import read_example, read_first, read_text, render_fields, render_json
from tools.protocol.told import TOLD

REPLIES = "replies"
"""The folder of acknowledgements that are no event of Master."""


def render_arriving(name: str, examples: Path) -> Iterator[str]:
    """Yield a section per event that a namespace accepts."""
    for route in NAMESPACES[name].values():
        yield f"#### `{route.event}`\n"
        yield f"{_describe(route)}\n"
        yield f"Scope: {route.scope.name.lower()}. Largest packet: {_size(route.payload)}.\n"
        fields = list_fields(route.payload)
        yield from render_fields(fields)
        if not fields:
            yield "The event needs no content; whatever it has is ignored."
        for kind, item in ITEMS.items() if route.payload.__name__ == "MessagesDetected" else ():
            yield f"\nAn item of `messages`, if `type` is `{kind}`:\n"
            yield from render_fields(list_fields(item))
        yield ""
        yield from render_json(read_example(examples / name / f"{route.event}.json"))
        yield from _render_reply(name, route, examples)


def _render_reply(name: str, route: Route, examples: Path) -> Iterator[str]:
    reply: Any = route.reply
    if reply is None:
        yield "\nAcknowledgement: `success` alone.\n"
        return
    if issubclass(reply, Outbound):
        is_told = reply.event in TOLD[name]
        whom = "is sent as well, before it" if is_told else "administrators get"
        yield f"\nAcknowledgement: the fields of the event `{reply.event}`, which {whom}.\n"
        return
    yield f"\nAcknowledgement: {read_text(reply)}\n"
    yield from render_fields(list_fields(reply))
    yield ""
    example = read_example(examples / REPLIES / f"{route.event}.json")
    yield from render_json({"success": True, **example})
    yield ""


def render_leaving(name: str, examples: Path) -> Iterator[str]:
    """Yield a section per event that Master sends in a namespace."""
    for event, kind in TOLD[name].items():
        yield f"#### `{event}` from Master\n"
        yield f"{read_text(kind)}\n"
        yield from render_fields(list_fields(kind))
        yield ""
        yield from render_json(read_example(examples / name / f"{event}.json"))
        yield ""


def list_named_replies() -> Mapping[str, Route]:
    """Return the events whose acknowledgement has an example of its own."""
    return {
        route.event: route
        for routes in NAMESPACES.values()
        for route in routes.values()
        if route.reply is not None and not issubclass(route.reply, Outbound)
    }


def _size(kind: type[Payload]) -> str:
    return f"{kind.largest // 1024:,} KiB"


def _describe(route: Route) -> str:
    """Return what an event does, by its answering function, and then what its payload says."""
    answers: Any = route.live or route.operation or route.payload
    first = read_first(answers.perform if isinstance(answers, Bulk) else answers)
    more = read_text(route.payload).partition("\n\n")[2] if route.payload.__doc__ else ""
    return f"{first}\n\n{more}" if more else first
