"""From an HTTP request to what an operation takes: path names, query and body, each refused in its own way."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from pydantic import ValidationError

from master.endpoints import Endpoint
from master.errors import Invalid, Missing, UnknownParameter, Unreadable
from master.protocol.http import Request
from master.protocol.wire import MAX_ID, FastJson, Query, decode, explain_faults, name_kind
from master.web.connections import LINES


async def read_request(request: web.Request, endpoint: Endpoint) -> Request[Any, Any]:
    """Return the decoded request.

    Errors: Missing (path), UnknownParameter (400) and Invalid (422) for the query, Unreadable and Invalid for the body.
    """
    return Request(
        query=read_query(request, endpoint.query),
        body=await _read_body(request, endpoint),
        path=read_path(request),
    )


def read_path(request: web.Request) -> dict[str, str]:
    """Return the names of the path. What cannot be anybody's name is nobody's name. Errors: Missing."""
    names = dict(request.match_info)
    for name in names.values():
        if not name.strip() or len(name) > MAX_ID or not all(_is_ordinary(letter) for letter in name):
            raise Missing
    return names


def read_query(request: web.Request, kind: type[Query]) -> Query:
    """Return the query. Errors: UnknownParameter for a name unknown or given twice, Invalid for a wrong value."""
    given = request.query
    strange = sorted({name for name in given if name not in kind.model_fields or len(given.getall(name)) > 1})
    if strange:
        raise UnknownParameter(
            details=[
                {
                    "field": name[:100],
                    "message": "given more than once" if name in kind.model_fields else "unknown",
                }
                for name in (_clean(name) for name in strange[:20])
            ]
        )
    values = {name: _clean(value) for name, value in given.items()}
    try:
        return kind.model_validate(values)
    except ValidationError as fault:
        raise Invalid("The query has values that are not allowed.", details=explain_faults(fault)) from None


async def _read_body(request: web.Request, endpoint: Endpoint) -> Any:
    """Return the body as the endpoint's type; where none is taken, an object is read and ignored."""
    try:
        with request.app[LINES].patience(request):
            raw = await request.read()
    except (ConnectionError, web.RequestPayloadError):  # cut off, or not packed as its headers say
        request.content.feed_eof()  # the server would read on and call it an error of ours
        raise Unreadable("The body cannot be read to its end.") from None
    if endpoint.body is None:
        if raw and request.method not in ("GET", "HEAD"):
            read_object(raw)
        return None
    if not raw and endpoint.body_optional:
        return decode(endpoint.body, {})
    return decode(endpoint.body, read_object(raw))


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a body; the declared content type does not matter. Errors: Unreadable."""
    if not raw:
        raise Unreadable("The body is empty; a JSON object is expected.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("The body is not UTF-8.") from None
    try:
        data = FastJson.loads(text)
    except (ValueError, RecursionError, OverflowError):
        raise Unreadable("The body is not JSON that can be read.") from None
    if not isinstance(data, dict):
        raise Unreadable(f"The body must be a JSON object; it is {name_kind(data)}.")
    return data


def _is_ordinary(letter: str) -> bool:
    return letter >= " " and letter != "\x7f" and not "\ud800" <= letter <= "\udfff"


def _clean(text: str) -> str:
    """Return text that can be stored and sent: half a character becomes the replacement character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
