"""Decodes an HTTP request for an operation: path names, query and body, each with its refusal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from aiohttp import web

from master.errors import Invalid, Missing, UnknownParameter, Unreadable
from master.protocol.decoding import decode, name_kind
from master.protocol.http import AS_READ, ROW_AS_READ, Change
from master.protocol.json_text import FastJson
from master.protocol.wire import MAX_ID, HttpPayload
from master.web.connections import LINES
from master.web.endpoint import Endpoint

EXTRA = "Extra inputs are not permitted"
"""How pydantic explains a field that its type does not have."""


async def read_request(request: web.Request, endpoint: Endpoint) -> HttpPayload:
    """Return the decoded request.

    Errors: Missing (path), UnknownParameter (400) and Invalid (422) for the query, Unreadable and
    Invalid for the body.
    """
    query = _read_query(request, endpoint)
    body = await _read_body(request, endpoint)
    names = {f"{{{name}}}": _clean(value) for name, value in request.match_info.items()}
    if strange := sorted(
        names.keys() & body.keys()
    ):  # names of the path are not allowed in the body
        raise Invalid(
            details=_name_known(
                [{"field": name, "message": EXTRA} for name in strange], endpoint.payload
            )
        )
    try:
        event = decode(endpoint.payload, {**query, **body, **names})
    except Invalid as fault:
        details = _name_known(fault.details or [], endpoint.payload)
        for detail in details:  # of several values one is wrong: their parameter is named
            name, _, index = str(detail["field"]).partition(".")
            if index and name in endpoint.repeatable:
                detail["field"] = name
        message = fault.message if endpoint.body else "The query has values that are not allowed."
        raise Invalid(message, details=details) from None
    _require_names(request)
    return event


def _word_unknown(known: Iterable[str], kind: str) -> str:
    """Return the message about an unknown name: it lists the known ones."""
    names = ", ".join(known)
    return f"unknown; known are: {names}" if names else f"unknown; this route has no {kind}"


def _name_known(
    details: Sequence[dict[str, Any]], payload: type[HttpPayload]
) -> list[dict[str, Any]]:
    """Return the details of a refused body; those of unknown fields list the known ones."""
    unknown = _word_unknown(payload.list_fields(), "fields")
    return [
        {**detail, "message": unknown} if detail["message"] == EXTRA else detail
        for detail in details
    ]


def _require_names(request: web.Request) -> None:
    """Refuse a path with a name that no row can have. Errors: Missing."""
    for name in request.match_info.values():
        if (
            not name.strip()
            or len(name) > MAX_ID
            or not all(_is_ordinary(letter) for letter in name)
        ):
            raise Missing


def _read_query(request: web.Request, endpoint: Endpoint) -> dict[str, Any]:
    """Return the query's values; those of repeatable parameters are lists.

    Errors: UnknownParameter for an unknown name, and for a repeated one that may not be.
    """
    query, known, repeatable = request.query, endpoint.parameters, endpoint.repeatable
    strange = sorted(
        {
            name
            for name in query
            if name not in known or (len(query.getall(name)) > 1 and name not in repeatable)
        }
    )
    if strange:
        unknown = _word_unknown(known, "parameters")
        raise UnknownParameter(
            details=[
                {
                    "field": name[:100],
                    "message": "given more than once" if name in known else unknown,
                }
                for name in (_clean(name) for name in strange[:20])
            ]
        )
    return {
        name: [_clean(one) for one in query.getall(name)] if name in repeatable else _clean(value)
        for name, value in query.items()
    }


async def _read_body(request: web.Request, endpoint: Endpoint) -> dict[str, Any]:
    """Return the body's fields; an endpoint without a body reads an object and ignores it."""
    try:
        with request.app[LINES].patience(request):
            raw = await request.read()
    except (ConnectionError, web.RequestPayloadError):  # cut off, or not encoded as its headers say
        request.content.feed_eof()  # else the server reads on and reports an internal error
        raise Unreadable("The body cannot be read to its end.") from None
    if endpoint.body is None:
        if raw and request.method not in ("GET", "HEAD"):
            read_object(raw)
        return {}
    fields = {} if not raw and endpoint.body_optional else read_object(raw)
    if not issubclass(endpoint.body, Change):
        return fields
    kept = endpoint.body.list_read_only()
    changes = {
        name: value
        for name, value in fields.items()
        if name not in kept and name not in endpoint.body.figures
    }
    if AS_READ in changes:  # no row has a field of this name
        raise Invalid(details=_name_known([{"field": AS_READ, "message": EXTRA}], endpoint.body))
    sent_back = {name: fields[name] for name in fields if name in kept or name in ROW_AS_READ}
    return {**changes, AS_READ: sent_back}


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a body, whatever its content type. Errors: Unreadable."""
    if not raw:
        raise Unreadable("The body is empty; a JSON object is expected.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("The body is not UTF-8.") from None
    try:
        data = FastJson.loads(text, strict=True)
    except (ValueError, RecursionError, OverflowError):
        raise Unreadable("The body is not readable JSON.") from None
    if not isinstance(data, dict):
        raise Unreadable(f"The body must be a JSON object; it is {name_kind(data)}.")
    return data


def _is_ordinary(letter: str) -> bool:
    return letter >= " " and letter != "\x7f" and not "\ud800" <= letter <= "\udfff"


def _clean(text: str) -> str:
    """Return text that can be stored and sent: lone surrogates become replacement characters."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
