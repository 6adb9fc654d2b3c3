"""Documents can fail: everything that exists is documented, and every example fits its type."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from master.endpoints import ENDPOINTS
from master.errors import INTERNAL, every_refusal
from master.model import AccountStatus, LoginStatus, WorkerStatus
from master.protocol.decoding import decode
from master.protocol.json_text import FastJson
from master.protocol.words import CancelReason, LoginErrorType, RevokeReason
from master.routes import NAMESPACES, Route
from master.settings import describe_settings
from tests.conftest import check_shape, fold
from tools.protocol import TOLD, TYPES, render_protocol, render_types
from tools.protocol.complete import list_shown
from tools.protocol.events import list_named_replies
from tools.protocol.fields import list_fields
from tools.protocol.tables import list_words

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "fixtures" / "protocol"
PAGE = ROOT / "docs" / "protocol.md"

ARRIVING = [(name, route) for name, routes in NAMESPACES.items() for route in routes.values()]
LEAVING = [(name, event, kind) for name, told in TOLD.items() for event, kind in told.items()]


def read_example(name: str, event: str) -> dict[str, object]:
    example: dict[str, object] = json.loads(
        (EXAMPLES / name / f"{event}.json").read_text(encoding="utf-8")
    )
    return example


def test_the_protocol_page_is_what_the_types_say():
    assert PAGE.read_text(encoding="utf-8") == render_protocol(EXAMPLES)


def test_the_types_that_check_the_console_are_what_the_types_say():
    assert TYPES.read_text(encoding="utf-8") == render_types(), "python -m tools.protocol --write"


def test_the_types_that_check_the_console_have_every_route_and_every_event():
    text = TYPES.read_text(encoding="utf-8")
    names = [f'"{event}": ' for name, event, _ in LEAVING if name == "admin"]
    names += [f'"{route.event}": ' for name, route in ARRIVING if name == "admin"]
    for one in ENDPOINTS:
        if not one.path.endswith(".png"):
            path = re.sub(r"{[^}]+}", "${string}", one.path.strip("/"))
            names.append(f"Q extends `{one.method} {path}` ?")
    assert [name for name in names if name not in text] == []
    types = re.findall(r"^export (?:interface|type) (\w+)", text, re.M)
    assert len(types) == len(set(types)), "two types of one name"


@pytest.mark.parametrize(
    ("name", "route"), ARRIVING, ids=lambda value: getattr(value, "event", value)
)
def test_every_arriving_events_example_is_accepted(name: str, route: Route):
    decode(route.payload, read_example(name, route.event))


@pytest.mark.parametrize(
    ("name", "event", "kind"), LEAVING, ids=[f"{name}-{event}" for name, event, _ in LEAVING]
)
def test_every_leaving_events_example_has_its_shape(name, event, kind):
    example = read_example(name, event)
    TypeAdapter(kind).validate_python(fold(kind, example))
    names = {field.name for field in list_fields(kind)}
    assert kind.beside == "words" or not set(example) - names
    assert not names - kind.may_lack - set(example), "only what may lack may"


@pytest.mark.parametrize(
    ("name", "event", "kind"), LEAVING, ids=[f"{name}-{event}" for name, event, _ in LEAVING]
)
def test_what_a_leaving_event_shows_is_what_its_example_says(name, event, kind):
    """A value is written as the object that it describes: no field is lost or renamed."""
    example = read_example(name, event)
    value = TypeAdapter(kind).validate_python(fold(kind, example))
    assert FastJson.loads(FastJson.dumps(value.to_wire())) == example
    assert FastJson.loads(FastJson.dumps(value.render())) == example


def test_there_is_no_example_of_an_event_that_does_not_exist():
    known = {(name, route.event) for name, route in ARRIVING} | {
        (name, event) for name, event, _ in LEAVING
    }
    known |= {("replies", event) for event in list_named_replies()}
    present = {(path.parent.name, path.stem) for path in EXAMPLES.glob("*/*.json")}
    assert {one for one in present if one[0] != "http"} == known


@pytest.mark.parametrize("event", list_named_replies())
def test_every_acknowledgements_example_has_its_shape(event):
    check_shape(list_named_replies()[event].reply, read_example("replies", event))


def test_every_event_says_how_it_is_acknowledged():
    assert [route.event for _, route in ARRIVING if route.reply is None] == []


def test_every_field_and_every_word_on_the_protocol_page_has_a_meaning():
    fields = [f"{kind.__name__}.{field.name}" for kind, field in list_shown() if not field.meaning]
    assert fields == [], "add them to tools/protocol/meanings.toml"
    kinds = (RevokeReason, CancelReason, LoginErrorType, AccountStatus, LoginStatus, WorkerStatus)
    words = [(kind, word) for kind in kinds for word, meaning in list_words(kind) if not meaning]
    assert words == [], "add them to tools/protocol/meanings.toml, or below the word in its class"


def test_every_link_within_the_protocol_page_leads_somewhere():
    page = PAGE.read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", page, flags=re.M | re.S), re.M)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) - anchors == set()


def test_every_event_route_refusal_and_setting_is_documented():
    page = PAGE.read_text(encoding="utf-8")
    names = [route.event for _, route in ARRIVING] + [event for _, event, _ in LEAVING]
    names += [refusal.code for refusal in every_refusal()] + [INTERNAL["code"]]
    names += [f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS]
    names += [setting.name for setting in describe_settings()]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_operating_manual_names_every_setting_and_no_other():
    manual = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|", manual, re.M))
    assert table == {setting.name for setting in describe_settings()}


def test_every_refusal_says_something_and_no_code_means_two_things():
    refusals = list(every_refusal())
    assert all((refusal.__doc__ or "").strip() for refusal in refusals)
    assert len({refusal.code for refusal in refusals}) == len(refusals)


def test_every_attack_in_the_security_page_names_a_real_test():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(named) >= 40
    missing = [
        (path, name)
        for path, name in named
        if f"def {name}(" not in (ROOT / path).read_text(encoding="utf-8")
    ]
    assert missing == []
    rows = [line for line in page.partition("## Attacks")[2].splitlines() if line.startswith("| ")][
        1:
    ]
    assert [row for row in rows if "::test_" not in row and not row.startswith("|---")] == []


def test_the_layers_that_are_drawn_are_those_that_are_checked():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    layers = {
        contract["containers"][0]: contract["layers"]
        for contract in contracts
        if contract["type"] == "layers"
    }
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = page.split("## Who may import whom")[1].partition("\n## ")[0]
    drawing = section.split("```")[1].removeprefix("text")
    assert [line.strip() for line in drawing.strip().splitlines()] == layers.pop("master")
    for rows in layers.values():
        words = [
            f"`{word}`"
            for row in rows
            for word in row.split(" | ")
            if word not in ("__main__", "chance", "pace")
        ]
        assert [word for word in words if word not in section] == []
