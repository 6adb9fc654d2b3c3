"""Secrets have a type that refuses to be printed, from decoding to the store."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from dataclasses import asdict, fields
from pathlib import Path
from typing import get_type_hints

import orjson
import pytest
import structlog

from master.environment import SettingsFault
from master.errors import Invalid
from master.keys import make_key
from master.logs import close_logs, configure_logs
from master.protocol.admin import QrCodeReady
from master.protocol.decoding import decode
from master.protocol.http import NewProxy, ProxyChange
from master.protocol.json_text import FastJson
from master.protocol.worker import (
    LoginReport,
    LoginStart,
    ProxyForWorker,
    Registered,
    TaskAssign,
    UserInputTyped,
)
from master.secret import Secret
from master.settings import load_settings
from master.store.mapping import FARM
from master.store.schema import SEALED
from master.store.sealing import Secrets
from master.supervisor import Supervisor
from master.turn import ADMINS, HandOut, Parcel

HUSH = "hush-hush"
KEY = "a:" + "A" * 42 + "A="


SHAPES = [Secret(HUSH), Secret({"cookies": [HUSH]})]


@pytest.mark.parametrize("secret", SHAPES, ids=["text", "object"])
def test_a_secret_is_printed_as_one(secret):
    for shown in (
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret:>40}",
        f"{secret} {secret!r}",
        repr([secret]),
    ):
        assert HUSH not in shown
        assert "<secret>" in shown


@pytest.mark.parametrize("secret", SHAPES, ids=["text", "object"])
@pytest.mark.parametrize(
    "write",
    [orjson.dumps, json.dumps, FastJson.dumps, pickle.dumps, copy.copy, copy.deepcopy, hash],
    ids=lambda write: f"{write.__module__}.{write.__qualname__}",
)
def test_nothing_writes_a_secret_down(secret, write):
    with pytest.raises(TypeError) as caught:
        write({"value": secret} if write not in (copy.copy, hash) else secret)
    assert HUSH not in "".join(traceback.format_exception(caught.value))


def test_no_record_in_memory_has_a_field_for_a_secret_or_a_code():
    for rows in FARM:
        names = {field.name for field in fields(rows.record)}
        sealed = {*SEALED.get(rows.table.name, ()), "qr_code_data", "qr_code_url"}
        assert names & sealed == set(), rows.table.name
        assert not [
            name for name, hint in get_type_hints(rows.record).items() if "Secret" in str(hint)
        ]


SENT = {
    "credentials": {"cookies": [HUSH]},
    "fingerprint": {"agent": HUSH},
}
OPENED = [
    Secrets(SENT, {}),
    HandOut("worker-1", {"account-1": 1}, shown=[SENT]),
    Registered(success=True, accounts=[SENT]),
    TaskAssign([SENT]),
    ProxyForWorker("h:1", "http", "me", HUSH),
    LoginStart("account-1", "session-1", "douyin", ProxyForWorker("h:1", "http", "me", HUSH)),
    UserInputTyped("session-1", "sms", HUSH),
    QrCodeReady("session-1", "account-1", "worker-1", HUSH, HUSH, 0),
]


@pytest.mark.parametrize("opened", OPENED, ids=lambda opened: type(opened).__name__)
def test_what_contains_an_opened_secret_on_its_way_does_not_print_it(opened):
    assert HUSH in str(asdict(opened))
    assert HUSH not in repr(opened) + str(opened) + f"{opened}" + repr([Parcel(ADMINS, opened)])


@pytest.mark.parametrize("development", [True, False])
def test_a_secret_is_not_logged_under_any_name(tmp_path: Path, capsys, development):
    configure_logs("info", tmp_path, development=development)
    try:
        structlog.get_logger("master").info(
            "said", anything=Secret(HUSH), many=[{"deep": Secret(HUSH)}]
        )
        logging.getLogger("master").info("said %s", Secret(HUSH))
    finally:
        close_logs()
        structlog.reset_defaults()
    assert HUSH not in capsys.readouterr().err + (tmp_path / "master.log").read_text(
        encoding="utf-8"
    )


def test_equal_secrets_are_equal_and_an_empty_one_is_false():
    assert Secret([1]) == Secret([1])
    assert Secret([1]) != Secret([2])
    assert Secret(HUSH) != HUSH
    assert not Secret([])
    assert Secret([1]).map(lambda value: {"cookies": value}).reveal() == {"cookies": [1]}


REPORT = {"session_id": "s", "status": "success"}
WRONG = [
    (NewProxy, {"name": "p", "server": "h:1", "password": [HUSH]}, "password"),
    (NewProxy, {"name": "p", "server": "h:1", "password": HUSH * 1_000}, "password"),
    (ProxyChange, {"{id}": "p", "password": {"x": HUSH}}, "password"),
]


@pytest.mark.parametrize(("kind", "data", "field"), WRONG)
def test_a_wrong_secret_is_refused_without_being_quoted(kind, data, field):
    with pytest.raises(Invalid) as caught:
        decode(kind, data)
    refusal = caught.value
    assert [detail["field"].split(".")[0] for detail in refusal.to_wire()["details"]] == [field]
    assert HUSH not in json.dumps(refusal.to_wire()) + "".join(traceback.format_exception(refusal))


@pytest.mark.parametrize(
    ("field", "value"),
    [("cookies", HUSH), ("cookies", [HUSH]), ("cookies", {HUSH: [HUSH]}), ("fingerprint", [HUSH])],
)
def test_a_wrong_secret_of_a_fact_is_left_out_without_being_quoted(field, value):
    report = decode(LoginReport, {**REPORT, field: value})
    assert not getattr(report, field)
    assert report.notes[0]["field"].split(".")[0] == field
    assert HUSH not in json.dumps(report.notes)


def test_what_is_decoded_shows_no_secret_and_no_words_of_the_worker():
    report = decode(
        LoginReport,
        {**REPORT, "cookies": [{"value": HUSH}], "fingerprint": {"a": HUSH}, "storage_state": HUSH},
    )
    assert HUSH not in repr(report)
    assert report.cookies.reveal() == [{"value": HUSH}]
    assert report.model_extra == {"storage_state": HUSH}
    with pytest.raises(Exception, match="not written down") as caught:
        report.model_dump()
    assert HUSH not in str(caught.value)
    assert HUSH not in repr(decode(NewProxy, {"name": "p", "server": "h:1", "password": HUSH}))


@pytest.mark.parametrize(
    "wrong", ["hush-hush", "a:hush-hush", f"{KEY},a:hush-hush", f"{KEY},{KEY}", ","]
)
def test_wrong_keys_in_the_settings_are_not_quoted(wrong):
    with pytest.raises(SettingsFault, match="MASTER_KEYS is not allowed") as caught:
        load_settings({"MASTER_KEYS": wrong}, None)
    assert HUSH not in str(caught.value)
    assert "A" * 40 not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keys_in_the_settings_are_not_shown_and_not_passed_to_workers(tmp_path):
    settings = load_settings({"MASTER_KEYS": KEY}, None)
    assert [key.id for key in settings.read_keys()] == ["a"]
    assert "AAAA" not in repr(settings) + repr(settings.read_keys()) + repr(
        make_key(lambda count: b"A" * count)
    )
    supervisor = Supervisor(
        log_dir=tmp_path,
        master_host="127.0.0.1",
        master_port=1,
        clock=None,
        stop_limit_s=1,
        environ={"MASTER_KEYS": KEY, "master_keys": KEY, "PATH": "/bin"},
    )
    config = type("Config", (), {"env": {}, "worker_id": "w", "max_accounts": None})
    assert "AAAA" not in repr(supervisor._describe_environment(config))
