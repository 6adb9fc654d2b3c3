"""Decoding of payloads: faults in words, and facts that are kept in spite of faults."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar

from pydantic import AliasChoices, BaseModel, ValidationError

from master.errors import Invalid, Unreadable
from master.protocol.budgets import MOST_NOTES
from master.protocol.json_text import Mended, open_text
from master.protocol.wire import MAX_FAULTS, PATTERN_WORDS, Empty, Fact, HttpPayload

P = TypeVar("P", bound=BaseModel)
F = TypeVar("F", bound=Fact)

WHOLE = "(whole)"
"""The field that notes and details name if no single one is at fault."""

MOST_ROUNDS = 4
"""How often a fact is validated: a field without its faulty elements may have another fault."""


def decode(kind: type[P], data: Any) -> P:
    """Return `data` decoded as `kind`; a fact lists its tolerated faults in `notes`.

    Errors: Unreadable if `data` is no object or nested too deeply, Invalid with one detail per
    wrong field.
    """
    if issubclass(kind, Empty):
        return kind()
    notes: list[dict[str, Any]] = []
    if issubclass(kind, Fact) and not isinstance(data, dict):
        data = _open_whole(data, notes)
    notes += note_mended(data)
    if not isinstance(data, dict):
        raise Unreadable(f"Expected an object, got {name_kind(data)}.")
    if not issubclass(kind, HttpPayload):
        # peers send null for unknown values; null has a meaning only in an HTTP body
        data = {name: value for name, value in data.items() if value is not None}
    try:
        if issubclass(kind, Fact):
            return _decode_fact(kind, data, notes)
        return kind.model_validate(data)
    except ValidationError as fault:
        raise Invalid(details=explain_faults(fault)) from None
    except RecursionError:
        raise Unreadable("Nested too deeply.") from None


def note_mended(data: Any) -> list[dict[str, Any]]:
    """Return a note for each fault of its JSON text that was mended."""
    faults = data.faults if isinstance(data, Mended) else ()
    return [{"field": WHOLE, "message": one} for one in faults]


def _open_whole(data: Any, notes: list[dict[str, Any]]) -> Any:
    """Return the object of a JSON text, or of a list that contains it alone."""
    opened = open_text(data)
    if isinstance(opened, list) and len(opened) == 1:
        opened = opened[0]
    if isinstance(opened, dict):
        notes.append({"field": WHOLE, "message": f"read from {name_kind(data)}"})
        return opened
    return data


def _decode_fact(kind: type[F], data: dict[str, Any], left_out: list[dict[str, Any]]) -> F:
    """Return a fact without the fields that cannot be read. Errors: ValidationError.

    A fault in a field of `kind.identity` refuses the fact. `left_out` has the notes so far.
    """
    if not find_names(kind).keys() >= data.keys():
        data = _respell(kind, data, left_out)
    data = kind.prepare(data)
    left_out += note_mended(data)
    for rounds_left in reversed(range(MOST_ROUNDS)):
        notes: list[dict[str, Any]] = []
        try:
            fact = kind.model_validate(data, context={"notes": notes})
        except ValidationError as fault:
            data = _leave_out(kind, data, fault, left_out, whole=rounds_left <= 1)
            continue
        fact._notes = [*left_out, *notes][:MOST_NOTES]
        return fact
    raise AssertionError("every round leaves a field out, and a missing one is refused")


def _leave_out(
    kind: type[Fact],
    data: dict[str, Any],
    fault: ValidationError,
    left_out: list[dict[str, Any]],
    *,
    whole: bool,
) -> dict[str, Any]:
    """Return the object without its faulty parts, or raise the fault if it is not tolerable.

    Of a list only the faulty elements are left out, unless the list is to be left out `whole`.
    """
    names, elements = set[str](), dict[str, set[int]]()
    for error in fault.errors(include_url=False, include_input=False, include_context=False):
        loc = error["loc"]
        field = find_names(kind).get(str(loc[0])) if loc else None
        sent = () if field is None else [one for one in data if find_names(kind).get(one) == field]
        if field is None or field in kind.identity or not sent:
            raise fault
        for name in sent:
            value, inner = data[name], loc[1] if len(loc) > 1 else None
            if isinstance(value, list) and isinstance(inner, int) and not whole:
                elements.setdefault(name, set()).add(inner)
            else:
                names.add(name)
    left_out += [{**one, "message": f"left out: {one['message']}"} for one in explain_faults(fault)]
    return {
        name: [one for index, one in enumerate(value) if index not in elements[name]]
        if name in elements
        else value
        for name, value in data.items()
        if name not in names
    }


def _respell(kind: type[Fact], data: dict[str, Any], notes: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an object whose fields have the names that are known: `authorName` is `author_name`.

    A field that identifies the fact and may be absent is not guessed: a peer may mean another one.
    """
    names, folded = find_names(kind), _fold_names(kind)
    sent, respelt = {names[name] for name in data if name in names}, dict[str, Any]()
    for name, value in data.items():
        known = folded.get(_fold_name(name)) if name not in names else None
        if known is None or names[known] in sent:
            respelt.setdefault(name, value)
            continue
        sent.add(names[known])
        respelt[known] = value
        notes.append({"field": names[known], "message": "read from another spelling of its name"})
    return respelt


def _fold_name(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


@cache
def _fold_names(kind: type[Fact]) -> dict[str, str]:
    """Return names without case and marks -> the name, of fields that may be guessed."""
    return {
        _fold_name(name): name
        for name, field in find_names(kind).items()
        if field not in kind.identity or kind.model_fields[field].is_required()
    }


@cache
def find_names(kind: type[BaseModel]) -> dict[str, str]:
    """Return every name by which a field may be sent -> the field's own name."""
    found = {}
    for field, info in kind.model_fields.items():
        alias = info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
        for name in (field, *choices):
            if isinstance(name, str):
                found[name] = field
    return found


def explain_faults(fault: ValidationError) -> list[dict[str, Any]]:
    """Return one `{field, message}` per fault, without the wrong value: it may be a secret."""
    return [
        {
            "field": ".".join(str(part) for part in error["loc"]) or WHOLE,
            "message": PATTERN_WORDS.get(
                error.get("ctx", {}).get("pattern", ""), error["msg"]
            ).removeprefix("Value error, "),
        }
        for error in fault.errors(include_url=False, include_input=False)[:MAX_FAULTS]
    ]


def name_kind(data: Any) -> str:
    """Return the name of a value's JSON type, with its article."""
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
