"""Log lines: one set-up for Master and its libraries, to the console and to rotated files.

Peers can cause only a few lines a second, and no line contains a token: the tokens of the settings
and those that Master issued are found by their value in every text, of every library.
"""

from __future__ import annotations

import atexit
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from master.files import tighten
from master.sinks import Console, RotatedFile, Sink, close_sinks
from master.tokens import SHORTEST_SECRET, mark_secret

SECRET = re.compile(
    r".*(cookie|credential|password|secret|token|fingerprint|qr_?code|authorization).*|value|env",
    re.IGNORECASE,
)
HIDDEN = "(hidden)"
MAX_DEPTH = 8
MAX_ITEMS = 100
MAX_TEXT = 4_000
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5
CONSOLE, FILE, AUDIT_FILE = "master-console", "master-file", "master-audit-file"
AUDIT = "master.audit"
"""The logger of callers' actions and attempts. Only its lines are in audit.log as well."""
AUDIT_FILES_KEPT = 10
LOUD = ("master", "__main__")
"""Loggers that LOG_LEVEL applies to; libraries log from WARNING on, as some print payloads."""
STUBBORN = ("engineio.server", "socketio.server")
"""Loggers whose library sets their level and a handler, unless they have a level already.

Their lines without an exception quote a peer's mistake, and are dropped.
"""
EDGES = ("aiohttp", "engineio", "socketio")
"""Libraries that parse peers' bytes: their exceptions may quote a peer, and are withheld."""

