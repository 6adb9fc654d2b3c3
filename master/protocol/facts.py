"""How fields of facts are read in the forms in which peers send them.

Each reader returns a value that its field's type accepts, or returns the value unchanged: then the
type refuses it, and the decoding leaves the field out with a note.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any, cast

import orjson
from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from master.model import Direction, MessageKind
from master.protocol.budgets import note, note_of
from master.protocol.json_text import Mended, open_text, open_with_faults
from master.protocol.wire import PLATFORM, bound_json, refuse_inexact

DIRECTIONS: Mapping[str, Direction] = {
    **dict.fromkeys(
        ("inbound", "in", "incoming", "received", "receive", "from_them"), Direction.INBOUND
    ),
    **dict.fromkeys(
        ("outbound", "out", "outgoing", "sent", "send", "from_me", "self"), Direction.OUTBOUND
    ),
}
"""Words for a direction, in lower case."""

KINDS: Mapping[str, MessageKind] = {
    "comment": MessageKind.COMMENT,
    "direct_message": MessageKind.DIRECT_MESSAGE,
    "dm": MessageKind.DIRECT_MESSAGE,
}
"""Words for a kind of message, in the singular and in lower case."""

CALLED = ("nickname", "name", "nick_name", "display_name", "username", "text", "title")
"""Members of an object that have its name, the best first."""

CODE_NAMES = ("qr_code_data", "qrcode_data", "qr_code", "qrcode", "image")
"""Names of a report's code, the usual one first."""

LINK_NAMES = ("qr_code_url", "qrcode_url", "qr_url", "login_url")
"""Names of the link that a code contains."""

CODE_IN = ("data", "base64", "image", "url", "text", "content", "value")
"""Members of an object that have its code."""

ITEM_IDS = frozenset({"platform_comment_id", "platform_message_id", "id"})
"""Names of an item's id."""

MOST_PLATFORMS = 64

MAX_IMAGE = 2_000_000

KNOWN_AS = ("id", "uid", "user_id", "sec_uid", "open_id")
"""Members of an object that have its id, the best first."""


def fold(value: Any) -> Any:
    """Return a word in lower case, with underscores and without blanks around it."""
    if isinstance(value, str):
        return value.strip().lower().replace("-", "_").replace(" ", "_")
    return value


def _read_direction(value: Any, info: ValidationInfo) -> Any:
    known = DIRECTIONS.get(fold(value)) if isinstance(value, str) else None
    if known is not None and known != value:
        note(info, f"read as {known}")
    return value if known is None else known


def find_kind(word: str) -> MessageKind | None:
    """Return the kind of message that a word means, in whatever form; None if it means none."""
    folded: str = fold(word)
    return KINDS.get(folded.removesuffix("s"))


def _read_kind(value: Any) -> Any:
    known = find_kind(value) if isinstance(value, str) else None
    return value if known is None else known


def _write_text(value: Any, info: ValidationInfo) -> Any:
    """Return an object, a list or a truth value as JSON text."""
    if isinstance(value, (dict, list, bool)):
        try:
            text = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
        except (TypeError, RecursionError):
            return value
        note(info, "kept as JSON text")
        return text
    return value


def pick(value: Any, names: tuple[str, ...]) -> Any:
    """Return the first text or number among an object's members of these names, else None."""
    if not isinstance(value, dict):
        return None
    for name in names:
        one = value.get(name)
        if isinstance(one, (str, int)) and not isinstance(one, bool) and one != "":
            return one
    return None


def _pick_name(value: Any, info: ValidationInfo) -> Any:
    found = pick(value, CALLED)
    if found is not None:
        note(info, "read from an object")
    return value if found is None else found


def _pick_id(value: Any, info: ValidationInfo) -> Any:
    """Return the text of a number that is exact, or of the id in an object. Errors: ValueError."""
    found = pick(value, KNOWN_AS)
    if found is not None:
        note(info, "read from an object")
    exact = refuse_inexact(value if found is None else found)
    return str(exact) if isinstance(exact, int) else exact


