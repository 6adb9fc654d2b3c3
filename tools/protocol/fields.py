"""The fields of a type, in words: of payloads, of Master's events and of the types of answers."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    ClassVar,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel
from typing_extensions import get_original_bases, is_typeddict

from master.protocol.decoding import find_names
from master.protocol.wire import HttpPayload

MEANINGS = Path(__file__).with_name("meanings.toml")
WORDS: Mapping[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    list: "list",
    Any: "any value",
}
SCHEMA_WORDS = {"string": "text", "array": "list"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: its type, whether it must be there, its limits and its meaning, in words."""

    name: str
    kind: str
    needed: bool
    limits: str
    meaning: str


def list_fields(kind: Any) -> list[Field]:
    """Return the fields of a type, in their order; a type without fields has none."""
    if is_typeddict(kind) or is_dataclass(kind):
        return list(_list_shown(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return list(_list_read(kind))
    return []


def find_inner(kind: Any) -> Iterator[Any]:
    """Yield the described types inside a type, the outermost first."""
    if is_typeddict(kind) or is_dataclass(kind):
        yield kind
        inside: Any = get_type_hints(kind).values()
    else:
        inside = get_args(kind)
    for one in inside:
        yield from find_inner(one)


def name_type(kind: Any) -> str:
    """Return the page's name of a type: ShownLiveWorker is `LiveWorker`."""
    return str(kind.__name__.removeprefix("Shown"))


# -- what Master sends ----------------------------------------------------------------------------


def _list_shown(kind: Any) -> Iterator[Field]:
    hints = get_type_hints(kind, include_extras=True)
    hints = {name: hint for name, hint in hints.items() if get_origin(hint) is not ClassVar}
    optional = getattr(kind, "__optional_keys__", frozenset()) | getattr(
        kind, "may_lack", frozenset()
    )
    for name, hint in hints.items():
        if name == getattr(kind, "beside", ""):
            yield from list_fields(hint)  # merged into the payload
            continue
        may_lack = name in optional or get_origin(hint) is NotRequired
        plain = get_args(hint)[0] if get_origin(hint) is NotRequired else hint
        word = word_type(plain)
        if may_lack and is_dataclass(kind):
            word = word.removesuffix(" or null")
        yield Field(name, word, not may_lack, "", find_meaning(kind, name))


def word_type(kind: Any) -> str:
    """Return a type in words; a described type is named by its link."""
    if is_typeddict(kind) or is_dataclass(kind):
        name = name_type(kind)
        return f"[{name}](#object-{name.lower()})"
    if isinstance(kind, UnionType) or get_origin(kind) is Union:
        return " or ".join(dict.fromkeys(word_type(one) for one in get_args(kind)))
    if get_origin(kind) is list:
        return f"list of {word_type(get_args(kind)[0])}"
    if get_origin(kind) is dict and get_args(kind)[1] is not Any:
        return f"object of {word_type(get_args(kind)[1])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " / ".join(f"`{one.value}`" for one in kind)
    return WORDS[get_origin(kind) or kind]


# -- what Master reads ----------------------------------------------------------------------------


def _list_read(kind: type[BaseModel]) -> Iterator[Field]:
    schema = kind.model_json_schema(by_alias=True)
    others: dict[str, list[str]] = {}
    for sent, name in find_names(kind).items():
        others.setdefault(name, []).append(sent)
    for name, field in schema.get("properties", {}).items():
        own = find_names(kind).get(name, name)
        spellings = [one for one in others[own] if one != name and not _is_path(kind)]
        limits = [*_word_limits(field, schema), *(f"also as `{one}`" for one in spellings)]
        default = field.get("default")
        if name not in schema.get("required", ()) and default not in (None, "", {}, []):
            limits.append(f"default `{json.dumps(default).strip(chr(34))}`")
        yield Field(
            name,
            _word_schema(field, schema),
            name in schema.get("required", ()),
            ", ".join(dict.fromkeys(limits)),
            find_meaning(kind, own),
        )


def _is_path(kind: type[BaseModel]) -> bool:
    """Tell whether a type is of HTTP, where fields have one spelling."""
    return issubclass(kind, HttpPayload)


def _word_schema(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "$ref" in field:
        return _word_schema(schema["$defs"][field["$ref"].rsplit("/", 1)[1]], schema)
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_word_schema(one, schema) for one in field["anyOf"]))
    if "enum" in field:
        return " / ".join(f"`{value}`" for value in field["enum"])
    word = str(field.get("type", "any value"))
    if word == "array" and field.get("items", {}).get("type"):
        return f"list of {_word_schema(field['items'], schema)}"
    if word == "object" and field.get("properties"):
        inner = (
            f"`{name}`: {_word_schema(one, schema)}" for name, one in field["properties"].items()
        )
        return f"object: {', '.join(inner)}"
    return SCHEMA_WORDS.get(word, word)


def _word_limits(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the limits of a field; that of what is cut replaces the limit of its type."""
    if "budget" in field:
        yield field["budget"]
    for one in field.get("anyOf", ()):
        yield from _word_limits(one, schema)
    if "maxLength" in field and "budget" not in field:
        yield _word_range(field.get("minLength", 0), field["maxLength"], "character")
    if "maxItems" in field:
        yield _word_range(field.get("minItems", 0), field["maxItems"], "element")
    least = field.get("minimum", field.get("ge", field.get("exclusiveMinimum")))
    most = field.get("maximum", field.get("le"))
    if most is not None and "budget" not in field:
        yield f"{least:,} to {most:,}" if "exclusiveMinimum" not in field else f"up to {most:,}"
    if "pattern" in field:
        yield "pattern `" + field["pattern"].replace("|", "\\|") + "`"
    if field.get("type") == "array":
        inner = ", ".join(_word_limits(field["items"], schema))
        if inner:
            yield f"each {inner}"


def _word_range(least: int, most: int, noun: str) -> str:
    return f"{least:,} to {most:,} {noun}s" if least else f"at most {most:,} {noun}s"


# -- meanings -------------------------------------------------------------------------------------


@cache
def _read_meanings() -> Mapping[str, Mapping[str, str]]:
    """Return the meanings of fields, by the type's name; `any` stands for every other type."""
    found: dict[str, Mapping[str, str]] = {}
    for names, meanings in tomllib.loads(MEANINGS.read_text(encoding="utf-8")).items():
        for name in names.split():
            found[name] = {**found.get(name, {}), **meanings}
    return found


def find_meaning(kind: Any, name: str) -> str:
    """Return what a field means: in its type, in a type above, or everywhere; "" if unknown."""
    meanings = _read_meanings()
    for one in (*_list_bases(kind), "any"):
        if found := meanings.get(one, {}).get(name):
            return found
    return ""


def _list_bases(kind: Any) -> Iterator[str]:
    """Yield the names of a type and of those above it; a TypedDict's are not in its MRO."""
    if not is_typeddict(kind):
        yield from (one.__name__ for one in kind.__mro__)
        return
    yield kind.__name__
    for one in get_original_bases(kind):
        if is_typeddict(one):
            yield from _list_bases(one)
