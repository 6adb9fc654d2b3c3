"""The wire format: shared types with limits, decoding with readable faults, acknowledgements."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema

from master.errors import Refusal, TooLarge
from master.model import LARGEST_EXACT
from master.protocol.times import read_seconds
from master.secret import Secret

MAX_ID = 128
MAX_NAME = 256
MAX_TEXT = 100_000
MAX_TITLE = 10_000
MAX_ITEMS = 5_000
SHORT = 1_000
MAX_FAULTS = 50
LATEST_SECOND = 10**10
MOST_VALUES = 150_000
"""Approximate limit of values per event: each costs more memory than its bytes.

The largest report that is allowed has two thirds of this.
"""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def refuse_inexact(value: Any) -> Any:
    """Refuse a number that may be a rounded id: two ids would become the same one."""
    if isinstance(value, bool):
        raise ValueError("an id is a text")
    if isinstance(value, float) or (isinstance(value, int) and abs(value) > LARGEST_EXACT):
        raise ValueError("send ids as text: this number may have been rounded")
    return value


def _refuse_damaged(value: str) -> str:
    if CONTROL.search(value):
        raise ValueError("control characters are not allowed here")
    if "\ufffd" in value:
        raise ValueError("a character of it was lost on its way, so it may be another one's")
    return value


def bound_json(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse values that JSON text cannot store, and nesting deeper than 32 levels.

    Code that walks the value recurses, hence the limit.
    """
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        thing, depth = waiting.pop()
        if depth > 32:
            raise ValueError("nested deeper than 32 levels")
        if isinstance(thing, dict):
            waiting.extend((inner, depth + 1) for inner in thing.values())
        elif isinstance(thing, list):
            waiting.extend((inner, depth + 1) for inner in thing)
        elif isinstance(thing, (bytes, bytearray)):
            raise ValueError("binary values are not allowed here")
        elif isinstance(thing, int) and not -(2**63) <= thing < 2**64:
            raise ValueError("an integer is larger than 64 bits")
    return value


Id = Annotated[
    str,
    BeforeValidator(refuse_inexact),
    StringConstraints(min_length=1, max_length=MAX_ID, strip_whitespace=True),
    AfterValidator(_refuse_damaged),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, strip_whitespace=True)]
