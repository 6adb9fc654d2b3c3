"""How values travel: shared types with their limits, decoding with readable faults, and the acknowledgement."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar, TypeVar

import orjson
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import SkipJsonSchema

from master.errors import Invalid, Refusal, TooLarge, Unreadable
from master.secret import Secret

MAX_ID = 128
MAX_NAME = 256
MAX_TEXT = 100_000
MAX_TITLE = 10_000
MAX_ITEMS = 5_000
MAX_FAULTS = 50
MILLISECONDS_FROM = 10**10
LATEST_SECOND = 10**10
MOST_VALUES = 150_000
"""Values in one event, about: a report of the most items has two thirds, and each costs more than its bytes."""

CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _normalise_time(value: Any) -> Any:
    """Return seconds for what may be seconds or milliseconds, as number or as text."""
    if isinstance(value, bool):
        raise ValueError("a time is a number of seconds or milliseconds")
    if isinstance(value, str):
        value = float(value)
    if isinstance(value, (int, float)):
        if not -1e17 < value < 1e17:  # also refuses NaN and integers that no float holds
            raise ValueError("a time is a number of seconds or milliseconds")
        if abs(value) > MILLISECONDS_FROM:
            value = value / 1000
        return int(value)
    return value


def _refuse_control(value: str) -> str:
    if CONTROL.search(value):
        raise ValueError("control characters are not allowed here")
    return value


def bound_json(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what cannot be kept as JSON text, and nesting deeper than 32 levels: whoever walks it recurses."""
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
    StringConstraints(min_length=1, max_length=MAX_ID, strip_whitespace=True),
    AfterValidator(_refuse_control),
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME, strip_whitespace=True)]
ShortText = Annotated[str, StringConstraints(max_length=1_000)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT)]
ImageData = Annotated[str, StringConstraints(min_length=1, max_length=2_000_000)]
Platform = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$", strip_whitespace=True, to_lower=True),
]
Seconds = Annotated[int, BeforeValidator(_normalise_time), Field(ge=0, le=LATEST_SECOND)]
Milliseconds = Annotated[float, Field(ge=0, le=10**16)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Json = Annotated[dict[str, Any], AfterValidator(bound_json)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]


READING = ConfigDict(coerce_numbers_to_str=True, allow_inf_nan=False, hide_input_in_errors=True)


class Payload(BaseModel):
    """One event's or body's content. Unknown keys of events are ignored: peers are newer or older than Master.

    `largest` is how many bytes an event's whole packet may have; more are refused before they are parsed.
    """

    largest: ClassVar[int] = 64 * 1024
    model_config = ConfigDict(frozen=True, extra="ignore", **READING)

    def unpack(self) -> Iterator[None]:
        """Read what the decoding has left, in portions that end with each step."""
        return iter(())


class Fact(Payload):
    """What a peer has seen or done. It is kept whatever its size: `notes` are `{field, message}` of what was cut."""

    _notes: list[dict[str, Any]] = PrivateAttr(default_factory=list)

    @property
    def notes(self) -> list[dict[str, Any]]:
        """Return what was cut or left out of it."""
        return self._notes

    def show_notes(self) -> dict[str, Any]:
        """Return what the acknowledgement says of it: nothing, or `notes`."""
        return {"notes": self._notes} if self._notes else {}


class HttpPayload(Payload):
    """An HTTP request's content: the names of its path, and its query or the fields of its body.

    An unknown field is refused, so that no misspelt value is lost. A name of the path is a field of the type `PathId`
    (or one like it): its alias is the name in braces, as the path has it, so that no body can set it by its own name.
    `read_only` are fields that answers show and a body may send back: ignored, not refused.
    """

    read_only: ClassVar[frozenset[str]] = frozenset()
    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True, **READING
    )

    @classmethod
    def list_fields(cls) -> dict[str, FieldInfo]:
        """Return the fields of the query or the body, by name: all but those of the path."""
        return {
            name: field
            for name, field in cls.model_fields.items()
            if not (field.alias or "").startswith("{")
        }

    def list_given(self) -> dict[str, Any]:
        """Return the fields of the query or the body that were sent, by name, with their values."""
        return {
            name: getattr(self, name)
            for name in self.list_fields()
            if name in self.model_fields_set
        }


PathId = Annotated[SkipJsonSchema[str], Field(alias="{id}")]
"""What `{id}` in a route's path stands for. Schemas leave it out: they describe queries and bodies."""


class Outbound:
    """What Master sends: a frozen dataclass whose fields are the event's payload.

    `event` is its name. `may_lack` are fields that are left out where they are None; what the field `beside` holds
    stands beside the others. A value with a `state_key` shows a whole state: an older one with the same key that still
    waits to be sent is worth nothing. `delivery` is the notification that whoever is reached has been given.
    """

    __slots__ = ()
    event: ClassVar[str]
    may_lack: ClassVar[frozenset[str]] = frozenset()
    beside: ClassVar[str] = ""

    @property
    def state_key(self) -> str | None:
        """Return what this shows the state of, or None."""
        return None

    @property
    def delivery(self) -> str | None:
        """Return the notification that this delivers, or None."""
        return None

    @property
    def is_void(self) -> bool:
        """Tell whether nothing is left to be said."""
        return False

    def show(self) -> dict[str, Any]:
        """Return the payload as an object."""
        shown = {name: getattr(self, name) for name in _field_names(self)}
        if self.beside:
            shown = {**shown.pop(self.beside), **shown}
        return {
            name: value
            for name, value in shown.items()
            if value is not None or name not in self.may_lack
        }

    def to_wire(self) -> Any:
        """Return what the encoder writes: this value itself, or an object of what is left of it."""
        return self.show() if self.may_lack or self.beside else self


