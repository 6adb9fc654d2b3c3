"""Markdown of fields, types and examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from tools.protocol.fields import Field, list_fields, name_type
from tools.protocol.source import read_member_notes

WIDTH = 96
LONGEST = 60


def render_fields(fields: Iterable[Field]) -> Iterator[str]:
    """Yield the table of some fields; nothing for none."""
    rows = list(fields)
    if not rows:
        return
    if any(row.limits for row in rows):
        yield "| field | type | limits | meaning |\n|---|---|---|---|"
        for row in rows:
            yield f"| {_mark(row)} | {row.kind} | {row.limits} | {row.meaning} |"
    else:
        yield "| field | type | meaning |\n|---|---|---|"
        for row in rows:
            yield f"| {_mark(row)} | {row.kind} | {row.meaning} |"


def _mark(row: Field) -> str:
    return f"`{row.name}`" if row.needed else f"`{row.name}`?"


def render_object(kind: Any) -> Iterator[str]:
    """Yield the section of a type that others refer to."""
    yield f"#### {name_type(kind)}\n"
    yield f"{read_text(kind)}\n"
    yield from render_fields(list_fields(kind))
    yield ""


def render_enum(kind: type[StrEnum]) -> Iterator[str]:
    """Yield the table of a type's words; a word without a note of its own has none."""
    notes = read_member_notes(kind)
    yield "| word | meaning |\n|---|---|"
    for one in kind:
        yield f"| `{one.value}` | {notes.get(one.name, '')} |"


def read_text(thing: Any) -> str:
    """Return a docstring as paragraphs, without what it says about errors."""
    text = str(thing.__doc__).strip()
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n")]
    kept = [part.partition("Errors: ")[0].strip() for part in paragraphs]
    return "\n\n".join(part for part in kept if part)


def read_first(thing: Any) -> str:
    """Return the first sentence or line of a docstring, without its "Errors: ..."."""
    return str(thing.__doc__).strip().splitlines()[0].partition(" Errors: ")[0]


def read_example(path: Path) -> Any:
    """Return an example with its longest texts cut."""
    return shorten(json.loads(path.read_text(encoding="utf-8")))


def shorten(value: Any) -> Any:
    """Return a value in which long texts are cut."""
    if isinstance(value, dict):
        return {key: shorten(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shorten(inner) for inner in value]
    return value[:57] + "..." if isinstance(value, str) and len(value) > LONGEST else value


def render_json(value: Any, title: str = "") -> Iterator[str]:
    """Yield a JSON block: objects and lists that fit in a line are one line."""
    yield f"```text\n{title}" if title else "```json"
    yield _write(value, 0, WIDTH - len(title))
    yield "```"


def _write(value: Any, depth: int, room: int) -> str:
    plain = json.dumps(value, ensure_ascii=False)
    if len(plain) + 2 * depth <= room or not isinstance(value, (dict, list)):
        return plain
    pad = "  " * (depth + 1)
    if isinstance(value, Mapping):
        parts = [
            f"{pad}{json.dumps(key, ensure_ascii=False)}: {_write(one, depth + 1, room)}"
            for key, one in value.items()
        ]
        return "{\n" + ",\n".join(parts) + "\n" + "  " * depth + "}"
    inner = [pad + _write(one, depth + 1, room) for one in value]
    return "[\n" + ",\n".join(inner) + "\n" + "  " * depth + "]"
