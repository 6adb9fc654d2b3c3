"""Every field that docs/protocol.md shows, so that a test can ask for its meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from master.endpoints import ENDPOINTS
from master.protocol.detected import ITEMS
from master.protocol.wire import Outbound
from master.routes import NAMESPACES
from tools.protocol.fields import Field, list_fields
from tools.protocol.http import list_answer_types, list_fields_of
from tools.protocol.page import OBJECTS
from tools.protocol.told import TOLD


def list_shown() -> Iterator[tuple[Any, Field]]:
    """Yield (type, field) for each field on the page, each once."""
    kinds: list[Any] = [*ITEMS.values(), *OBJECTS, *list_answer_types()]
    for routes in NAMESPACES.values():
        kinds += [one for route in routes.values() for one in (route.payload, route.reply)]
    kinds += [kind for told in TOLD.values() for kind in told.values()]
    for kind in dict.fromkeys(kind for kind in kinds if kind is not None):
        yield from ((kind, field) for field in list_fields(kind))
    for endpoint in ENDPOINTS:
        for kind in (endpoint.query, endpoint.body):
            if kind is not None and not issubclass(kind, Outbound):
                yield from ((kind, field) for field in list_fields_of(kind))
