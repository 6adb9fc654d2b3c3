"""Secrets: values that print as `<secret>` and cannot be serialized by accident."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

T = TypeVar("T")
U = TypeVar("U")

SHOWN = "<secret>"


class SealBroken(Exception):
    """A stored secret cannot be opened: its key is missing, or it was changed or moved.

    The message contains no secret.
    """


class Secret(Generic[T]):
    """A value that only `reveal` returns.

    Printed, formatted or logged it is `<secret>`; JSON encoders, pickle and copies refuse it. As a
    pydantic field, `Secret[X]` validates as `X` does.
    """

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """Return the value; do not store it where it could be printed. Errors: SealBroken."""
        return self._value

    def map(self, change: Callable[[T], U]) -> Secret[U]:
        """Return a secret with the result of `change` on the value. Errors: SealBroken."""
        return Secret(change(self.reveal()))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and bool(self.reveal() == other.reveal())

    # a hash would let secrets into caches and counters
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return SHOWN

    def __format__(self, spec: str) -> str:
        return SHOWN

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a secret is not written down or copied")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate as the type in brackets does; refuse serialization."""
        inner = handler.generate_schema(*get_args(source))

        def read(value: Any, validate: core_schema.ValidatorFunctionWrapHandler) -> Secret[Any]:
            return value if isinstance(value, Secret) else Secret(validate(value))

        return core_schema.no_info_wrap_validator_function(
            read,
            inner,
            serialization=core_schema.plain_serializer_function_ser_schema(_refuse_to_dump),
        )


class Broken(Secret[Any]):
    """A stored secret that cannot be opened; `reveal` raises the reason."""

    __slots__ = ()

    def reveal(self) -> NoReturn:
        """Raise the reason. Errors: SealBroken."""
        raise SealBroken(self._value)


def _refuse_to_dump(value: Any) -> NoReturn:
    raise TypeError("a secret is not written down or copied")
