"""Counts forgiven faults of facts, and facts refused for good; logs each once per worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import structlog

from master.memory import Memory
from master.metrics import Metrics
from master.protocol.decoding import WHOLE, find_names
from master.protocol.wire import Fact, Payload
from master.routes import Route
from master.turn import Caller

log = structlog.get_logger(__name__)

OTHER = "other"
"""The label of every field that no type has: peers invent names, and a label's values are few."""

MOST_KNOWN = 10_000
"""Limit of remembered log lines; past it the oldest is forgotten, and may be logged again."""


class Forgiven:
    """Counts what acknowledgements of facts say; it costs nothing where they say nothing.

    A refusal counts here if it is for good: after any other, the fact is sent again.
    """

    def __init__(self, memory: Memory, metrics: Metrics) -> None:
        self._memory = memory
        self._metrics = metrics
        self._logged: dict[tuple[str, ...], None] = {}

    def note_kept(self, route: Route | None, caller: Caller, answer: Mapping[str, Any]) -> None:
        """Count the notes of a fact that was kept, and the parts of it that were refused."""
        if route is None or not issubclass(route.payload, Fact):
            return
        names, event = _find_fields(route.payload), route.event
        for one in answer.get("notes", ()):
            named, what = str(one["field"]), one["message"]
            field = names.get(named.partition(".")[0], OTHER)
            self._metrics.facts_forgiven.labels(event, field).inc()
            # what was forgiven of a whole event is of several kinds
            kind = what if named == WHOLE else field
            if self._is_new("forgiven", caller, event, kind):
                worker = self._name(caller)
                log.warning("fact_forgiven", worker=worker, fact=event, field=field, what=what)
        self._count_refused(event, caller, answer.get("details", ()))

    def note_refused(self, route: Route | None, caller: Caller, error: Mapping[str, Any]) -> None:
        """Count a fact that was refused as a whole; a report's items are counted one by one."""
        if route is None or error["retryable"] or not issubclass(route.payload, Fact):
            return
        parts = [one for one in error.get("details", ()) if "code" in one]
        self._count_refused(route.event, caller, parts or [error])

    def _count_refused(
        self, event: str, caller: Caller, errors: Sequence[Mapping[str, Any]]
    ) -> None:
        for code, number in Counter(one["code"] for one in errors).items():
            self._metrics.facts_refused.labels(event, code).inc(number)
            if self._is_new("refused", caller, event, code):
                first = next(one for one in errors if one["code"] == code)
                fields = [str(one.get("field"))[:64] for one in first.get("details", ())][:5]
                worker, what = self._name(caller), first["message"]
                log.warning(
                    "fact_refused", worker=worker, fact=event, code=code, what=what, fields=fields
                )

    def _is_new(self, what: str, caller: Caller, event: str, kind: str) -> bool:
        """Tell whether a line is to be logged, and remember that it was."""
        line = (what, self._name(caller), event, kind)
        if line in self._logged:
            return False
        if len(self._logged) >= MOST_KNOWN:
            del self._logged[next(iter(self._logged))]
        self._logged[line] = None
        return True

    def _name(self, caller: Caller) -> str:
        """Return the worker for which a caller's socket speaks, or its token's name."""
        return self._memory.sessions.worker_of_socket.get(caller.sid or "") or caller.name or ""


@cache
def _find_fields(kind: type[Payload]) -> dict[str, str]:
    """Return every name by which a field of a type or of its parts may be sent -> its name."""
    parts = kind.parts if issubclass(kind, Fact) else ()
    return {name: field for one in (*parts, kind) for name, field in find_names(one).items()}