def spread_person(data: dict[str, Any], member: str, name: str, ident: str) -> dict[str, Any]:
    """Return an item in which an object `member` (`author`, say) has become a name and an id."""
    person = data.get(member)
    if person is None:
        return data
    found = {
        name: person if isinstance(person, str) else pick(person, CALLED),
        ident: pick(person, KNOWN_AS),
    }
    return {key: one for key, one in found.items() if one is not None} | data


def name_content(data: dict[str, Any]) -> dict[str, Any]:
    """Return an item whose content is an object or a list with its `content_type`.

    That is the object's own `type`, else json.
    """
    content = data.get("content")
    if not isinstance(content, (dict, list)):
        return data
    own = content.get("type") if isinstance(content, dict) else None
    return {"content_type": own if isinstance(own, str) and own else "json"} | data


def spread_state(data: dict[str, Any]) -> dict[str, Any]:
    """Return a report in which a browser's state as `cookies` is `cookies` and `origins`."""
    state = open_text(data.get("cookies"))
    if not isinstance(state, dict) or not isinstance(state.get("cookies"), list):
        return data
    spread = {**data, "cookies": state["cookies"]}
    if state.get("origins"):
        spread["origins"] = state["origins"]
    return Mended(spread, state.faults) if isinstance(state, Mended) else spread


def _read_cookies(value: Any, info: ValidationInfo) -> Any:
    """Return a list of cookies from an object, a JSON text or a header's text.

    An object is one cookie, or has a value or a cookie under each name.
    """
    value = _open(value, info)
    if isinstance(value, dict) and all(isinstance(o, (str, int, dict)) for o in value.values()):
        note(info, "read from an object")
        if "name" in value and "value" in value:
            return [value]
        return [{"name": name, **_name_value(one)} for name, one in value.items()]
    if isinstance(value, str):
        return _read_header(value, info) or value
    if isinstance(value, list) and any(isinstance(one, str) for one in value):
        return [
            cookie
            for one in value
            for cookie in (_read_header(one, info) if isinstance(one, str) else ()) or [one]
        ]
    if isinstance(value, list) and {} in value:
        note(info, "empty cookies are left out")
        return [one for one in value if one != {}]
    return value


