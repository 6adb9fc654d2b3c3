"""Payloads that a type's JSON schema allows, or almost: any field may have any value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

Values = st.SearchStrategy[Any]

TEXT = st.text(st.characters(exclude_categories=()), max_size=50)
"""Lone surrogates and control characters too."""

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)

JSON: Values = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)
"""Any JSON value."""

LONGEST_TEXT = 300
MOST_ITEMS = 4


def almost(kind: type[BaseModel], names: Mapping[str, str]) -> Values:
    """Return payloads of `kind`, any field possibly wrong; `names`: field -> existing values."""
    schema = kind.model_json_schema()
    return _object(schema, schema, names) | JSON


def almost_query(kind: type[BaseModel], names: Mapping[str, str]) -> Values:
    """Return query parameters for `kind`, as texts; some are unknown."""
    schema = kind.model_json_schema()
    fields = schema.get("properties", {})
    known = {name: _value(name, rule, schema, names).map(_write) for name, rule in fields.items()}
    return st.fixed_dictionaries({}, optional={**known, "unknown": TEXT})


def _write(value: Any) -> str:
    return str(value).encode("utf-8", "replace").decode()


def _object(rule: Mapping[str, Any], schema: Mapping[str, Any], names: Mapping[str, str]) -> Values:
    fields = {
        name: _value(name, inner, schema, names)
        for name, inner in rule.get("properties", {}).items()
    }
    required = {name: fields[name] for name in rule.get("required", ())}
    optional = {name: values for name, values in fields.items() if name not in required}
    complete = st.fixed_dictionaries(required, optional=optional)
    return complete | st.fixed_dictionaries({}, optional=fields)


def _value(
    name: str, rule: Mapping[str, Any], schema: Mapping[str, Any], names: Mapping[str, str]
) -> Values:
    good = _from_rule(rule, schema, names)
    real = st.just(names[name]) if name in names else good
    return st.one_of(real, real, good, good, JSON)


def _from_rule(
    rule: Mapping[str, Any], schema: Mapping[str, Any], names: Mapping[str, str]
) -> Values:
    if "$ref" in rule:
        return _from_rule(schema["$defs"][rule["$ref"].rpartition("/")[2]], schema, names)
    if "anyOf" in rule:
        return st.one_of(*(_from_rule(inner, schema, names) for inner in rule["anyOf"]))
    if "enum" in rule or "const" in rule:
        return st.sampled_from(rule.get("enum", [rule.get("const")]))
    by_type: dict[str, Callable[[], Values]] = {
        "object": lambda: (
            _object(rule, schema, names) | st.dictionaries(TEXT, JSON, max_size=MOST_ITEMS)
        ),
        "array": lambda: st.lists(
            _from_rule(rule.get("items", {}), schema, names), max_size=MOST_ITEMS
        ),
        "string": lambda: _from_string(rule),
        "integer": lambda: _from_number(rule, whole=True),
        "number": lambda: _from_number(rule, whole=False),
        "boolean": st.booleans,
        "null": st.none,
    }
    return by_type.get(rule.get("type", ""), lambda: JSON)()


def _from_string(rule: Mapping[str, Any]) -> Values:
    if "pattern" in rule:
        return st.from_regex(rule["pattern"]) | TEXT
    least = min(rule.get("minLength", 0), LONGEST_TEXT)
    return st.text(
        min_size=least, max_size=max(least, min(rule.get("maxLength", 50), LONGEST_TEXT))
    )


def _from_number(rule: Mapping[str, Any], *, whole: bool) -> Values:
    least, most = rule.get("minimum", rule.get("exclusiveMinimum")), rule.get("maximum")
    edges = st.sampled_from(
        [edge + step for edge in (least, most) if edge is not None for step in (-1, 0, 1)] or [0]
    )
    if whole:
        return st.integers(min_value=least, max_value=most) | edges
    return st.floats(min_value=least, max_value=most, allow_nan=False, allow_infinity=False) | edges