_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def _field_names(content: Any) -> tuple[str, ...]:
    kind = type(content)
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(one.name for one in fields(kind))
    return names


class Empty(Payload):
    """Nothing is needed; whatever was sent is ignored."""


P = TypeVar("P", bound=BaseModel)


def decode(kind: type[P], data: Any) -> P:
    """Return `data` as `kind`; what was cut of a fact it says itself.

    Errors: Unreadable if it is no object at all, Invalid with one detail per wrong field.
    """
    if issubclass(kind, Empty):
        return kind()
    if not isinstance(data, dict):
        raise Unreadable(f"Expected an object, got {name_kind(data)}.")
    if not issubclass(kind, HttpPayload):
        # peers write null for what they do not know; only a body can mean something by it
        data = {name: value for name, value in data.items() if value is not None}
    try:
        if not issubclass(kind, Fact):
            return kind.model_validate(data)
        notes: list[dict[str, Any]] = []
        fact = kind.model_validate(data, context={"notes": notes})
        fact._notes = notes
        return fact
    except ValidationError as fault:
        raise Invalid(details=explain_faults(fault)) from None
    except RecursionError:
        raise Unreadable("Nested too deeply.") from None


def explain_faults(fault: ValidationError) -> list[dict[str, Any]]:
    """Return one `{field, message}` per fault, without the offending value: it may be a secret."""
    return [
        {
            "field": ".".join(str(part) for part in error["loc"]) or "(whole)",
            "message": error["msg"].removeprefix("Value error, "),
        }
        for error in fault.errors(include_url=False, include_input=False, include_context=False)[
            :MAX_FAULTS
        ]
    ]


def name_kind(data: Any) -> str:
    """Return what JSON calls this kind of value."""
    if data is None:
        return "nothing"
    for kind, word in (
        (bool, "a boolean"),
        ((int, float), "a number"),
        (str, "a text"),
        (list, "a list"),
    ):
        if isinstance(data, kind):
            return word
    return "binary data" if isinstance(data, (bytes, bytearray)) else "something else"


def accept(reply: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the acknowledgement of something that was done."""
    return {"success": True, **(reply or {})}


def refuse(refusal: Refusal) -> dict[str, Any]:
    """Return the acknowledgement of something that was not done."""
    return {"success": False, "error": refusal.to_wire()}


def first_object(args: Sequence[Any]) -> Any:
    """Return an event's first argument; an event without any is an empty object."""
    return args[0] if args else {}


def require_few_values(text: str) -> None:
    """Refuse a JSON text of very many small values, which are thirty times as large in memory. Errors: TooLarge.

    Every step goes through the text once, whatever is in it.
    """
    if _count_marks(text) <= MOST_VALUES:
        return
    plain = text.replace("\\\\", "").replace(
        '\\"', ""
    )  # without what is escaped, each quote begins or ends a text
    # each text stands behind a mark of its own
    if (
        plain.count('"') // 2 > MOST_VALUES
        or _count_marks("".join(plain.split('"')[::2])) > MOST_VALUES
    ):
        raise TooLarge(f"An event may hold {MOST_VALUES} values.")


def _count_marks(text: str) -> int:
    """Return how many marks begin or part values; those that stand inside texts count too."""
    return sum(map(text.count, "[{,:"))


HALVES = re.compile("[\ud800-\udfff]")
"""What is left of surrogate pairs once whole ones are read: halves that stand alone."""

ODD_CHARACTERS = 1024 * 1024
"""A text of so many characters is also read by the standard library, which takes integers that orjson does not."""


class FastJson:
    """The `json` module that python-socketio asks for, on orjson.

    JavaScript writes half an emoji as a lone surrogate, which orjson and SQLite both refuse; such a text is kept with
    the replacement character instead of being lost.
    """

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        """Return compact JSON text."""
        return orjson.dumps(value, default=_write_odd).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        """Return the value of a JSON text. Errors: ValueError."""
        try:
            return orjson.loads(text)
        except orjson.JSONDecodeError:
            text = text if isinstance(text, str) else text.decode()
            has_halves = "\\ud" in text or "\\uD" in text
            if len(text) > ODD_CHARACTERS and not has_halves:
                raise
            try:
                value = json.loads(text, parse_constant=_refuse_constant)
            except RecursionError:
                raise ValueError("nested too deeply") from None
            return _mend(value) if has_halves else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _mend(value: Any) -> Any:
    """Put the replacement character in the place of every half of a surrogate pair, in all texts of a value."""
    whole: list[Any] = [value]
    parents: list[Any] = [whole]
    while parents:
        parent = parents.pop()
        if isinstance(parent, dict) and not all(map(str.isascii, parent)):
            members = {HALVES.sub("\ufffd", name): one for name, one in parent.items()}
            parent.clear()
            parent.update(members)
        for place, one in list(parent.items() if isinstance(parent, dict) else enumerate(parent)):
            if isinstance(one, str):
                if not one.isascii():
                    parent[place] = HALVES.sub("\ufffd", one)
            elif isinstance(one, (list, dict)):
                parents.append(one)
    return whole[0]


def _write_odd(value: Any) -> str:
    """Return as text what JSON does not know; a secret that nobody revealed on purpose does not leave."""
    if isinstance(value, Secret):
        raise TypeError("a secret is not written down")
    return str(value)