def _name_value(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {"value": value}


def _read_header(text: str, info: ValidationInfo) -> list[dict[str, Any]]:
    """Return the cookies of a `Cookie` header's text; none if it is something else."""
    try:
        jar = SimpleCookie(text)
    except CookieError:
        return []
    if jar:
        note(info, "read from a text")
    return [{"name": name, "value": one.value} for name, one in jar.items()]


def _open(value: Any, info: ValidationInfo) -> Any:
    """Return the object or list of a JSON text."""
    opened, faults = open_with_faults(value)
    if opened is not value:
        note(info, "read from JSON text")
    for fault in faults:
        note(info, fault)
    return opened


def _read_profile(value: Any, info: ValidationInfo) -> Any:
    """Return an object from JSON text or a bare nickname, or the first object of a list."""
    value = _open(value, info)
    if isinstance(value, str) and value.strip():
        note(info, "read as a nickname")
        return {"nickname": value.strip()}
    if isinstance(value, list) and value and isinstance(value[0], dict):
        note(info, "read from the first element of a list")
        return value[0]
    return value


def gather_code(data: dict[str, Any]) -> dict[str, Any]:
    """Return a report of a code in which `qr_code_data` is the first code that it contains.

    Pages expect a text there, so a report with a link alone gets the link.
    """
    found = [
        one
        for name in (*CODE_NAMES, *LINK_NAMES)
        if isinstance(one := _read_text(data.get(name)), str) and 0 < len(one.strip()) <= MAX_IMAGE
    ]
    link = next((one for name in LINK_NAMES if (one := data.get(name)) is not None), None)
    given = {"qr_code_data": found[0] if found else None, "qr_code_url": link}
    return data | {name: one for name, one in given.items() if one is not None}


def _read_text(value: Any) -> Any:
    """Return the first text in an object or a list that contains a code."""
    value = value[0] if isinstance(value, list) and value else value
    return pick(value, CODE_IN) if isinstance(value, dict) else value


def _read_raw(value: Any, info: ValidationInfo) -> Any:
    """Return an object from JSON text, or one whose member `raw` is a text."""
    value = _open(value, info)
    if isinstance(value, str) and value:
        note(info, "kept in a member called raw")
        return {"raw": value}
    return value


def _read_items(value: Any, info: ValidationInfo) -> Any:
    """Return a report's items from JSON text, from a single item, or from an object by id."""
    value = _open(value, info)
    if not isinstance(value, dict) or not value:
        return value
    note(info, "read from an object")
    if not all(isinstance(one, dict) for one in value.values()) or not ITEM_IDS.isdisjoint(value):
        return [value]
    return [
        one if not ITEM_IDS.isdisjoint(one) else {"id": ident, **one}
        for ident, one in value.items()
    ]


def _read_platforms(value: Any, info: ValidationInfo) -> Any:
    """Return a list of platforms from a text, from the true members of an object, or from a list.

    Elements that name no platform are left out of a list unless it has no other.
    """
    value = _open(value, info)
    if isinstance(value, dict):
        note(info, "read from an object")
        value = [name for name, one in value.items() if one not in (False, None, 0)]
    elif isinstance(value, str) and value.strip():
        note(info, "read from a text")
        value = re.split(r"[\s,;|]+", value.strip())
    if not isinstance(value, list):
        return value
    named = [one if isinstance(one, str) else pick(one, ("platform", *CALLED)) for one in value]
    words = [one.strip().lower() for one in named if isinstance(one, str)]
    good = [one for one in words if PLATFORM.fullmatch(one)]
    kept = list(dict.fromkeys(good))[:MOST_PLATFORMS] or value
    if len(good) < len(value) and good:
        note(info, f"{len(value) - len(good)} of {len(value)} elements name no platform")
    return kept


def leave_out_unkeepable(data: Any, known: Mapping[str, str], info: ValidationInfo) -> Any:
    """Return an event without members of its own that JSON text cannot store."""
    if not isinstance(data, dict):
        return data
    kept = {}
    for name, value in data.items():
        try:
            kept[name] = value if name in known else bound_json({name: value})[name]
        except ValueError as fault:
            note_of(info, str(name)[:64], f"left out: {fault}")
    return kept


@dataclass(frozen=True, slots=True)
class Otherwise:
    """Reads a value in another form, only if its type refuses it as it is.

    Most facts need none of this, and the attempt costs them nothing.
    """

    read: Callable[[Any, ValidationInfo], Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """Validate the value; if it fails, read it and validate the result."""
        plain = handler(source)
        return core_schema.union_schema(
            [plain, core_schema.with_info_before_validator_function(self.read, plain)],
            mode="left_to_right",
            custom_error_type="unreadable",
            custom_error_message="this form is not known",
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the schema of the plain form."""
        plain = cast(core_schema.UnionSchema, schema)["choices"][0]
        return handler(cast(CoreSchema, plain))


AnyDirection = Otherwise(_read_direction)
AnyKind = BeforeValidator(_read_kind)
AnyText = Otherwise(_write_text)
AnyName = Otherwise(_pick_name)
AnyId = Otherwise(_pick_id)
# of a login, which is rare: so that a fault is known by its element
AnyCookies = BeforeValidator(_read_cookies)
AnyItems = BeforeValidator(_read_items)
AnyPlatforms = BeforeValidator(_read_platforms)
AnyProfile = BeforeValidator(_read_profile)
AnyObject = BeforeValidator(_read_raw)
