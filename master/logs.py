"""Log lines: one set-up for Master's own and the libraries', to the console and to a rotated file."""

from __future__ import annotations

import logging
import logging.handlers
import re
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

import structlog

from master.files import make_private, tighten

SECRET = re.compile(
    r".*(cookie|credential|password|secret|token|fingerprint|qr_?code|authorization).*|value|env", re.IGNORECASE
)
HIDDEN = "(hidden)"
MAX_DEPTH = 8
MAX_ITEMS = 100
MAX_TEXT = 4_000
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5
CONSOLE, FILE = "master-console", "master-file"
LOUD = ("master", "__main__")
"""Whose lines LOG_LEVEL decides on; libraries, some of which print what they carry, speak from WARNING on."""
STUBBORN = ("engineio.server", "socketio.server")
"""Loggers that get a level and a handler of their own from their library, unless they have a level already."""
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
TRACE_CONTROLS = {code: text for code, text in CONTROLS.items() if chr(code) not in "\n\t"}


class LogFault(Exception):
    """The log directory cannot be used; the message is one readable line."""


def configure_logs(level: str, log_dir: Path | None, *, development: bool, for_good: bool = False) -> None:
    """Send log lines to the console, and as JSON to `log_dir`/master.log; replaces an earlier set-up.

    In development the console is for people, otherwise it gets JSON as well. A set-up that is there `for_good` makes
    every line cheaper, also those that LOG_LEVEL drops: modules keep their loggers. Errors: LogFault.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
        structlog.processors.format_exc_info,  # plain: a traceback with local variables would show secrets
    ]
    as_json = [structlog.processors.JSONRenderer(ensure_ascii=False)]
    for_people = [
        escape_controls,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        ),
    ]
    handlers = [] if log_dir is None else [_open_file(log_dir)]
    for handler in handlers:
        handler.setFormatter(_make_formatter(shared, as_json))
    console = logging.StreamHandler(sys.stderr)
    console.set_name(CONSOLE)
    console.setFormatter(_make_formatter(shared, for_people if development else as_json))
    close_logs()
    for handler in (console, *handlers):
        logging.getLogger().addHandler(handler)
    _set_levels(logging.getLevelNamesMapping()[level.upper()])
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=for_good,  # loggers live in modules: a cached one keeps this set-up
    )


def close_logs() -> None:
    """Take back what `configure_logs` opened; lines that come later are not kept."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name in (CONSOLE, FILE)]:
        root.removeHandler(handler)
        handler.close()


def hide_secrets(logger: Any, name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of keys that are known to carry secrets, however nested, and cut what is too large."""
    return {key: HIDDEN if SECRET.fullmatch(key) else _tidy(value, 0) for key, value in line.items()}


def escape_controls(logger: Any, name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write control characters as text, so that no value can steer the terminal or forge a line."""
    for key, value in line.items():
        if isinstance(value, str):
            line[key] = value.translate(TRACE_CONTROLS if key in ("exception", "stack") else CONTROLS)
    return line


def _tidy(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else f"{value[:MAX_TEXT]}... ({len(value)} characters)"
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


def _open_file(log_dir: Path) -> logging.Handler:
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        make_private(log_dir / "master.log")
        tighten(*log_dir.glob("master.log.*"))
        handler = logging.handlers.RotatingFileHandler(
            log_dir / "master.log",
            maxBytes=FILE_BYTES,
            backupCount=FILES_KEPT,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as fault:
        raise LogFault(f"LOG_DIR={str(log_dir)!r} cannot be used for logs: {fault.strerror}.") from None
    handler.set_name(FILE)
    return handler


def _make_formatter(shared: list[Any], renderers: list[Any]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
    )


def _set_levels(level: int) -> None:
    quiet = max(level, logging.WARNING)
    logging.getLogger().setLevel(quiet)
    for name in STUBBORN:
        logging.getLogger(name).setLevel(quiet)
    for name in LOUD:
        logging.getLogger(name).setLevel(level)
