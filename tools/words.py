"""What docs/protocol.md says of forgiven facts and of known words, from the tables of Master."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from master.decisions.login import REPORTED, LoginEvent
from master.protocol.facts import (
    CALLED,
    CODE_NAMES,
    DIRECTIONS,
    KINDS,
    KNOWN_AS,
    LINK_NAMES,
    MOST_PLATFORMS,
)
from master.protocol.wire import Fact
from master.routes import NAMESPACES

MEANINGS: Mapping[LoginEvent, str] = {
    LoginEvent.QRCODE: "a code is ready; one in the report counts as a `worker:login:qrcode`",
    LoginEvent.PROGRESS: "somebody works on the login: its time (`LOGIN_TTL_S`) starts anew",
    LoginEvent.SUCCESS: "the account is logged in; the report has its `cookies`",
    LoginEvent.FAILED: "the login has ended; `error_message` and `error_type` say why",
    LoginEvent.TIME: "the login has expired",
}


def render_words() -> str:
    """Return the section about worker's words: statuses of logins, and what is forgiven."""
    statuses = "\n".join(
        f"| {_list(word for word, event in REPORTED.items() if event is meant)} | {meaning} |"
        for meant, meaning in MEANINGS.items()
    )
    facts = {
        route.event: route.payload
        for route in NAMESPACES["worker"].values()
        if issubclass(route.payload, Fact)
    }
    identities = "\n".join(
        f"| `{event}` | {_list(_name_identity(kind))} |" for event, kind in facts.items()
    )
    forms = "\n".join("- " + _fill(one).replace("\n", "\n  ") for one in FORMS)
    return PAGE.format(
        known=_fill(STATUSES),
        statuses=statuses,
        identities=identities,
        forms=forms,
        counted=_fill(COUNTED),
    )


PAGE = """### Statuses of a login

{known}

| status | meaning |
|---|---|
{statuses}

### What is forgiven

Only these fields can refuse a report, because they say what it is about:

| event | fields |
|---|---|
{identities}
| an item of `messages` | `platform_comment_id`, `platform_message_id` |

Everything else is kept, read in another form, cut, clamped or left out, and `notes` says so:

{forms}

{counted}
"""


STATUSES = """
Case, blanks, hyphens and underscores of a `status` do not matter. Any other word is refused as
`unknown_status` with this list, and a success without cookies as `no_cookies` if the account has
none stored; the login goes on after both. Each sign of progress, each code and each input of a
person starts the login's time anew, up to `LOGIN_MAX_S` after its start; `expires_at` in the
acknowledgement is its end.
"""

COUNTED = """
What was forgiven and what was refused for good is counted in `/metrics` and logged once per worker
(docs/operating.md).
"""


def _fill(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 98, break_on_hyphens=False)


def _list(words: Any) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _words(known: Mapping[str, Any]) -> str:
    """Return words by what they mean."""
    return "; ".join(
        f"{_list(word for word, one in known.items() if one is meant)} ({meant.value})"
        for meant in dict.fromkeys(known.values())
    )


def _name_identity(kind: type[Fact]) -> Iterator[str]:
    """Yield the names by which the fields that identify a fact are usually sent."""
    for field, info in kind.model_fields.items():
        if field in kind.identity:
            yield str(getattr(info.validation_alias, "choices", [field])[0])


FORMS = (
    """The whole payload, a report's items, cookies, profiles and fingerprints may be JSON text.
    Items may be an object by id, or a single item. `authorName` or `AUTHOR_NAME` is
    `author_name`.""",
    f"""Directions: {_words(DIRECTIONS)}; any other is inbound. Types of messages:
    {_words(KINDS)}, and their plurals.""",
    f"""An object in place of a name or an id gives its first of {_list(CALLED)} or
    {_list(KNOWN_AS)}; any other object, list or boolean in place of a text is kept as JSON
    text.""",
    """Times may also be dates in words (of JavaScript and e-mail), or with slashes and the year
    first. One that cannot be read becomes Master's present.""",
    """Cookies may be a browser's state, one cookie, an object by name, or the text of a
    header.""",
    f"""`capabilities` may be a text or an object; elements that name no platform are left out
    unless there is no other, and so are those past {MOST_PLATFORMS}.""",
    f"""A code is an image (a data URL, Base64, SVG), a text to encode, or a link, under any of
    {_list((*CODE_NAMES, *LINK_NAMES))}; `qr_code_data` in Master's events and answers always
    has the first of them. `qr.png` answers with the worker's image, or draws the link or the
    text.""",
)
"""The forms in which facts are read besides the usual one."""
