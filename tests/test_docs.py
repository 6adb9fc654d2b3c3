"""Documents can fail."""

from __future__ import annotations

from pathlib import Path

from master.documents import render_protocol
from master.errors import every_refusal
from master.routes import NAMESPACES

DOCS = Path(__file__).parents[1] / "docs"


def test_the_protocol_page_is_what_the_types_say():
    assert (DOCS / "protocol.md").read_text(encoding="utf-8") == render_protocol()


def test_every_event_and_refusal_is_documented():
    page = (DOCS / "protocol.md").read_text(encoding="utf-8")
    names = [event for routes in NAMESPACES.values() for event in routes]
    names += [refusal.code for refusal in every_refusal()]
    assert [name for name in names if f"`{name}`" not in page] == []
