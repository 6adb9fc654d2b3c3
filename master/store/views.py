"""Rows of saved views: what administrators keep of the console, each their own."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from master.store.schema import console_views as views


@dataclass(frozen=True, slots=True)
class View:
    """A saved view. `owner` is the name of an administrator's token, empty without tokens."""

    id: str
    owner: str
    name: str
    url: str
    created_at: int
    updated_at: int


async def list_views(
    connection: AsyncConnection, owner: str, limit: int, offset: int
) -> tuple[list[View], int]:
    """Return a page of an administrator's views by name, and how many there are."""
    query = _select(views.c.owner == owner).order_by(views.c.name).limit(limit).offset(offset)
    rows = await connection.execute(query)
    return [_read(row) for row in rows], await count_views(connection, owner)


async def count_views(connection: AsyncConnection, owner: str) -> int:
    """Return how many views an administrator has."""
    query = select(func.count()).select_from(views).where(views.c.owner == owner)
    return int(await connection.scalar(query) or 0)


async def find_view(connection: AsyncConnection, owner: str, view_id: str) -> View | None:
    """Return a view of an administrator, or None."""
    row = (await connection.execute(_select(views.c.id == view_id, views.c.owner == owner))).first()
    return None if row is None else _read(row)


async def find_named(connection: AsyncConnection, owner: str, name: str) -> View | None:
    """Return the view of an administrator with this name, or None."""
    row = (await connection.execute(_select(views.c.name == name, views.c.owner == owner))).first()
    return None if row is None else _read(row)


async def add_view(connection: AsyncConnection, view: View) -> None:
    """Store a new view."""
    values = {name: getattr(view, name) for name in View.__dataclass_fields__}
    await connection.execute(insert(views).values(**values))


async def change_view(connection: AsyncConnection, view: View) -> None:
    """Store the present name and address of a view."""
    wanted = {"name": view.name, "url": view.url, "updated_at": view.updated_at}
    await connection.execute(update(views).where(views.c.id == view.id).values(**wanted))


async def remove_view(connection: AsyncConnection, view_id: str) -> None:
    """Remove a view."""
    await connection.execute(delete(views).where(views.c.id == view_id))


def _select(*conditions: ColumnElement[bool]) -> Select[tuple[str, str, str, str, int, int]]:
    c = views.c
    return select(c.id, c.owner, c.name, c.url, c.created_at, c.updated_at).where(*conditions)


def _read(row: Row[tuple[str, str, str, str, int, int]]) -> View:
    return View(row.id, row.owner, row.name, row.url, row.created_at, row.updated_at)
