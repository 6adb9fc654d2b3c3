"""Log lines: one set-up for Master's own and the libraries', to the console and to a rotated file."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import structlog

SECRET_NAMES = frozenset(
    {"cookies", "credentials", "password", "token", "fingerprint", "qr_code_data", "authorization", "secret", "value"}
)
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5


class LogFault(Exception):
    """The log directory cannot be used; the message is one readable line."""


def configure_logs(level: str, log_dir: Path | None, *, development: bool) -> None:
    """Send log lines to the console, and as JSON to `log_dir`/master.log. Errors: LogFault."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    console = logging.StreamHandler(sys.stderr)
    renderer: Any = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    console.setFormatter(_format(shared, renderer if development else structlog.processors.JSONRenderer()))
    handlers: list[logging.Handler] = [console]
    if log_dir is not None:
        try:
            log_dir.mkdir(parents=True, exist_ok=True)
            file = logging.handlers.RotatingFileHandler(
                log_dir / "master.log", maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8"
            )
        except OSError as fault:
            raise LogFault(f"LOG_DIR={str(log_dir)!r} cannot be written: {fault.strerror}.") from None
        file.setFormatter(_format(shared, structlog.processors.JSONRenderer()))
        handlers.append(file)
    logging.basicConfig(level=level.upper(), handlers=handlers, force=True)
    for name in ("engineio", "socketio", "aiohttp.access", "alembic", "aiosqlite", "sqlalchemy.engine"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _format(shared: list[Any], renderer: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def hide_secrets(logger: Any, name: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace the values of keys that are known to carry secrets, however deeply nested."""
    return {key: "(hidden)" if key in SECRET_NAMES else _hide(value, 0) for key, value in line.items()}


def _hide(value: Any, depth: int) -> Any:
    if depth > 8:
        return "(deep)"
    if isinstance(value, dict):
        return {key: "(hidden)" if key in SECRET_NAMES else _hide(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hide(inner, depth + 1) for inner in value]
    return value