ShortText = Annotated[str, StringConstraints(max_length=SHORT)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
ImageData = Annotated[str, StringConstraints(min_length=1, max_length=2_000_000)]
PLATFORM = re.compile(r"^[a-z0-9][a-z0-9_-]{0,31}$")
Platform = Annotated[
    str,
    StringConstraints(pattern=PLATFORM.pattern, strip_whitespace=True, to_lower=True),
]
Seconds = Annotated[int, BeforeValidator(read_seconds), Field(ge=0, le=LATEST_SECOND)]
Milliseconds = Annotated[float, Field(ge=0, le=10**16)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Json = Annotated[dict[str, Any], AfterValidator(bound_json)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


READING = ConfigDict(coerce_numbers_to_str=True, allow_inf_nan=False, hide_input_in_errors=True)


class Payload(BaseModel):
    """The content of an event or of an HTTP body.

    Unknown keys of events are ignored, because peers may be newer or older than Master. `largest`
    limits the bytes of an event's whole packet; a larger packet is refused before it is parsed.
    """

    largest: ClassVar[int] = 64 * 1024
    model_config = ConfigDict(frozen=True, extra="ignore", **READING)

    def unpack(self) -> Iterator[None]:
        """Decode the parts that validation left raw, one portion per step."""
        return iter(())


class Fact(Payload):
    """A peer's report of something that happened; it is kept whatever the form of its fields.

    `identity` names the fields that say what the fact is about: only a fault in one of them refuses
    it. `notes` lists what was cut or left out elsewhere, as `{field, message}`. `parts` are the
    types of a report's items, which are facts themselves.
    """

    identity: ClassVar[frozenset[str]] = frozenset()
    parts: ClassVar[tuple[type[Payload], ...]] = ()
    _notes: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def notes(self) -> list[dict[str, Any]]:
        """Return a note for each field that was cut or left out."""
        return self._notes

    @classmethod
    def prepare(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return what was sent in the form in which the fields are read."""
        return data

    def show_notes(self) -> dict[str, Any]:
        """Return the acknowledgement's part about cuts: an object with `notes`, or an empty one."""
        return {"notes": self._notes} if self._notes else {}


class HttpPayload(Payload):
    """An HTTP request's content: its path parameters, and its query parameters or body fields.

    An unknown field is refused, so that no misspelt value is lost. A path parameter is a field of
    the type `PathId` or a similar one: its alias is the parameter's name in braces, as in the path,
    so that a body cannot set it by the field's name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, **READING
    )

    @classmethod
    def list_fields(cls) -> dict[str, FieldInfo]:
        """Return the query parameters or body fields, by name: all fields but path parameters."""
        return {
            name: field
            for name, field in cls.model_fields.items()
            if not (field.alias or "").startswith("{")
        }

    def list_named(self) -> dict[str, Any]:
        """Return the values of the query parameters or body fields that were sent, by name."""
        return {
            name: getattr(self, name)
            for name in self.list_fields()
            if name in self.model_fields_set
        }


PathId = Annotated[SkipJsonSchema[str], Field(alias="{id}")]
"""The path parameter `{id}`. Schemas omit it, because they describe queries and bodies."""


class Outbound:
    """An event that Master sends: a frozen dataclass whose fields are the payload.

    `event` is the event's name. A field in `may_lack` is omitted when it is None. The members of
    the field named by `beside` are merged into the payload, where the other fields win; a row that
    answers show as well is told so. An event
    with a `state_key` carries a complete state: it makes an older queued event with the same key
    worthless. `delivery` is the id of the notification that the event delivers to its receiver.
    """

    __slots__ = ()
    event: ClassVar[str]
    may_lack: ClassVar[frozenset[str]] = frozenset()
    beside: ClassVar[str] = ""

    @property
    def state_key(self) -> str | None:
        """Return the key of the object whose state this event carries, or None."""
        return None

    @property
    def delivery(self) -> str | None:
        """Return the id of the notification that this event delivers, or None."""
        return None

    @property
    def is_void(self) -> bool:
        """Tell whether the event has nothing left to send."""
        return False

    def show(self) -> dict[str, Any]:
        """Return the payload as a dict."""
        shown = {name: getattr(self, name) for name in _field_names(self)}
        if self.beside:
            shown = {**shown.pop(self.beside), **shown}
        return {
            name: value
            for name, value in shown.items()
            if value is not None or name not in self.may_lack
        }

    def to_wire(self) -> Any:
        """Return what to encode: this object, or a dict if fields are omitted or merged."""
        return self.show() if self.may_lack or self.beside else self


_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def _field_names(content: Any) -> tuple[str, ...]:
    kind = type(content)
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(one.name for one in fields(kind))
    return names


class Empty(Payload):
    """No content is needed; any content is ignored."""


def accept(reply: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the acknowledgement of an accepted event."""
    return {"success": True, **(reply or {})}


def refuse(refusal: Refusal) -> dict[str, Any]:
    """Return the acknowledgement of a refused event."""
    return {"success": False, "error": refusal.to_wire()}


def first_object(args: Sequence[Any]) -> Any:
    """Return an event's first argument, or an empty object if it has none."""
    return args[0] if args else {}


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


def open_text(value: Any) -> Any:
    """Return the object or list of a JSON text; any other value is returned unchanged."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        require_few_values(value)
        return FastJson.loads(value)
    except (ValueError, TooLarge):
        return value


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
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            text = text if isinstance(text, str) else text.decode()
            if not strict and ("NaN" in text or "Infinity" in text):
                return FastJson.loads(NO_NUMBERS.sub(_nullify, text), strict=True)
            has_halves = "\\ud" in text or "\\uD" in text
            if len(text) > ODD_CHARACTERS and not has_halves:
                raise
            try:
                value = json.loads(text, parse_constant=_refuse_constant)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            return _mend(value) if has_halves else value


def _nullify(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "null"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _mend(value: Any) -> Any:
    """Replace every lone surrogate with the replacement character, in all strings of a value."""
    whole: list[Any] = [value]
    parents: list[Any] = [whole]
    while parents:
        parent = parents.pop()
        if isinstance(parent, dict) and not all(map(str.isascii, parent)):
            members = {HALVES.sub("\ufffd", name): one for name, one in parent.items()}
            parent.clear()
            parent.update(members)
        for key, one in list(parent.items() if isinstance(parent, dict) else enumerate(parent)):
            if isinstance(one, str):
                if not one.isascii():
                    parent[key] = HALVES.sub("\ufffd", one)
            elif isinstance(one, (list, dict)):
                parents.append(one)
    return whole[0]


def _write_odd(value: Any) -> str:
    """Return a value of no JSON type as text. Errors: TypeError for an unrevealed secret."""
    if isinstance(value, Secret):
        raise TypeError("a secret is not written down")
    return str(value)
