"""The forms in which facts are read besides the usual one, from the tables of Master."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from master.protocol.facts import (
    CALLED,
    CODE_NAMES,
    DIRECTIONS,
    KINDS,
    KNOWN_AS,
    LINK_NAMES,
    MOST_PLATFORMS,
)
from master.protocol.wire import Fact
from master.routes import NAMESPACES


def render_forgiven(_: str) -> Iterator[str]:
    """Yield which fields can refuse a report, and how all others are read."""
    yield "Only these fields can refuse a report, because they say what it is about:\n"
    yield "| event | fields |\n|---|---|"
    for route in NAMESPACES["worker"].values():
        if issubclass(route.payload, Fact):
            yield f"| `{route.event}` | {_list(_name_identity(route.payload))} |"
    yield "| an item of `messages` | `platform_comment_id`, `platform_message_id` |\n"
    for one in FORMS:
        yield "- " + _fill(one).replace("\n", "\n  ")
    yield "\n" + _fill(COUNTED)


COUNTED = """
Forgiven faults, and facts refused for good, are counted in `/metrics` and logged once per worker
(docs/operating.md).
"""


def _fill(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 98, break_on_hyphens=False)


def _list(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _words(known: Mapping[str, Any]) -> str:
    """Return words by what they mean."""
    return "; ".join(
        f"{_list(word for word, one in known.items() if one is meant)} ({meant.value})"
        for meant in dict.fromkeys(known.values())
    )


def _name_identity(kind: type[Fact]) -> Iterator[str]:
    """Yield the names by which the fields that identify a fact are usually sent."""
    for field, info in kind.model_fields.items():
        if field in kind.identity:
            yield str(getattr(info.validation_alias, "choices", [field])[0])


FORMS = (
    """The whole payload, a report's items, cookies, profiles and fingerprints may be JSON text.
    Items may be an object by id, or a single item. `authorName` or `AUTHOR_NAME` is
    `author_name`.""",
    f"""Directions: {_words(DIRECTIONS)}; any other is inbound. Types of messages:
    {_words(KINDS)}, and their plurals.""",
    f"""An object in place of a name or an id gives its first of {_list(CALLED)} or
    {_list(KNOWN_AS)}; any other object, list or boolean in place of a text is kept as JSON
    text.""",
    """Times may also be dates in words (of JavaScript and e-mail), or with slashes and the year
    first. One that cannot be read becomes Master's present.""",
    """Cookies may be a browser's state, one cookie, an object by name, or the text of a
    header.""",
    f"""`capabilities` may be a text or an object; elements that name no platform are left out
    unless there is no other, and so are those past {MOST_PLATFORMS}.""",
    f"""A code is an image (a data URL, Base64, SVG), a text to encode, or a link, under any of
    {_list((*CODE_NAMES, *LINK_NAMES))}; `qr_code_data` in Master's events and answers always
    has the first of them. `qr.png` answers with the worker's image, or draws the link or the
    text.""",
)
"""The forms in which facts are read besides the usual one."""
