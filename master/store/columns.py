"""Column types of the tables, and expressions that read a column in part."""

from __future__ import annotations

from typing import Any

import orjson
from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Text,
    TypeDecorator,
    case,
    cast,
    func,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class JsonText(TypeDecorator[Any]):
    """An object stored as JSON text; NULL is None."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Any) -> str | None:
        """Return the text to store."""
        return None if value is None else orjson.dumps(value).decode()

    def process_result_value(self, value: str | None, dialect: Any) -> Any:
        """Return the object of a stored text."""
        return None if value is None else orjson.loads(value)


class SealedBytes(TypeDecorator[bytes]):
    """A value sealed by the vault, read as bytes whatever type is stored.

    A damaged value must not break the reading of other rows.
    """

    impl = LargeBinary
    cache_ok = True

    def column_expression(self, column: Any) -> Any:
        """Return the expression that is selected for the column."""
        return type_coerce(cast(column, LargeBinary), self)


class PickJson(FunctionElement[Any]):
    """The JSON text of a column's object, reduced to the members `names`."""

    type = JsonText()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], *names: str) -> None:
        super().__init__(type_coerce(column, Text))
        self.names = names


@compiles(PickJson)
def _pick_json(element: PickJson, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    members = ", ".join(f"'{name}', json_extract({column}, '$.{name}')" for name in element.names)
    return f"CASE WHEN json_valid({column}) THEN json_object({members}) END"


@compiles(PickJson, "postgresql")
def _pick_json_postgresql(element: PickJson, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    members = ", ".join(f"'{name}', CAST({column} AS JSON) -> '{name}'" for name in element.names)
    return f"CAST(json_build_object({members}) AS TEXT)"


class JsonMember(FunctionElement[Any]):
    """The text of the member `name` of a column's JSON object, or NULL."""

    type = Text()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        super().__init__(type_coerce(column, Text))
        self.name = name


@compiles(JsonMember)
def _json_member(element: JsonMember, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"CASE WHEN json_valid({column}) THEN json_extract({column}, '$.{element.name}') END"


@compiles(JsonMember, "postgresql")
def _json_member_postgresql(element: JsonMember, compiler: Any, **options: Any) -> str:
    column = compiler.process(element.clauses, **options)
    return f"(CAST({column} AS JSON) ->> '{element.name}')"


class JsonNumbers(FunctionElement[Any]):
    """The members of a JSON object whose values are integers, as a table: `key`, `value`."""

    inherit_cache = True


@compiles(JsonNumbers)
def _json_numbers(element: JsonNumbers, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(JsonNumbers, "postgresql")
def _json_numbers_postgresql(element: JsonNumbers, compiler: Any, **options: Any) -> str:
    return f"json_each_text(CAST({compiler.process(element.clauses, **options)} AS JSON))"


def bound_text(column: ColumnElement[Any], most: int, *names: str) -> ColumnElement[Any]:
    """Return the expression that reads a column of JSON text of at most `most` characters.

    A longer text, which Master never writes, is not read whole: only its members `names` are read,
    or NULL if there are no `names`.
    """
    shorter: Any = PickJson(column, *names) if names else None
    return type_coerce(
        case((func.length(column) <= most, type_coerce(column, Text)), else_=shorter), JsonText()
    )
