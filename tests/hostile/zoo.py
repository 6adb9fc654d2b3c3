"""Wrong values and their positions: all parts of an example, and all fields of its type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

HOLE = "\u2620hole\u2620"
"""Stands in an example for a raw JSON text: Python cannot encode all that a peer can send."""

Path = tuple[str | int, ...]


def _nest(opening: str, closing: str, levels: int) -> str:
    return opening * levels + "1" + closing * levels


def _text(length: int) -> str:
    return '"' + "x" * length + '"'


WRONG: Mapping[str, str] = {
    "null": "null",
    "true": "true",
    "zero": "0",
    "minus one": "-1",
    "a fraction": "0.5",
    "2^53+1": str(2**53 + 1),
    "2^63": str(2**63),
    "2^64": str(2**64),
    "-2^63-1": str(-(2**63) - 1),
    "31 digits": "1" + "0" * 30,
    "5000 digits": "1" * 5_000,
    "the largest float": "1.7976931348623157e308",
    "a float that is too large": "1e999",
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "NaN as text": '"NaN"',
    "infinity as text": '"inf"',
    "digits": '"4000"',
    "digits of another script": '"٤٠٠٠"',
    "no text": '""',
    "a space": '" "',
    "a word": '"x"',
    "a zero character": '"a\\u0000b"',
    "a control character": '"a\\u001b[2Jb"',
    "a lone surrogate": '"\\ud83d"',
    "surrogates the wrong way round": '"\\ude00\\ud83d"',
    "text from right to left": '"\u202eabc\u202c"',
    "a quote": '"\' OR 1=1; --"',
    "1001 characters": _text(1_001),
    "100001 characters": _text(100_001),
    "an empty list": "[]",
    "a list of nothing": "[null]",
    "a list of all kinds": '[1, "a", null, true, {}, []]',
    "5001 items": "[" + ",".join(["0"] * 5_001) + "]",
    "an empty object": "{}",
    "an object with odd names": '{"": 1, "__proto__": {"a": 1}, "\\u0000": 2, "\\ud83d": 3}',
    "a name twice": '{"a": 1, "a": 2}',
    "a placeholder": '{"_placeholder": true, "num": 0}',
    "lists 40 deep": _nest("[", "]", 40),
    "objects 40 deep": _nest('{"a":', "}", 40),
    "lists 100000 deep": _nest("[", "]", 100_000),
    "objects 100000 deep": _nest('{"a":', "}", 100_000),
    "brackets that never close": "[" * 100_000,
}
"""JSON texts, and some that only resemble JSON."""

BINARY = '{"_placeholder":true,"num":0}'


@dataclass(frozen=True, slots=True)
class Shape:
    """The part after an event's name: arguments as JSON texts, and announced binary attachments."""

    arguments: tuple[str, ...]
    attachments: tuple[bytes, ...] = ()


Build = Callable[[Any], Shape]
"""Makes a malformed shape of a valid example."""


def plan_shapes(example: Any, kind: type[BaseModel]) -> dict[str, Build]:
    """Return a maker for every malformed shape of an event of type `kind`, by its fault."""
    plan = {
        "as it should be": _as_arguments(lambda good: (good,)),
        "no argument": _as_arguments(lambda good: ()),
        "two arguments": _as_arguments(lambda good: (good, good)),
        "an unknown field": lambda good: Shape((json.dumps({**good, "no_such_field": 1}),)),
        "binary as the argument": lambda good: Shape((BINARY,), (b"\x00\xff",)),
    }
    for label, text in WRONG.items():
        plan[f"{label} as the argument"] = _say(text)
    schema = kind.model_json_schema()
    for path in find_paths(example, schema):
        name = ".".join(map(str, path))
        plan[f"{name} is missing"] = _leave_out(path)
        plan[f"{name} is binary"] = _fill_in(path, BINARY, (b"\x00\xff",))
        for label, text in {**WRONG, **_break_limits(schema, path)}.items():
            plan[f"{name} is {label}"] = _fill_in(path, text)
    return plan


def _as_arguments(arrange: Callable[[str], tuple[str, ...]]) -> Build:
    return lambda good: Shape(arrange(json.dumps(good)))


def _say(text: str) -> Build:
    return lambda good: Shape((text,))


def _leave_out(path: Path) -> Build:
    return lambda good: Shape((json.dumps(_without(good, path)),))


def _fill_in(path: Path, text: str, attachments: tuple[bytes, ...] = ()) -> Build:
    return lambda good: Shape((_fill(good, path, text),), attachments)


def find_paths(example: Any, schema: Mapping[str, Any]) -> list[Path]:
    """Return every position in the example, and the fields of the type that it omits."""
    return list(
        dict.fromkeys([*_walk(example, ()), *((name,) for name in schema.get("properties", {}))])
    )


def _walk(value: Any, path: Path) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _walk(inner, (*path, name))
    elif isinstance(value, list) and value:
        yield from _walk(value[0], (*path, 0))


def _break_limits(schema: Mapping[str, Any], path: Path) -> dict[str, str]:
    """Return texts just inside and outside the schema's limits for a field of the outer object."""
    found: dict[str, str] = {}
    if len(path) != 1:
        return found
    for rule in _find_rules(schema.get("properties", {}).get(path[0], {}), schema):
        for name, least in (("minLength", False), ("maxLength", True)):
            if name in rule:
                for length in (rule[name], rule[name] + (1 if least else -1)):
                    found[f"{length} characters"] = _text(max(0, length))
        for name in ("minimum", "maximum", "exclusiveMinimum"):
            if name in rule:
                for number in (rule[name] - 1, rule[name], rule[name] + 1):
                    found[f"{number:g}"] = json.dumps(number)
        if "maxItems" in rule:
            for count in (rule["maxItems"], rule["maxItems"] + 1):
                found[f"{count} items"] = json.dumps(["x"] * count)
        if "additionalProperties" in rule and isinstance(rule.get("additionalProperties"), Mapping):
            found["a thousand names"] = json.dumps(
                {f"name{number}": "x" for number in range(1_000)}
            )
    return found


def _find_rules(rule: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a field's rule, its alternatives, and the rules it refers to."""
    yield rule
    if "$ref" in rule:
        yield from _find_rules(schema["$defs"][rule["$ref"].rpartition("/")[2]], schema)
    for inner in rule.get("anyOf", ()):
        yield from _find_rules(inner, schema)


def _fill(example: Any, path: Path, text: str) -> str:
    return json.dumps(_put(example, path, HOLE)).replace(json.dumps(HOLE), text)


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return new
    step = path[0]
    if isinstance(value, list):
        assert isinstance(step, int)
        return [
            _put(inner, path[1:], new) if index == step else inner
            for index, inner in enumerate(value)
        ]
    return {**value, step: _put(value.get(step), path[1:], new)}


def _without(value: Any, path: Path) -> Any:
    step, rest = path[0], path[1:]
    if rest:
        inner = value[step]
        return _put(value, (step,), _without(inner, rest))
    if isinstance(value, list):
        return [inner for index, inner in enumerate(value) if index != step]
    return {name: inner for name, inner in value.items() if name != step}
