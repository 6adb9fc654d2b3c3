"""JSON texts of peers: read with mended faults, counted before they are parsed, and written."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import orjson

from master.errors import TooLarge
from master.secret import Secret

MOST_VALUES = 150_000
"""Approximate limit of values per event: each costs more memory than its bytes.

The largest report that is allowed has two thirds of this.
"""


def require_few_values(text: str) -> None:
    """Refuse a JSON text with more than about MOST_VALUES values. Errors: TooLarge.

    Small values take thirty times as much memory as text. Each step of the count scans the text
    once, whatever its content.
    """
    if _count_marks(text) <= MOST_VALUES:
        return
    # without escapes, each quote opens or closes a string
    plain = text.replace("\\\\", "").replace('\\"', "")
    # each string follows a mark of its own: there are at least as many marks as strings
    if (
        plain.count('"') // 2 > MOST_VALUES
        or _count_marks("".join(plain.split('"')[::2])) > MOST_VALUES
    ):
        raise TooLarge(f"An event may have at most {MOST_VALUES} values.")


def _count_marks(text: str) -> int:
    """Count the marks that begin or separate values, including marks inside strings."""
    return sum(map(text.count, "[{,:"))


HALVES = re.compile("[\ud800-\udfff]")
"""Lone surrogates: the halves that are left once complete pairs are decoded."""

NO_NUMBERS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|-?\b(?:NaN|Infinity)\b', re.DOTALL)
"""A string, which may lack its end, or a word for a number that JSON does not have."""

ODD_CHARACTERS = 1024 * 1024
"""A text of up to this many characters is also tried with `json`, which reads larger integers.

A larger text is tried with `json` only if it has lone surrogates.
"""


NO_NUMBER = "NaN or an infinity was read as null"
HALF_CHARACTER = "half a character was replaced"


class Mended(dict[str, Any]):
    """An object whose JSON text had faults that were mended: `faults` names them, for `notes`."""

    __slots__ = ("faults",)

    def __init__(self, value: dict[str, Any], faults: Sequence[str]) -> None:
        super().__init__(value)
        self.faults = faults


def remember(value: Any, faults: Sequence[str]) -> Any:
    """Return a value of a mended JSON text; an object, alone or alone in a list, has the faults."""
    if not faults:
        return value
    if isinstance(value, list) and len(value) == 1:
        return [remember(value[0], faults)]
    return Mended(value, faults) if isinstance(value, dict) else value


def open_with_faults(value: Any) -> tuple[Any, Sequence[str]]:
    """Return the object or list of a JSON text, and what was mended in the text.

    Any other value is returned unchanged.
    """
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value, ()
    try:
        require_few_values(value)
        return FastJson.read(value)
    except (ValueError, TooLarge):
        return value, ()


def open_text(value: Any) -> Any:
    """Return the object or list of a JSON text; any other value is returned unchanged."""
    return remember(*open_with_faults(value))


class FastJson:
    """The `json` module that python-socketio calls, implemented with orjson.

    JavaScript writes half an emoji as a lone surrogate, which orjson and SQLite both refuse. The
    replacement character is stored instead, so that the text is not lost.
    """

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Return compact JSON text."""
        return orjson.dumps(value, default=_write_odd).decode()

    @staticmethod
    def loads(text: str | bytes, *, strict: bool = False, **_: Any) -> Any:
        """Return the value of a JSON text. Errors: ValueError.

        NaN and infinities, which Python's peers write, become null, unless reading is `strict`.
        """
        return FastJson.read(text, strict=strict)[0]

    @staticmethod
    def read(text: str | bytes, *, strict: bool = False) -> tuple[Any, Sequence[str]]:
        """Return the value of a JSON text, and the faults that were mended. Errors: ValueError."""
        try:
            return orjson.loads(text), ()
        except orjson.JSONDecodeError:
            text = text if isinstance(text, str) else text.decode()
            if not strict and ("NaN" in text or "Infinity" in text):
                whole = NO_NUMBERS.sub(_nullify, text)
                value, faults = FastJson.read(whole, strict=True)
                return value, (faults if whole == text else (NO_NUMBER, *faults))
            has_halves = "\\ud" in text or "\\uD" in text
            if len(text) > ODD_CHARACTERS and not has_halves:
                raise
            try:
                value = json.loads(text, parse_constant=_refuse_constant)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            return _mend(value) if has_halves else (value, ())


def _nullify(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "null"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _mend(value: Any) -> tuple[Any, Sequence[str]]:
    """Replace every lone surrogate in all strings of a value; return it, and whether any was."""
    whole: list[Any] = [value]
    parents: list[Any] = [whole]
    replaced = 0

    def replace(text: str) -> str:
        nonlocal replaced
        mended, number = HALVES.subn("\ufffd", text)
        replaced += number
        return mended

    while parents:
        parent = parents.pop()
        if isinstance(parent, dict) and not all(map(str.isascii, parent)):
            members = {replace(name): one for name, one in parent.items()}
            parent.clear()
            parent.update(members)
        for key, one in list(parent.items() if isinstance(parent, dict) else enumerate(parent)):
            if isinstance(one, str):
                if not one.isascii():
                    parent[key] = replace(one)
            elif isinstance(one, (list, dict)):
                parents.append(one)
    return whole[0], ((HALF_CHARACTER,) if replaced else ())


def _write_odd(value: Any) -> str:
    """Return a value of no JSON type as text. Errors: TypeError for an unrevealed secret."""
    if isinstance(value, Secret):
        raise TypeError("a secret is not written down")
    return str(value)
