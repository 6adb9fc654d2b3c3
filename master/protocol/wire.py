"""The wire format: shared types with limits, decoding with readable faults, acknowledgements."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar

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

from master.errors import Refusal
from master.model import LARGEST_EXACT
from master.protocol.times import read_seconds

MAX_ID = 128
MAX_NAME = 256
MAX_TEXT = 100_000
MAX_TITLE = 10_000
MAX_ITEMS = 5_000
SHORT = 1_000
MAX_FAULTS = 50
LATEST_SECOND = 10**10

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


def _refuse_blank(value: str) -> str:
    if not value.strip():
        raise ValueError("it is blank")
    return value


PATTERN_WORDS: dict[str, str] = {}
"""Pattern -> the form of a text in words, which refusals say."""


def matching(pattern: str, words: str, **limits: Any) -> StringConstraints:
    """Return the constraint of texts that match a pattern; `words` says the pattern to people."""
    PATTERN_WORDS[pattern] = words
    return StringConstraints(pattern=pattern, **limits)


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
ImageData = Annotated[
    str, StringConstraints(min_length=1, max_length=2_000_000), AfterValidator(_refuse_blank)
]
PLATFORM = re.compile(r"^[a-z0-9][a-z0-9_-]{0,31}$")
Platform = Annotated[
    str,
    matching(
        PLATFORM.pattern,
        "a platform's name is 1 to 32 of a-z, 0-9, _ and -, and begins with a letter or a digit,"
        " for example douyin",
        strip_whitespace=True,
        to_lower=True,
    ),
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

    def render_notes(self, *more: dict[str, Any]) -> dict[str, Any]:
        """Return the acknowledgement's part about cuts: an object with `notes`, or an empty one.

        `more` is what an operation forgave.
        """
        notes = [*self._notes, *more]
        return {"notes": notes} if notes else {}


class HttpPayload(Payload):
    """An HTTP request's content: its path parameters, and its query parameters or body fields.

    An unknown field is refused, so that no misspelt value is lost. A path parameter is a field of
    the type `PathId` or a similar one: its alias is the parameter's name in braces, as in the path,
    so that a body cannot set it by the field's name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, **READING
    )

    @property
    def changes_nothing(self) -> bool:
        """Tell whether a command with this content only asks what it would do."""
        return False

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
    answers contain as well is told so. An event
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

    def render(self) -> dict[str, Any]:
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
        return self.render() if self.may_lack or self.beside else self


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
