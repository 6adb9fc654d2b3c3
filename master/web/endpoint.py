"""One HTTP route: a method of a path under `/api/v1`, its payload, and its operation or edge."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, get_origin

from pydantic.fields import FieldInfo

from master.model import Scope
from master.protocol.http import Nothing
from master.protocol.wire import HttpPayload
from master.turn import Operation, Turn

ROOT = "/api/v1"

P = TypeVar("P", bound=HttpPayload)

Edge = Callable[..., Awaitable[Any]]
"""A method of an object of the web edge: (the object, payload) -> reply, or a whole answer.

With `for_caller`, the caller is its third argument."""


@dataclass(frozen=True, slots=True)
class Noun:
    """The noun of a route: `singular` names one object of an answer.

    A list's rows are `data`. Pages in use read them by the name `deployed_as`. Without `has_rows`
    there is one object only, without an id: nothing is added.
    """

    singular: str
    deployed_as: str | None = None
    has_rows: bool = True

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
        asks: bool = False,
        audited: bool = True,
    ) -> tuple[Endpoint, ...]:
        """Return one endpoint per method, answered by an operation."""
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
                asks=asks,
                audited=audited,
            )
            for method in methods.split()
        )

    def edge(
        self,
        method: str,
        path: str,
        scope: Scope,
        edge: Edge,
        payload: type[P],
        *,
        body_optional: bool = False,
        for_caller: bool = False,
        asks: bool = False,
    ) -> tuple[Endpoint, ...]:
        """Return an endpoint of the web edge, for answers that no single turn can give."""
        return (
            Endpoint(
                self,
                method,
                path,
                scope,
                payload,
                edge=edge,
                body_optional=body_optional,
                for_caller=for_caller,
                asks=asks,
            ),
        )


@dataclass(frozen=True)
class Endpoint:
    """One method of one path. `scope` is the least scope of a caller.

    A `shared` endpoint returns the same counts to every caller: requests within a second get one
    reply. With `body_optional`, an empty body is read as an empty object. One that `asks` changes
    nothing, although its question is in a body. A command that is not
    `audited` would fill the audit and changes nothing that anybody asks about.
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
    asks: bool = False
    audited: bool = True
    for_caller: bool = False

    @property
    def is_command(self) -> bool:
        """Tell whether the audit records who asked for it."""
        return self.audited and self.writes and self.scope >= Scope.OPERATE

    @property
    def writes(self) -> bool:
        """Tell whether the operation runs in a turn of the writer; that of a GET runs in a look."""
        return self.method != "GET" and not self.asks

    @property
    def status(self) -> int:
        """Return the status of success: 201 if a POST to a list adds a row."""
        is_added = self.writes and self.method == "POST" and self.path.count("/") == 1
        return 201 if is_added and self.noun.has_rows else 200

    @property
    def query(self) -> type[HttpPayload]:
        """Return the type of the query's parameters: its fields except the names of the path."""
        return self.payload if self.method == "GET" else Nothing

    @property
    def parameters(self) -> dict[str, FieldInfo]:
        """Return the parameters of the query, by name."""
        return self.query.list_fields()

    @cached_property
    def repeatable(self) -> frozenset[str]:
        """Return the parameters of the query that may be given more than once."""
        fields = self.parameters.items()
        return frozenset(name for name, one in fields if get_origin(one.annotation) is list)

    @property
    def body(self) -> type[HttpPayload] | None:
        """Return the type of the body: its fields except the names of the path.

        None if the endpoint has no body.
        """
        return self.payload if self.method != "GET" and self.payload.list_fields() else None
