"""Administrators keep views of the console: each reads and changes their own alone.

Views change nothing of the farm, so the scope `read` is enough and the audit has none of them.
"""

from __future__ import annotations

from dataclasses import replace

from master.errors import AlreadyExists, Missing, TooManyViews
from master.protocol.answers import Listing
from master.protocol.http import ById
from master.protocol.views import MOST_VIEWS, NewView, ShownView, ViewChange, ViewsQuery
from master.store import views as rows
from master.store.views import View
from master.turn import Turn


async def list_views(event: ViewsQuery, turn: Turn) -> Listing[ShownView]:
    """List the caller's saved views of the console, by name."""
    owner = turn.caller.name
    found, total = await rows.list_views(turn.connection, owner, event.limit, event.offset)
    return Listing([_render(one) for one in found], total)


async def save_view(event: NewView, turn: Turn) -> ShownView:
    """Save a view of the console for the caller; its name must be new.

    Errors: AlreadyExists, TooManyViews.
    """
    owner = turn.caller.name
    await _require_free_name(turn, event.name)
    if await rows.count_views(turn.connection, owner) >= MOST_VIEWS:
        raise TooManyViews
    view = View(turn.new_id(), owner, event.name, event.url, turn.at, turn.at)
    await rows.add_view(turn.connection, view)
    return _render(view)


async def change_view(event: ViewChange, turn: Turn) -> ShownView:
    """Rename a view of the caller, or give it another address. Errors: Missing, AlreadyExists."""
    view = await _find(turn, event.id)
    event.require_unchanged(_render(view))
    name, url = event.name or view.name, event.url or view.url
    if name != view.name:
        await _require_free_name(turn, name)
    view = replace(view, name=name, url=url, updated_at=turn.at)
    await rows.change_view(turn.connection, view)
    return _render(view)


async def remove_view(event: ById, turn: Turn) -> ShownView:
    """Delete a view of the caller. Errors: Missing."""
    view = await _find(turn, event.id)
    await rows.remove_view(turn.connection, view.id)
    return _render(view)


async def _find(turn: Turn, view_id: str) -> View:
    """Return a view of the caller; another administrator's is missing as well."""
    view = await rows.find_view(turn.connection, turn.caller.name, view_id)
    if view is None:
        raise Missing("You have no such view.")
    return view


async def _require_free_name(turn: Turn, name: str) -> None:
    twin = await rows.find_named(turn.connection, turn.caller.name, name)
    if twin is not None:
        raise AlreadyExists("You have a view with this name already.", details=[{"id": twin.id}])


def _render(view: View) -> ShownView:
    return {
        "id": view.id,
        "name": view.name,
        "url": view.url,
        "created_at": view.created_at,
        "updated_at": view.updated_at,
    }
