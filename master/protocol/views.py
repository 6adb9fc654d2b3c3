"""Saved views of the console: a name for a page with its filters, as one administrator keeps it."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypedDict

from master.protocol.http import Change
from master.protocol.lists import Page
from master.protocol.wire import CONTROL, HttpPayload

MOST_VIEWS = 100
"""Views of one administrator."""

PAGES = (
    "overview", "inbox", "logins", "accounts", "workers", "notifications", "proxies", "processes",
    "events", "audit", "system", "sessions",
)  # fmt: skip
"""The console's pages, as their addresses name them."""

_ADDRESS = re.compile(rf"#/(?:{'|'.join(PAGES)})(?:\?[\w.~*%+&=-]*)?", re.ASCII)
"""A page and its query as `URLSearchParams` writes it: letters, digits, and percent signs."""


def _require_plain(name: str) -> str:
    if CONTROL.search(name):
        raise ValueError("a name has no control characters")
    return name


def _require_page(url: str) -> str:
    if not _ADDRESS.fullmatch(url):
        raise ValueError(
            "is no page of the console with its filters, such as #/accounts?status=paused"
        )
    return url


ViewName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=60),
    AfterValidator(_require_plain),
]
ViewUrl = Annotated[str, Field(max_length=1_000), AfterValidator(_require_page)]


class ViewsQuery(Page):
    """Asks for the caller's own views."""

    limit: Annotated[int, Field(ge=1, le=MOST_VIEWS)] = MOST_VIEWS


class NewView(HttpPayload):
    """Save a view of the console."""

    name: ViewName
    url: ViewUrl


class ShownView(TypedDict):
    """A saved view of the console."""

    id: str
    name: str
    url: str
    created_at: int
    updated_at: int


class ViewChange(Change):
    """Changes to a saved view."""

    shown: ClassVar[type] = ShownView
    name: ViewName = ""
    url: ViewUrl = ""
