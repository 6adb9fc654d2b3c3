"""Markdown of fields, types and examples."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from tools.protocol.fields import Field, find_meaning, list_fields, name_type
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
    yield f"#### Object {name_type(kind)}\n"
    yield f"{read_text(kind)}\n"
    yield from render_fields(list_fields(kind))
    yield ""


def render_enum(kind: type[StrEnum]) -> Iterator[str]:
    """Yield the table of a type's words."""
    yield "| word | meaning |\n|---|---|"
    for word, meaning in list_words(kind):
        yield f"| `{word}` | {meaning} |"


def list_words(kind: type[StrEnum]) -> list[tuple[str, str]]:
    """Return each word of a type with its meaning, "" if it has none."""
    notes = read_member_notes(kind)
    return [(one.value, notes.get(one.name) or find_meaning(kind, one.value)) for one in kind]


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
    """Yield a JSON block: what fits in a line is one line, and short members share lines."""
    yield f"```text\n{title}" if title else "```json"
    yield _write(value, "")
    yield "```"


def _write(value: Any, pad: str) -> str:
    plain = json.dumps(value, ensure_ascii=False)
    if len(pad) + len(plain) <= WIDTH or not value or not isinstance(value, (dict, list)):
        return plain
    inner = pad + "  "
    if isinstance(value, dict):
        parts = [f"{json.dumps(name)}: {_write(one, inner)}" for name, one in value.items()]
        return "{\n" + _flow(parts, inner) + f"\n{pad}}}"
    return "[\n" + _flow([_write(one, inner) for one in value], inner) + f"\n{pad}]"


def _flow(parts: Sequence[str], pad: str) -> str:
    """Return parts separated by commas; those of one line share lines as far as they fit."""
    lines: list[str] = []
    for number, part in enumerate(parts):
        text = part + ("," if number + 1 < len(parts) else "")
        fits = lines and "\n" not in lines[-1] + text and len(lines[-1] + text) < WIDTH
        if fits:
            lines[-1] += f" {text}"
        else:
            lines.append(pad + text)
    return "\n".join(lines)
