"""Size budgets of the fields that peers report, and how larger values are cut.

A fact is kept whatever its size: a text is cut, an object or a list loses its largest members, and
a value that makes no sense in part is left out whole. Each cut is noted with its field, for the
acknowledgement and the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

KIB = 1024
METADATA_BYTES = 16 * KIB
"""Budget of a worker's `metadata`."""

USER_INFO_BYTES = 64 * KIB
"""Budget of an account's `user_info`."""

COOKIES_BYTES = 4 * KIB * KIB
"""Budget of an account's cookies; a whole browser state fits."""

FINGERPRINT_BYTES = 256 * KIB
"""Budget of an account's `fingerprint`."""

MOST_NOTES = 50
"""Limit of notes per event."""

ODD = b"null"

V = TypeVar("V", bound=dict[Any, Any] | list[Any])


def measure(value: Any) -> int:
    """Return a value's size as JSON, in bytes.

    A value that JSON cannot write counts as small; it is refused elsewhere.
    """
    try:
        return len(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS))
    except (TypeError, RecursionError):
        return len(ODD)


def note(info: ValidationInfo, message: str) -> None:
    """Note a cut of the field being decoded, if the decoding collects notes."""
    note_of(info, info.field_name, message)


def note_of(info: ValidationInfo, field: str | None, message: str) -> None:
    """Note a tolerated fault of the field being decoded, if the decoding collects notes."""
    notes = info.context["notes"] if info.context else None
    if notes is not None and len(notes) < MOST_NOTES:
        notes.append({"field": field, "message": message})


@dataclass(frozen=True, slots=True)
class Budget:
    """Makes an oversized field fit before validation; `limit` describes this in documents."""

    fit: Callable[[Any, ValidationInfo], Any]
    limit: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Fit the value, then validate it."""
        return core_schema.with_info_before_validator_function(self.fit, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the field's schema with its limit in words."""
        return {**handler(schema), "budget": self.limit}


def cut_text(most: int) -> Budget:
    """Cut a text to `most` characters."""

    def fit(value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or len(value) <= most:
            return value
        note(info, f"cut from {len(value):,} to {most:,} characters")
        return value[:most]

    return Budget(fit, f"cut to {most:,} characters")


def clamp(least: int, most: int) -> Budget:
    """Raise or lower a number to the range; a text that is a number counts as one."""

    def fit(value: Any, info: ValidationInfo) -> Any:
        try:
            number = math.floor(float(value)) if isinstance(value, (str, int, float)) else value
        except (ValueError, OverflowError):
            return value
        if not isinstance(number, int) or isinstance(value, bool):
            return value
        kept = max(least, min(number, most))
        if kept != number:
            note(info, f"stored as {kept:,}: the range is {least:,} to {most:,}")
        return kept

    return Budget(fit, f"clamped to {least:,} to {most:,}")


def drop_text(most: int) -> Budget:
    """Leave out a text of more than `most` characters: part of an id or of a URL is useless."""

    def fit(value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str) or len(value) <= most:
            return value
        note(info, f"left out: {len(value):,} characters are more than {most:,}")
        return None

    return Budget(fit, f"left out past {most:,} characters")


def drop_large(most: int) -> Budget:
    """Leave out a value of more than `most` bytes whose parts belong together."""

    def fit(value: Any, info: ValidationInfo) -> Any:
        if value is None or (size := measure(value)) <= most:
            return value
        note(info, f"left out: {size:,} bytes are more than {most:,}")
        return None

    return Budget(fit, f"left out past {_in_words(most)}")


def thin_out(most: int, members: int | None = None) -> Budget:
    """Leave out the largest members of an object or a list until it fits in `most` bytes.

    A list is first cut to `members` elements, if set.
    """

    def fit(value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, (dict, list)):
            return value
        few = value[:members] if isinstance(value, list) else value
        kept = leave_out_largest(few, most)
        if len(kept) < len(value):
            note(
                info,
                f"{len(value) - len(kept):,} of {len(value):,} members left out: "
                f"at most {_in_words(most)}",
            )
        return kept

    return Budget(fit, f"the largest members left out past {_in_words(most)}")


def leave_out_largest(value: V, most: int) -> V:
    """Return an object or a list without its largest members, so that it fits in `most` bytes.

    In a browser's state the small members are the important ones.
    """
    if measure(value) <= most:
        return value
    pairs = list(value.items() if isinstance(value, dict) else enumerate(value))
    sizes = [measure(inner) + measure(key) + 2 for key, inner in pairs]
    left, kept = most, set()
    for index in sorted(range(len(pairs)), key=sizes.__getitem__):
        left -= sizes[index]
        if left < 0:
            break
        kept.add(index)
    chosen: list[tuple[Any, Any]] = [pair for index, pair in enumerate(pairs) if index in kept]
    small: Any = dict(chosen) if isinstance(value, dict) else [inner for _, inner in chosen]
    return small  # type: ignore[no-any-return]


def _in_words(size: int) -> str:
    return f"{size // KIB // KIB} MiB" if size >= KIB * KIB else f"{size // KIB} KiB"
