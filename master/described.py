"""Settings in words: allowed values and defaults, for fault messages and the documentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOTHING = "none"
"""The value of a list setting without entries."""


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One setting as the documentation renders it."""

    name: str
    default: str
    allowed: str
    description: str


def describe_allowed(schema: Mapping[str, Any]) -> str:
    """Return the allowed values of a setting in words, from the JSON schema of its field."""
    if "allowed" in schema:
        return str(schema["allowed"])
    if "enum" in schema:
        *others, last = schema["enum"]
        return f"{', '.join(others)} or {last}"
    if schema["type"] == "string":
        return (
            "a path"
            if schema.get("format") == "path"
            else f"a text of at most {schema['maxLength']} characters"
        )
    kind = "a whole number" if schema["type"] == "integer" else "a number"
    most = f"{schema['maximum']:.0f}"
    return (
        f"{kind} from {schema['minimum']:.0f} to {most}"
        if "minimum" in schema
        else f"{kind} above {schema['exclusiveMinimum']:.0f}, up to {most}"
    )


def render_default(default: Any) -> str:
    """Return a default as it is written in the environment."""
    if isinstance(default, tuple):
        return ",".join(default) or NOTHING
    if default is None:
        return "(none)"
    return f"./{default}" if isinstance(default, Path) else str(default)
