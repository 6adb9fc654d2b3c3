"""Settings: their defaults, the allowed values, and the texts of faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from master.environment import SettingsFault
from master.settings import Settings, describe_settings, load_settings

DEFAULTS = {
    "port": 3000,
    "host": "127.0.0.1",
    "db_path": Path("data/master.db"),
    "master_keys": None,
    "log_level": "info",
    "app_env": "development",
    "log_dir": Path("logs"),
    "list_keys": "both",
    "allowed_origins": ("http://localhost:3001", "http://localhost:3000"),
    "farm_name": "Master",
    "demo": False,
    "demo_label": None,
    "worker_tokens": (),
    "admin_tokens": (),
    "client_tokens": (),
    "trusted_workers": (),
    "trusted_proxies": (),
    "http_requests_per_s": 200,
    "heartbeat_interval_s": 10,
    "heartbeat_timeout_s": 30,
    "heartbeat_check_s": 15,
    "rebalance_interval_s": 0,
    "schedule_interval_s": 30,
    "sick_after_intervals": 30,
    "login_ttl_s": 300,
    "login_max_s": 600,
    "retention_login_sessions_days": 7,
    "retention_notifications_days": 30,
    "retention_events_days": 90,
    "retention_audit_days": 365,
    "late_reports_days": 7,
    "retention_workers_days": 1,
    "restart_grace_s": 30,
    "worker_stop_limit_s": 10,
    "max_body_bytes": 16 * 1024 * 1024,
    "socket_events_per_s": 500,
    "registration_rate": 500,
    "outbound_queue_bytes": 1024 * 1024,
    "worker_names_per_token": 5_000,
    "device_names_per_token": 1_000,
    "write_queue_items": 10_000,
}


def load(**environ: str) -> Settings:
    return load_settings(environ, None)


def test_without_anything_set_the_defaults_apply():
    assert load().model_dump() == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_an_empty_value_means_the_default(name: str):
    assert load(**{name.upper(): " "}) == load()


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("PORT", "0", 0),
        ("PORT", "65535", 65_535),
        ("port", "81", 81),
        ("HOST", "0.0.0.0", "0.0.0.0"),  # noqa: S104
        ("DB_PATH", "/var/lib/master/master.db", Path("/var/lib/master/master.db")),
        ("LOG_LEVEL", " Warning ", "warning"),
        ("APP_ENV", "PRODUCTION", "production"),
        ("NODE_ENV", "test", "test"),
        ("ALLOWED_ORIGINS", " https://a.example , app://b,,", ("https://a.example", "app://b")),
        ("ALLOWED_ORIGINS", "*", ("*",)),
        ("HEARTBEAT_INTERVAL_S", "0.05", 0.05),
        ("RESTART_GRACE_S", "0", 0),
        ("RETENTION_NOTIFICATIONS_DAYS", "1", 1),
    ],
)
def test_a_setting_is_read_from_the_environment(name: str, given: str, value: Any):
    field = {"NODE_ENV": "app_env"}.get(name, name.lower())
    assert getattr(load(**{name: given}), field) == value


PORTS = "a whole number from 0 to 65535"
SECONDS = "a number above 0, up to 86400"


@pytest.mark.parametrize(
    ("name", "given", "shown", "allowed"),
    [
        ("PORT", "70000", "'70000'", PORTS),
        ("PORT", "-1", "'-1'", PORTS),
        ("port", "abc", "'abc'", PORTS),
        ("PORT", "30\n00", "'30\\n00'", PORTS),
        ("LOG_LEVEL", "loud", "'loud'", "debug, info, warning or error"),
        ("NODE_ENV", "x", "'x'", "development, production or test"),
        ("HOST", "h" * 300, f"'{'h' * 100}...'", "a text of at most 255 characters"),
        ("LOGIN_TTL_S", "0.5", "'0.5'", "a number from 1 to 86400"),
        ("SCHEDULE_INTERVAL_S", "0", "'0'", SECONDS),
        ("REBALANCE_INTERVAL_S", "-1", "'-1'", "a number from 0 to 86400"),
        ("WORKER_STOP_LIMIT_S", "nan", "'nan'", SECONDS),
        ("RESTART_GRACE_S", "inf", "'inf'", "a number from 0 to 86400"),
        ("RETENTION_NOTIFICATIONS_DAYS", "0", "'0'", "a whole number from 1 to 36500"),
        ("MAX_BODY_BYTES", "1", "'1'", "a whole number from 10485760 to 1073741824"),
    ],
)
def test_a_fault_names_the_setting_its_value_and_what_is_allowed(
    name: str, given: str, shown: str, allowed: str
):
    with pytest.raises(SettingsFault) as fault:
        load(**{name: given})
    assert str(fault.value) == f"{name.upper()}={shown} is not allowed: it must be {allowed}."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"HEARTBEAT_TIMEOUT_S": "10"},
            "it must be longer than HEARTBEAT_INTERVAL_S, which is 10.",
        ),
        ({"LOGIN_MAX_S": "299.5"}, "it must not be shorter than LOGIN_TTL_S, which is 300."),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, str], said: str):
    with pytest.raises(SettingsFault) as fault:
        load(**given)
    [(name, value)] = given.items()
    assert str(fault.value) == f"{name}={value} is not allowed: {said}"


@pytest.mark.parametrize(
    "origins",
    [",", "localhost:3000", "http://a.example/", "http://a.example/page", "http://a b", "ftp"],
)
def test_what_is_no_origin_is_refused(origins: str):
    with pytest.raises(
        SettingsFault,
        match=r"^ALLOWED_ORIGINS='.*' is not allowed: it must be origins such as .*\.$",
    ):
        load(ALLOWED_ORIGINS=origins)


def test_there_is_one_line_for_each_fault():
    with pytest.raises(SettingsFault) as fault:
        load(PORT="x", LOG_LEVEL="y", ALLOWED_ORIGINS="a,b")
    assert [line.split("=")[0] for line in str(fault.value).splitlines()] == [
        "PORT",
        "LOG_LEVEL",
        "ALLOWED_ORIGINS",
    ]
    with pytest.raises(SettingsFault) as fault:
        load(HEARTBEAT_INTERVAL_S="30", LOGIN_TTL_S="601")
    assert [line.split("=")[0] for line in str(fault.value).splitlines()] == [
        "HEARTBEAT_TIMEOUT_S",
        "LOGIN_MAX_S",
    ]


def test_app_env_wins_over_node_env():
    assert load(NODE_ENV="test", APP_ENV="production").app_env == "production"
    assert load(NODE_ENV="nobody reads this", APP_ENV="production").app_env == "production"


def test_the_upper_case_name_wins():
    assert load(port="1", PORT="2", Port="3").port == 2


def test_the_environment_wins_over_the_file(tmp_path: Path):
    file = tmp_path / ".env"
    file.write_text(
        "# comment\nPORT=1111\nexport "
        'HOST="h"\nLOG_DIR=${HOME}/logs\nSOMETHING_ELSE=1\nLOG_LEVEL=\n'
    )
    settings = load_settings({"PORT": "2222", "HOST": ""}, file)
    assert (settings.port, settings.host, settings.log_level) == (2222, "h", "info")
    assert settings.log_dir == Path("${HOME}/logs"), "values are used literally"


def test_a_file_that_is_not_there_is_no_fault(tmp_path: Path):
    assert load_settings({}, tmp_path / ".env") == load()


@pytest.mark.parametrize(
    ("name", "reason"), [(".env", "it is not UTF-8"), ("e" * 300, "File name too long")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str):
    (tmp_path / ".env").write_bytes(b"HOST=\xff")
    with pytest.raises(SettingsFault) as fault:
        load_settings({}, tmp_path / name)
    assert str(fault.value) == f"The settings file {tmp_path / name} cannot be read: {reason}."


def test_the_environment_of_the_process_is_read_where_none_is_passed(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PORT", "4567")
    assert load_settings(env_file=None).port == 4567


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        load().port = 1  # type: ignore[misc]


def test_every_setting_is_described():
    docs = describe_settings()
    assert [doc.name for doc in docs] == [name.upper() for name in DEFAULTS]
    assert all(doc.default and doc.allowed and doc.description.endswith(".") for doc in docs)
    by_name = {doc.name: doc for doc in docs}
    assert by_name["DB_PATH"].default == "./data/master.db"
    assert by_name["DB_PATH"].allowed == "a path"
    assert by_name["ALLOWED_ORIGINS"].default == "http://localhost:3001,http://localhost:3000"
    written = {doc.name: doc.default for doc in docs if doc.default != "(none)"}
    assert load(**written).model_dump() == load().model_dump(), "defaults can be written down"


def test_the_operating_page_lists_every_setting_as_it_is():
    page = (Path(__file__).parents[1] / "docs" / "operating.md").read_text(encoding="utf-8")
    rows = [
        line
        for line in page.splitlines()
        if line.startswith("| `") and line.split("`")[1].isupper()
    ]
    wanted = [
        f"| `{doc.name}` | `{doc.default}` | {doc.allowed} | {doc.description} |"
        for doc in describe_settings()
    ]
    assert [row for row in rows if row.count("|") == 5] == wanted
