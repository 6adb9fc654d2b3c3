"""One HTTP route: a method of a path under `/api/v1`, what is asked there, and what answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic.fields import FieldInfo

from master.model import Scope
from master.protocol.http import Nothing
from master.protocol.wire import HttpPayload
from master.turn import Operation, Turn

ROOT = "/api/v1"

P = TypeVar("P", bound=HttpPayload)

Edge = Callable[[Any, Any], Awaitable[Any]]
"""A method of an object of the web edge: (the object, payload) -> what is shown, or a whole answer."""


@dataclass(frozen=True, slots=True)
class Noun:
    """What a route is about: `singular` names one such thing in an answer, `plural` the rows of a list."""

    singular: str
    plural: str = ""

    def route(
        self,
        methods: str,
        path: str,
        scope: Scope,
        operation: Callable[[P, Turn], Any],
        payload: type[P],
        *,
        shared: bool = False,
        body_optional: bool = False,
    ) -> tuple[Endpoint, ...]:
        """Return one endpoint per method: an operation answers it."""
        return tuple(
            Endpoint(
                self,
                method,
                path,
                scope,
                payload,
                operation,
                shared=shared,
                body_optional=body_optional,
            )
            for method in methods.split()
        )

    def edge(
        self,
        method: str,
        path: str,
        scope: Scope,
        edge: Callable[[Any, P], Awaitable[Any]],
        payload: type[P],
    ) -> tuple[Endpoint, ...]:
        """Return an endpoint that the web edge answers: it needs a child process, a network or an image."""
        return (Endpoint(self, method, path, scope, payload, edge=edge),)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method of one path. `scope` is what the caller must have.

    What is `shared` counts everything, whoever asks: those who ask within a second get the same reply. Where the
    body is optional, none is an empty object.
    """

    noun: Noun
    method: str
    path: str
    scope: Scope
    payload: type[HttpPayload]
    operation: Operation | None = None
    edge: Edge | None = None
    shared: bool = False
    body_optional: bool = False

    @property
    def writes(self) -> bool:
        """Tell whether the operation gets a turn of the writer; one that answers GET gets a look."""
        return self.method != "GET"

    @property
    def status(self) -> int:
        """Return the status of what was done: a POST to a path without names adds something."""
        return 201 if self.method == "POST" and "{" not in self.path else 200

    @property
    def query(self) -> type[HttpPayload]:
        """Return the type whose fields, but for the names of the path, are the query's parameters."""
        return self.payload if self.method == "GET" else Nothing

    @property
    def parameters(self) -> dict[str, FieldInfo]:
        """Return the parameters that the query may have, by name."""
        return self.query.list_fields()

    @property
    def body(self) -> type[HttpPayload] | None:
        """Return the type whose fields, but for the names of the path, are the body's; None if no body is taken."""
        return self.payload if self.method != "GET" and self.payload.list_fields() else None
