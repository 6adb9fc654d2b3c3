"""Records: frozen dataclasses, of which every change makes a new one, and quickly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, fields, make_dataclass
from operator import attrgetter
from typing import Any, TypeVar

R = TypeVar("R")

_SHAPES: dict[type, tuple[Callable[[Any], tuple[Any, ...]], dict[str, int]]] = {}


def quick_to_make(kind: type[R]) -> type[R]:
    """Let only type checkers keep a frozen dataclass with slots unchanged.

    Python itself would set each of its fields by a call of `object.__setattr__`, which takes eight
    times as long: 8.5 instead of 1.0 us for an account.
    """
    assert not hasattr(kind, "__post_init__"), "the construction only sets the fields"
    twin: Any = make_dataclass(
        kind.__name__,
        [
            (one.name, one.type, field(default=one.default, default_factory=one.default_factory))
            for one in fields(kind)  # type: ignore[arg-type]  # it is a dataclass
        ],
    )
    changed: Any = kind
    del changed.__setattr__, changed.__delattr__
    changed.__init__ = twin.__init__
    return kind


def change(record: R, **values: Any) -> R:
    """Return a changed copy of a record, in less time than dataclasses.replace."""
    kind = type(record)
    if kind not in _SHAPES:
        # every record is a dataclass
        names = [one.name for one in fields(kind)]  # type: ignore[arg-type]
        _SHAPES[kind] = attrgetter(*names), {name: index for index, name in enumerate(names)}
    read, indexes = _SHAPES[kind]
    content = list(read(record))
    for name, value in values.items():
        content[indexes[name]] = value
    return kind(*content)
