"""Log lines: their destination, their format, and what they never contain."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import socketio
import structlog
from aiohttp.http_exceptions import BadHttpMessage

from master import logs
from master.logs import LogFault, close_logs, configure_logs
from master.tokens import mark_secret

NAMES = ("", *logs.LOUD, *logs.STUBBORN)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    levels = {name: logging.getLogger(name).level for name in NAMES}
    yield
    close_logs()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def read(folder: Path, name: str = "master.log") -> list[dict[str, Any]]:
    logs.flush_logs()
    return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]


def read_console(capture: pytest.CaptureFixture[str]) -> str:
    logs.flush_logs()
    return capture.readouterr().err


def test_a_line_is_json_in_the_file_and_on_the_console_in_production(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    configure_logs("info", tmp_path / "made" / "logs", development=False)
    structlog.get_logger("master.somewhere").info("account_added", account="一", number=3)
    [line] = read(tmp_path / "made" / "logs")
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "account_added",
        "level": "info",
        "logger": "master.somewhere",
        "account": "一",
        "number": 3,
    }
    logs.flush_logs()
    captured = capsys.readouterr()
    assert captured.out == "", "stdout belongs to the program"
    assert json.loads(captured.err)["account"] == "一"


def test_in_development_the_console_is_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    configure_logs("info", tmp_path, development=True)
    structlog.get_logger("master").info("account_added", account="shop")
    assert "account_added" in (text := read_console(capsys))
    assert "account=shop" in text
    assert read(tmp_path)[0]["account"] == "shop"


def test_without_a_folder_there_is_only_the_console(capsys: pytest.CaptureFixture[str]):
    configure_logs("info", None, development=False)
    structlog.get_logger("master").info("hello")
    assert json.loads(read_console(capsys))["event"] == "hello"


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("debug", ["debug", "info", "warning", "error"]),
        ("info", ["info", "warning", "error"]),
        ("warning", ["warning", "error"]),
        ("error", ["error"]),
    ],
)
def test_the_level_decides_what_is_kept(tmp_path: Path, level: str, kept: list[str]):
    configure_logs(level, tmp_path, development=False)
    log = structlog.get_logger("master.somewhere")
    for name in ("debug", "info", "warning", "error"):
        getattr(log, name)("from_structlog")
        getattr(logging.getLogger("master.elsewhere"), name)("from the standard library")
    assert [line["level"] for line in read(tmp_path)] == [name for name in kept for _ in range(2)]


@pytest.mark.parametrize(
    "name", ["aiohttp.access", "aiohttp.server", "alembic", "asyncio", "aiosqlite"]
)
def test_libraries_speak_from_warning_on_and_look_like_the_rest(tmp_path: Path, name: str):
    configure_logs("debug", tmp_path, development=False)
    structlog.contextvars.bind_contextvars(request_id="r-1")
    library = logging.getLogger(name)
    library.debug("INSERT %s", "hush")
    library.info("a packet with %s", "hush")
    library.warning("trouble with %s", "this")
    [line] = read(tmp_path)
    assert (line["event"], line["level"], line["logger"]) == ("trouble with this", "warning", name)
    assert line["request_id"] == "r-1"
    assert line["timestamp"]


def test_socket_servers_add_no_handler_of_their_own(tmp_path: Path):
    configure_logs("info", tmp_path, development=False)
    before = {name: list(logging.getLogger(name).handlers) for name in logs.STUBBORN}
    socketio.AsyncServer(async_mode="aiohttp")
    assert {name: logging.getLogger(name).handlers for name in logs.STUBBORN} == before


def test_a_handler_that_a_server_added_before_is_gone(tmp_path: Path):
    stubborn = [logging.getLogger(name) for name in logs.STUBBORN]
    for logger in stubborn:
        logger.setLevel(logging.NOTSET)
    socketio.AsyncServer(async_mode="aiohttp")
    assert all(logger.handlers for logger in stubborn)
    configure_logs("info", tmp_path, development=False)
    assert not any(logger.handlers for logger in stubborn)


def test_a_line_carries_the_context_it_was_written_in(tmp_path: Path):
    configure_logs("info", tmp_path, development=False)
    log = structlog.get_logger("master")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        log.info("within")
    log.info("after")
    assert [line.get("request_id") for line in read(tmp_path)] == ["r-1", None]


SECRETS = [
    {"cookies": [{"name": "sid", "domain": "hush"}]},
    {"credentials": "hush"},
    {"Password": "hush"},
    {"access_token": "hush"},
    {"fingerprint": {"userAgent": "hush"}},
    {"qr_code_data": "hush"},
    {"qrCodeData": "hush"},
    {"headers": {"Authorization": "Bearer hush"}},
    {"account": {"credentials": {"cookies": ["hush"]}}},
    {"list": [({"password": "hush"},)]},
    {"config": {"env": {"KEY": "hush"}}},
    {"deep": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"password": "hush"}}}}}}}}}},
]


@pytest.mark.parametrize("values", SECRETS, ids=str)
@pytest.mark.parametrize("development", [True, False])
def test_a_secret_is_never_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], values: dict[str, Any], development: bool
):
    configure_logs("info", tmp_path, development=development)
    before = repr(values)
    structlog.get_logger("master").info("login_succeeded", **values, account_id="a-1")
    assert repr(values) == before, "what is logged stays as it is"
    [line] = read(tmp_path)
    text = read_console(capsys)
    assert "hush" not in json.dumps(line) + text
    assert line["account_id"] == "a-1"
    assert "a-1" in text


@pytest.mark.parametrize("development", [True, False])
def test_a_traceback_shows_the_lines_and_no_local_variables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], development: bool
):
    configure_logs("info", tmp_path, development=development)
    password = "".join(["hu", "sh"])
    try:
        len(password) / 0  # type: ignore[operator]
    except ZeroDivisionError:
        structlog.get_logger("master").exception("broken")
        logging.getLogger("asyncio").error("broken", exc_info=True)
    lines = read(tmp_path)
    assert len(lines) == 2
    assert all("test_logs.py" in line["exception"] for line in lines)
    assert all("ZeroDivisionError: division by zero" in line["exception"] for line in lines)
    text = read_console(capsys)
    assert text.count("ZeroDivisionError: division by zero") == 2
    assert "hush" not in json.dumps(lines) + text


def test_no_value_steers_the_terminal_or_forges_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    configure_logs("info", tmp_path, development=True)
    log = structlog.get_logger("master")
    try:
        raise ValueError("\x1b[2Jgone")
    except ValueError:
        log.exception("one\n2026-01-01 [error] forged", host="a\x1b[31mred\x9b")
    text = read_console(capsys)
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert "one\\x0a2026" in text
    assert "\\x1b[2Jgone" in text
    assert read(tmp_path)[0]["host"] == "a\x1b[31mred\x9b"


def test_what_is_too_large_is_cut(tmp_path: Path):
    configure_logs("info", tmp_path, development=False)
    structlog.get_logger("master").info(
        "large", text="x" * 10_000, many=list(range(1_000)), table=dict.fromkeys(range(1_000))
    )
    [line] = read(tmp_path)
    assert line["text"] == "x" * logs.MAX_TEXT + "... (10000 characters)"
    assert len(line["many"]) == len(line["table"]) == logs.MAX_ITEMS


def test_odd_values_do_not_lose_the_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    configure_logs("info", tmp_path, development=False)
    circle: list[Any] = []
    circle.append(circle)
    structlog.get_logger("master").info(
        "odd",
        path=Path("a"),
        bytes=b"\xff",
        keys={(1, 2): 3, None: 4},
        set={1},
        half="\ud800",
        circle=circle,
    )
    [line] = read(tmp_path)
    assert (line["keys"], line["set"], line["half"]) == ({"(1, 2)": 3, "None": 4}, [1], "\ud800")
    assert "Traceback" not in read_console(capfd)


def test_a_second_set_up_replaces_the_first(tmp_path: Path):
    log = structlog.get_logger("master")
    configure_logs("info", tmp_path / "one", development=False)
    log.info("first")
    configure_logs("debug", tmp_path / "two", development=False)
    log.debug("second")
    assert [line["event"] for line in read(tmp_path / "one")] == ["first"]
    assert [line["event"] for line in read(tmp_path / "two")] == ["second"]


TOKEN = "root-secret-token-00000003"


@pytest.fixture
def known() -> Iterator[None]:
    mark = mark_secret(TOKEN)
    logs.KNOWN.add(mark)
    yield
    logs.KNOWN.drop(mark)


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"Bearer {TOKEN}",
        f"b'Authorization: Bearer {TOKEN}\\x00'",
        f"token={TOKEN}&x=1",
        f"//{TOKEN}//",
        f"x{TOKEN}",
    ],
    ids=str,
)
@pytest.mark.parametrize("development", [True, False])
def test_a_token_is_found_by_its_value_in_whatever_is_logged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], known: None, text: str, development: bool
):
    configure_logs("info", tmp_path, development=development)
    log = structlog.get_logger("master")
    log.info(
        text,
        host=text,
        nested={"list": [{"deep": (text,)}], text: 1},
        raw=text.encode(),
        fault=ValueError(text),
    )
    logging.getLogger("asyncio").warning("trouble with %s", text)
    for name in ("master", "asyncio", "aiohttp.server", "socketio.server"):
        try:
            raise ValueError(text)
        except ValueError:
            logging.getLogger(name).exception("it said %r", text)
    logs.flush_logs()
    written = (tmp_path / "master.log").read_text(encoding="utf-8")
    assert len(written.splitlines()) == 6
    assert TOKEN not in written
    assert TOKEN not in read_console(capsys)
    assert written.count(logs.HIDDEN) >= 6


def test_a_token_that_has_ended_is_hidden_no_more_and_what_is_none_never_was(
    tmp_path: Path, known: None
):
    configure_logs("info", tmp_path, development=False)
    structlog.get_logger("master").info(
        "line", text="another-secret-token-00000003", id="9b2f0d0e-1f0a-4d5b-8a0e"
    )
    logs.KNOWN.add(mark_secret(TOKEN))
    logs.KNOWN.drop(mark_secret(TOKEN))
    assert logs.KNOWN.hide(TOKEN) == logs.HIDDEN
    assert read(tmp_path)[0]["text"] == "another-secret-token-00000003"


def make_record(
    name: str, at: float, msg: Any = "text", level: int = logging.ERROR, **more: Any
) -> logging.LogRecord:
    record = logging.LogRecord(name, level, __file__, 1, msg, (), more.get("exc_info"))
    record.created = at
    return record


@pytest.mark.parametrize(
    "names", [["asyncio"], ["aiohttp.server", "aiosqlite", "alembic"]], ids=str
)
def test_libraries_write_a_few_lines_a_second_together_and_what_is_left_out_is_counted(
    names: list[str],
):
    sparing = logs.Sparing()
    records = [
        make_record(names[number % len(names)], 1_000 + number / 1_000) for number in range(10_000)
    ]
    admitted = [record for record in records if sparing.filter(record)]
    rate, burst = logs.LIBRARY_LINES
    assert len(admitted) == pytest.approx(burst + rate * 10, abs=1)
    assert all(sparing.filter(record) for record in admitted), "the second handler is told the same"
    assert re.fullmatch(
        r"text \(and (199|200) lines of libraries that were left out\)", admitted[-1].getMessage()
    )


@pytest.mark.parametrize("event", logs.STRANGERS_LINES)
def test_lines_of_ours_whose_number_strangers_choose_are_few_and_counted(event: str):
    sparing = logs.Sparing()
    records = [
        make_record("master.web", 1_000 + number / 100, {"event": event})
        for number in range(100_000)
    ]
    admitted = [record for record in records if sparing.filter(record)]
    rate, burst = logs.STRANGERS_LINES[event]
    assert len(admitted) == pytest.approx(burst + rate * 1_000, abs=1)
    told = sum(record.msg.get("left_out", 0) for record in admitted)
    assert told + len(admitted) == pytest.approx(100_000, abs=100 / rate)
    assert sparing.filter(make_record("master.web", 1_000, {"event": "master_started"}))


def test_a_peers_malformed_bytes_are_one_short_line_without_them(tmp_path: Path):
    configure_logs("info", tmp_path, development=False)
    for fault in (BadHttpMessage("the words of a peer"), ValueError("the words of a peer")):
        try:
            raise fault
        except Exception:
            logging.getLogger("aiohttp.server").exception(
                "Error handling request from %s", "10.0.0.1"
            )
    first, second = read(tmp_path)
    assert (first["event"], "exception" in first) == ("A peer was refused: BadHttpMessage", False)
    assert "test_logs.py" in second["exception"], "where a bug of ours was is said"
    assert "ValueError" in second["exception"]
    assert "the words" not in (tmp_path / "master.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", logs.STUBBORN)
def test_what_socket_libraries_say_of_a_peers_mistake_is_not_heard_but_a_bug_is(
    tmp_path: Path, name: str
):
    configure_logs("debug", tmp_path, development=False)
    library = logging.getLogger(name)
    library.warning("Unknown callback received, ignoring.")
    library.error("https://evil.example is not an accepted origin.")
    try:
        raise ValueError("the words of a peer")
    except ValueError:
        library.exception("post request handler error")
    [line] = read(tmp_path)
    assert line["event"] == "post request handler error"


def test_who_did_what_stands_in_a_file_that_nothing_else_fills(tmp_path: Path):
    configure_logs("info", tmp_path, development=False)
    structlog.get_logger(logs.AUDIT).info("change_asked", by="anna")
    structlog.get_logger("master.web").error("request_failed")
    logging.getLogger("aiohttp.server").error("trouble")
    assert [line["event"] for line in read(tmp_path, "audit.log")] == ["change_asked"]
    assert [line["event"] for line in read(tmp_path)] == [
        "change_asked",
        "request_failed",
        "trouble",
    ]


def test_a_long_traceback_is_cut_in_its_middle(tmp_path: Path):
    configure_logs("info", tmp_path, development=False)
    try:
        raise ValueError("x" * 100_000)
    except ValueError:
        structlog.get_logger("master").exception("broken")
    [line] = read(tmp_path)
    assert line["exception"].startswith("Traceback")
    assert len(line["exception"]) <= logs.TRACE_TEXT + 10


def test_closing_undoes_only_what_was_set_up(tmp_path: Path):
    mine = logging.NullHandler()
    root = logging.getLogger()
    root.addHandler(mine)
    before = list(root.handlers)
    configure_logs("info", tmp_path, development=False)
    assert len(root.handlers) == len(before) + 3
    close_logs()
    close_logs()
    assert root.handlers == before
    root.removeHandler(mine)


def test_lost_lines_are_reported_by_one_line_like_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    configure_logs("info", tmp_path, development=False)
    odd = logging.makeLogRecord({"name": "master", "msg": "%d", "args": ("no number",)})
    for sink in logs.list_sinks():
        sink.handle(odd)
    [line] = read(tmp_path)
    assert (line["event"], line["level"], line["logger"]) == (
        "log_lines_lost",
        "warning",
        "master.sinks",
    )
    assert line["lost_lines"] == 1
    assert line["timestamp"]
    assert json.loads(read_console(capsys))["event"] == "log_lines_lost"


def test_a_full_file_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "FILE_BYTES", 200)
    configure_logs("info", tmp_path, development=False)
    for number in range(20):
        structlog.get_logger("master").info("line", number=number)
    logs.flush_logs()
    files = sorted(path.name for path in tmp_path.iterdir())
    kept = (f"master.log.{number}" for number in range(1, logs.FILES_KEPT + 1))
    assert files == ["audit.log", "master.log", *kept]
    assert read(tmp_path)[-1]["number"] == 19


@pytest.mark.parametrize(
    ("name", "reason"),
    [("logs", "File exists"), ("logs/master.log/x", "Is a directory")],
    ids=["file", "folder"],
)
def test_a_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, name: str, reason: str):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    with pytest.raises(LogFault) as fault:
        configure_logs("info", tmp_path / "logs", development=False)
    assert (
        str(fault.value) == f"LOG_DIR={str(tmp_path / 'logs')!r} cannot be used for logs: {reason}."
    )
