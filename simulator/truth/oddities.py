"""Odd forms in which real workers report messages and logins, and what must be stored of each.

Each form of a message changes the payload, and the truth that the stored row is compared with: a
field that the form makes unreadable is dropped from it. The id alone must stay readable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any

import orjson

from master.model import JsonObject, MessageKind

PERSON = {
    MessageKind.COMMENT: ("author_name", "author_id", "author"),
    MessageKind.DIRECT_MESSAGE: ("sender_name", "sender_id", "sender"),
}
"""The fields of a person's name and id, and the object that some workers send instead."""

IDS = {
    MessageKind.COMMENT: "platform_comment_id",
    MessageKind.DIRECT_MESSAGE: "platform_message_id",
}

NO_NUMBER = orjson.Fragment(b"NaN")
"""NaN as Python's peers write it; JSON has no such number."""

HALF_EMOJI = orjson.Fragment(rb'"half \ud83d"')
"""Half an emoji as JavaScript cuts one."""

LONG_NAME, CUT_NAME = 2_000, 1_000
"""Characters of a name that is too long, and of what Master keeps."""


def show_truth(kind: MessageKind, payload: JsonObject) -> JsonObject:
    """Return a plain message by the columns that Master stores."""
    name, ident, _ = PERSON[kind]
    columns = ("content", "created_at", "post_id", "post_title", "direction")
    shown = {column: payload[column] for column in columns if column in payload}
    return {**shown, "author_name": payload[name], "author_id": payload[ident]}


Form = Callable[[MessageKind, JsonObject, JsonObject, int], None]
"""Changes an item's payload and its truth; the number is unique in the run."""


def _person_as_object(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    name, ident, member = PERSON[kind]
    item[member] = {"nickname": item.pop(name), "uid": item.pop(ident), "level": 3}


def _name_as_object(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    name = PERSON[kind][0]
    item[name] = {"name": item[name], "verified": True}


def _long_name(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item[PERSON[kind][0]] = "名" * LONG_NAME
    truth["author_name"] = "名" * CUT_NAME


def _person_as_number(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item[PERSON[kind][1]] = number
    truth["author_id"] = str(number)


def _picture(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item["content"] = {"type": "image", "url": f"https://img.example/{number}.webp"}
    truth |= {"content": item["content"], "content_type": "image"}


def _content_with_nan(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item["content"] = {"text": item["content"], "score": NO_NUMBER, "number": number}
    truth |= {"content": {**item["content"], "score": None}, "content_type": "json"}


def _content_as_number(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item["content"] = number
    truth["content"] = str(number)


def _half_emoji(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item["content"] = HALF_EMOJI
    truth["content"] = "half \ufffd"


def _small_id(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item[IDS[kind]] = number


def _short_id_name(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item["id"] = item.pop(IDS[kind])


def _all_null(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    for name in item.keys() - {IDS[kind]}:
        item[name] = None
    truth.clear()


def _loud_direction(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    if kind is MessageKind.DIRECT_MESSAGE:
        item["direction"] = str(item["direction"]).upper()
    else:
        item["direction"] = "INBOUND"  # of no use here, and no harm


def _other_direction(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    words = {"inbound": "incoming", "outbound": "from me"}
    item["direction"] = words.get(str(item.get("direction")), "incoming")


def _unknown_member(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
    item["raw"] = {"deep": [[[number]]], "score": NO_NUMBER}


def _at(write: Callable[[int], Any], *, readable: bool = True) -> Form:
    """Return a form in which the time of a message is written in another way."""

    def change(kind: MessageKind, item: JsonObject, truth: JsonObject, number: int) -> None:
        item["created_at"] = write(item["created_at"])
        if not readable:
            truth.pop("created_at")

    return change


FORMS: Mapping[str, Form] = {
    "person as object": _person_as_object,
    "name as object": _name_as_object,
    "long name": _long_name,
    "person as number": _person_as_number,
    "picture": _picture,
    "content with NaN": _content_with_nan,
    "content as number": _content_as_number,
    "half emoji": _half_emoji,
    "small number as id": _small_id,
    "id under a short name": _short_id_name,
    "all null": _all_null,
    "loud direction": _loud_direction,
    "other direction": _other_direction,
    "unknown member": _unknown_member,
    "milliseconds": _at(lambda at: at * 1_000),
    "microseconds": _at(lambda at: at * 10**6),
    "nanoseconds": _at(lambda at: at * 10**9),
    "ISO 8601": _at(lambda at: datetime.fromtimestamp(at, UTC).isoformat()),
    "time in halves": _at(lambda at: {"low": at & 0xFFFFFFFF, "high": at >> 32}),
    "empty time": _at(lambda _: "", readable=False),
    "NaN as time": _at(lambda _: NO_NUMBER, readable=False),
    "time before 1970": _at(lambda _: -1, readable=False),
    "time of 2255": _at(lambda _: 9_000_000_000, readable=False),
}
"""Name -> odd form of a message."""


def spoil_item(
    kind: MessageKind, item: JsonObject, truth: JsonObject, number: int, rng: Random
) -> tuple[JsonObject, JsonObject]:
    """Return a message in an odd form, and what must be stored of it."""
    odd, kept = dict(item), dict(truth)
    FORMS[rng.choice(tuple(FORMS))](kind, odd, kept, number)
    return odd, kept


def _state_as_cookies(profile: JsonObject) -> None:
    profile["cookies"] = {"cookies": profile["cookies"], "origins": []}


def _cookies_as_header(profile: JsonObject) -> None:
    profile["cookies"] = "; ".join(f"{one['name']}={one['value']}" for one in profile["cookies"])


def _cookies_as_object(profile: JsonObject) -> None:
    profile["cookies"] = {one["name"]: one["value"] for one in profile["cookies"]}


def _put(**members: Any) -> Callable[[JsonObject], None]:
    return lambda profile: profile.update(members)


def _profile_in_list(profile: JsonObject) -> None:
    profile["user_info"] = [profile["user_info"]]


LOGIN_FORMS: Mapping[str, Callable[[JsonObject], None]] = {
    "browser's state": _state_as_cookies,
    "cookies as header": _cookies_as_header,
    "cookies as object": _cookies_as_object,
    "profile in a list": _profile_in_list,
    "profile as a name": _put(user_info="a bare nickname"),
    "cookies end before 1970": _put(cookies_valid_until=-1),
    "cookies end as words": _put(cookies_valid_until="soon"),
    "cookies end NaN": _put(cookies_valid_until=NO_NUMBER),
    "empty end of the code": _put(expires_at=""),
    "fingerprint as text": _put(fingerprint="Mozilla/5.0"),
    "loud status": _put(status="SUCCESS"),
    "error as object": _put(error_message={"code": 0}, error_type=None),
}
"""Name -> odd form of a login's success."""

BARE = frozenset({"cookies as header", "cookies as object"})
"""Forms of cookies that have names and values only."""


def spoil_login(profile: JsonObject, rng: Random) -> tuple[JsonObject, list[JsonObject]]:
    """Return a login's success in an odd form, and the cookies that must be stored of it."""
    odd, name = dict(profile), rng.choice(tuple(LOGIN_FORMS))
    cookies = profile["cookies"]
    LOGIN_FORMS[name](odd)
    if name in BARE:
        cookies = [{"name": one["name"], "value": one["value"]} for one in cookies]
    return odd, cookies
