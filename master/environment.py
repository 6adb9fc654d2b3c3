"""The values of settings as they are written: in the process's environment and in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

ENVIRONMENT = "env"
FILE = ".env"


class ListenFault(Exception):
    """Master cannot listen with these settings; the message is one readable line."""


class SettingsFault(Exception):
    """Some settings are invalid; the message has one readable line per fault."""


def read_values(
    environ: Mapping[str, str], env_file: Path | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the written values by lower-case name, and where each comes from.

    The environment overrides the file. Errors: SettingsFault if the file cannot be read.
    """
    written = _read_file(env_file) if env_file is not None else {}
    found = _fold(environ)
    sources = dict.fromkeys(written, FILE) | dict.fromkeys(found, ENVIRONMENT)
    return written | found, sources


def _read_file(path: Path) -> dict[str, str]:
    """Return the settings of a file; values are literal, without `$` interpolation."""
    try:
        values = (
            dotenv_values(path, interpolate=False, encoding="utf-8-sig") if path.exists() else {}
        )
    except (OSError, UnicodeDecodeError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "it is not UTF-8"
        raise SettingsFault(f"The settings file {path} cannot be read: {reason}.") from None
    return _fold(values)


def _fold(values: Mapping[str, str | None]) -> dict[str, str]:
    """Return the non-empty values by lower-case name; PORT overrides port."""
    by_rank = sorted(values.items(), key=lambda item: item[0].isupper())
    return {name.lower(): value for name, value in by_rank if value and value.strip()}
