"""Fills page.md: each line `{{name arguments}}` is replaced by what the name's function renders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from master import login_link, model, reasons
from master.decisions.account_state import ACCOUNT_WORDS, LOGIN_WORDS
from master.decisions.login import REPORTED, TRANSITIONS, LoginEvent
from master.errors import INTERNAL, every_refusal
from master.protocol import admin, answers, replies, words, worker
from master.settings import describe_settings
from tools.protocol.events import render_arriving, render_leaving
from tools.protocol.forgiven import render_forgiven
from tools.protocol.http import list_answer_types, render_endpoints
from tools.protocol.tables import read_first, render_enum, render_object

ROOT_FOLDER = Path(__file__).parents[2]
EXAMPLES = ROOT_FOLDER / "fixtures" / "protocol"
PAGE = ROOT_FOLDER / "docs" / "protocol.md"
TEMPLATE = Path(__file__).with_name("page.md")
MARK = re.compile(r"^\{\{([a-z-]+) ?([^}]*)\}\}$", re.M)

OBJECTS = (
    worker.AccountForWorker,
    worker.ProxyForWorker,
    admin.NewNotification,
    answers.ListedLogin,
    replies.Note,
    replies.Fault,
)
"""Types that events contain and that no answer over HTTP has."""


def render_protocol(examples: Path) -> str:
    """Return docs/protocol.md; `examples` is the folder of one valid payload per event."""
    parts: Mapping[str, Callable[[str], Iterator[str]]] = {
        "arriving": lambda name: render_arriving(name, examples),
        "leaving": lambda name: render_leaving(name, examples),
        "routes": lambda _: render_endpoints(examples),
        "objects": _render_objects,
        "words": lambda name: render_enum(_find_words(name)),
        "statuses": _render_statuses,
        "forgiven": render_forgiven,
        "states": _render_states,
        "transitions": _render_transitions,
        "refusals": _render_refusals,
        "settings": _render_settings,
        "file": _render_file,
    }

    def fill(found: re.Match[str]) -> str:
        return "\n".join(parts[found[1]](found[2])).rstrip()

    return MARK.sub(fill, TEMPLATE.read_text(encoding="utf-8"))


def _find_words(name: str) -> Any:
    return next(
        getattr(one, name) for one in (words, model, login_link, reasons) if hasattr(one, name)
    )


def _render_objects(_: str) -> Iterator[str]:
    for kind in (*OBJECTS, *list_answer_types()):
        yield from render_object(kind)


def _render_statuses(_: str) -> Iterator[str]:
    meaning: dict[LoginEvent, list[str]] = {}
    for word, event in REPORTED.items():
        meaning.setdefault(event, []).append(word)
    yield "| status | meaning |\n|---|---|"
    for event, known in meaning.items():
        yield f"| {', '.join(f'`{word}`' for word in known)} | {event.value} |"


def _render_states(_: str) -> Iterator[str]:
    yield "| field | words | the state |\n|---|---|---|"
    for field, known in (("login_status", LOGIN_WORDS), ("account_status", ACCOUNT_WORDS)):
        for state in dict.fromkeys(known.values()):
            said = ", ".join(f"`{word}`" for word, one in known.items() if one is state)
            yield f"| `{field}` | {said} | `{state}` |"


def _render_transitions(_: str) -> Iterator[str]:
    yield "| from | event | to |\n|---|---|---|"
    for (before, event), after in TRANSITIONS.items():
        yield f"| `{before}` | {event} | `{after}` |"


def _render_refusals(_: str) -> Iterator[str]:
    yield "| code | HTTP | again? | meaning |\n|---|---|---|---|"
    rows: list[tuple[Any, ...]] = [
        (one.code, one.status, one.retryable, read_first(one)) for one in every_refusal()
    ]
    rows.append((INTERNAL["code"], 500, INTERNAL["retryable"], INTERNAL["message"]))
    for code, status, again, meaning in rows:
        yield f"| `{code}` | {status} | {'yes' if again else 'no'} | {meaning} |"


def _render_settings(_: str) -> Iterator[str]:
    yield "| name | default | allowed | |\n|---|---|---|---|"
    for setting in describe_settings():
        cells = f"`{setting.default}` | {setting.allowed} | {setting.description}"
        yield f"| `{setting.name}` | {cells} |"


def _render_file(name: str) -> Iterator[str]:
    path = ROOT_FOLDER / name
    kind = {".mjs": "js", ".py": "python", ".sh": "bash"}[path.suffix]
    yield f"```{kind}\n{path.read_text(encoding='utf-8').strip()}\n```"