LIBRARY_LINES = 5.0, 20.0
"""Lines per second of all libraries together, and the burst."""
STRANGERS_LINES = {
    "wrong_token": (0.1, 60.0),
    "request_unreadable": (0.2, 10.0),
    "request_failed": (1.0, 20.0),
}
"""Lines of Master whose number peers control: the rate per second, and the burst.

Omitted lines are counted. At its rate `wrong_token` writes 2 MB a day: audit.log keeps a month and
more, whatever strangers do.
"""
RUN = re.compile(rf"[A-Za-z0-9._~+/=-]{{{SHORTEST_SECRET},}}")
LIBRARY_TEXT = 300
TRACE_TEXT = 16_000
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
TRACE_CONTROLS = {code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"}


class LogFault(Exception):
    """The log directory cannot be used; the message is one readable line."""


def configure_logs(
    level: str, log_dir: Path | None, *, development: bool, for_good: bool = False
) -> None:
    """Send log lines to the console, and as JSON to `log_dir`/master.log; no call waits for either.

    This replaces an earlier set-up. In development the console output is for people, otherwise it
    is JSON too. With `for_good`, modules keep their loggers, which makes every line cheaper, also
    those that LOG_LEVEL drops. Errors: LogFault.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
        # plain: a traceback with local variables would contain secrets
        structlog.processors.format_exc_info,
        hide_known_values,
    ]
    as_json = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    for_people = [
        escape_controls,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,
            sort_keys=False,
        ),
    ]
    files = []
    if log_dir is not None:
        files = [_open_file(log_dir, FILE, "master.log", FILES_KEPT)]
        files.append(_open_file(log_dir, AUDIT_FILE, "audit.log", AUDIT_FILES_KEPT))
        files[1].addFilter(lambda record: record.name == AUDIT)
    for handler in files:
        handler.setFormatter(_make_formatter(shared, as_json))
    console = _make_sink(CONSOLE, Console(sys.stderr))
    console.setFormatter(_make_formatter(shared, for_people if development else as_json))
    close_logs()
    sparing = Sparing()
    for handler in (console, *files):
        handler.addFilter(sparing)
        logging.getLogger().addHandler(handler)
    _set_levels(logging.getLevelNamesMapping()[level.upper()])
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=for_good,  # a cached logger of a module keeps this set-up
    )


def close_logs() -> None:
    """Remove the handlers of `configure_logs` once their lines are written; later ones are dropped.

    A sink that accepts no lines is left after a few seconds.
    """
    sinks = list_sinks()
    for sink in sinks:
        logging.getLogger().removeHandler(sink)
    close_sinks(sinks)


def list_sinks() -> list[Sink]:
    """Return the handlers of `configure_logs`."""
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, Sink)]


def flush_logs() -> None:
    """Wait until all lines so far are written, a few seconds for each sink at most."""
    for sink in list_sinks():
        sink.flush()


def reopen_logs() -> None:
    """Have each log file opened anew before its next line: another program may have moved it."""
    for sink in list_sinks():
        sink.reopen()
    structlog.get_logger(__name__).info("logs_reopened")


def _end_logs() -> None:
    """Write the queued lines; the handlers stay, so that later lines never go to stderr."""
    close_sinks(list_sinks())


atexit.register(_end_logs)


def hide_secrets(
    logger: Any, name: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide the values of keys that carry secrets, at any depth, and cut large values."""
    return {
        key: HIDDEN if SECRET.fullmatch(key) else _tidy(value, 0) for key, value in line.items()
    }


class KnownValues:
    """Secrets that no line may contain, by their marks."""

    def __init__(self) -> None:
        self._marks: dict[int, int] = {}
        """Mark -> how many secrets have it."""

    def add(self, mark: int) -> None:
        """Hide a secret from now on."""
        self._marks[mark] = self._marks.get(mark, 0) + 1

    def drop(self, mark: int) -> None:
        """Stop hiding a secret that is no longer valid."""
        left = self._marks.pop(mark, 0) - 1
        if left > 0:
            self._marks[mark] = left

    def hide(self, text: str) -> str:
        """Return a text with each known secret hidden, and with it the rest of its word."""
        return RUN.sub(self._hide_in, text) if self._marks else text

    def _hide_in(self, found: re.Match[str]) -> str:
        run = found[0]
        for start in range(len(run) - SHORTEST_SECRET + 1):
            if mark_secret(run[start : start + SHORTEST_SECRET]) in self._marks:
                return run[:start] + HIDDEN
        return run


KNOWN = KnownValues()
"""The known secrets of this process."""


def hide_known_values(
    logger: Any, name: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Hide the known secrets in every text of a line, and cut a long traceback in its middle."""
    trace = line.get("exception")
    if isinstance(trace, str) and len(trace) > TRACE_TEXT:
        line["exception"] = f"{trace[: TRACE_TEXT // 2]}\n...\n{trace[-TRACE_TEXT // 2 :]}"
    return {KNOWN.hide(key): _hide_values(value) for key, value in line.items()}


def _hide_values(value: Any) -> Any:
    if isinstance(value, str):
        return KNOWN.hide(value)
    if isinstance(value, Mapping):
        return {_hide_values(key): _hide_values(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_hide_values(inner) for inner in value])
    if isinstance(value, bytes | Path | BaseException):
        return KNOWN.hide(str(value))
    return value


class Withheld(Exception):
    """Replaces an exception in a traceback if its text may quote a peer."""


class Sparing(logging.Filter):
    """Limits the rate of lines whose number peers control, and reports how many it omitted."""

    def __init__(self) -> None:
        super().__init__()
        self._allowances: dict[str, _Allowance] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide once for all handlers, and remove peers' words from libraries' lines."""
        decided: bool | None = getattr(record, "spared", None)
        if decided is None:
            decided = record.spared = self._decide(record)
        return decided

    def _decide(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, dict):
            event = record.msg.get("event")
            pace = STRANGERS_LINES.get(event) if isinstance(event, str) else None
            if pace is None or not isinstance(event, str):
                return True
            left_out = self._allow(event, record.created, *pace)
            if left_out:
                record.msg["left_out"] = left_out
            return left_out is not None
        library = record.name.partition(".")[0]
        if library in LOUD:
            return True
        if record.name in STUBBORN and not record.exc_info:
            return False
        left_out = self._allow("", record.created, *LIBRARY_LINES)
        if left_out is None:
            return False
        if library in EDGES:
            _redact(record)
        text = record.getMessage()
        record.msg, record.args = (
            text[:LIBRARY_TEXT] + ("..." if len(text) > LIBRARY_TEXT else ""),
            (),
        )
        if left_out:
            record.msg += f" (and {left_out} lines of libraries that were left out)"
        return True

    def _allow(self, kind: str, now: float, rate: float, burst: float) -> int | None:
        if kind not in self._allowances:
            self._allowances[kind] = _Allowance(burst, now)
        return self._allowances[kind].admit(now, rate, burst)


@dataclass(slots=True)
class _Allowance:
    """How many lines are left at second `at`, and how many were omitted since the last one."""

    lines: float
    at: float
    left_out: int = 0

    def admit(self, now: float, rate: float, burst: float) -> int | None:
        """Return how many lines were omitted before this one; None if this one is too."""
        self.lines = min(burst, self.lines + max(0.0, now - self.at) * rate)
        self.at = now
        if self.lines < 1:
            self.left_out += 1
            return None
        self.lines -= 1
        left_out, self.left_out = self.left_out, 0
        return left_out


def _redact(record: logging.LogRecord) -> None:
    """Keep an exception's type and traceback, but not its text.

    Of an exception of an EDGES library, which a peer's malformed bytes cause, keep only the type.
    """
    fault = record.exc_info[1] if record.exc_info else None
    if fault is None:
        return
    kind = type(fault).__name__
    if type(fault).__module__.partition(".")[0] in EDGES:
        record.msg, record.args, record.exc_info = f"A peer was refused: {kind}", (), None
    else:
        record.exc_info = (Withheld, Withheld(kind), fault.__traceback__)
    record.exc_text = None


def escape_controls(
    logger: Any, name: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Write control characters as text, so that none controls the terminal or forges a line."""
    for key, value in line.items():
        if isinstance(value, str):
            line[key] = value.translate(
                TRACE_CONTROLS if key in ("exception", "stack") else CONTROLS
            )
    return line


def _tidy(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return (
            value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}... ({len(value)} characters)"
        )
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        if depth == MAX_DEPTH:
            return "(deep)"
        if isinstance(value, Mapping):
            return {
                str(key): HIDDEN if SECRET.fullmatch(str(key)) else _tidy(inner, depth + 1)
                for key, inner in list(value.items())[:MAX_ITEMS]
            }
        items = [_tidy(inner, depth + 1) for inner in list(value)[:MAX_ITEMS]]
        return tuple(items) if isinstance(value, tuple) else items
    return value


def _open_file(log_dir: Path, handler_name: str, name: str, kept: int) -> Sink:
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        file = RotatedFile(log_dir / name, FILE_BYTES, kept)
        tighten(*log_dir.glob(f"{name}.*"))
    except OSError as fault:
        raise LogFault(
            f"LOG_DIR={str(log_dir)!r} cannot be used for logs: {fault.strerror}."
        ) from None
    return _make_sink(handler_name, file)


def _make_sink(handler_name: str, target: Console | RotatedFile) -> Sink:
    sink = Sink(handler_name.removeprefix("master-").replace("-", "_"), target)
    sink.set_name(handler_name)
    return sink


def _make_formatter(shared: list[Any], renderers: list[Any]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=["lost_lines"]), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


def _set_levels(level: int) -> None:
    quiet = max(level, logging.WARNING)
    logging.getLogger().setLevel(quiet)
    for name in STUBBORN:
        logger = logging.getLogger(name)
        logger.setLevel(max(level, logging.ERROR))
        # a server made before this set-up has added one, which would print lines unredacted
        logger.handlers.clear()
    for name in LOUD:
        logging.getLogger(name).setLevel(level)
