"""The note of a database's newest backup, beside the database: a running Master shows it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from typing_extensions import TypedDict

from master.files import BACKUP_NOTE, make_private

LARGEST = 8_192
"""A larger file is not a note of ours."""


class BackupNote(TypedDict):
    """When a backup was made (Unix seconds), and its file."""

    at: int
    file: str


def note_backup(path: Path, target: Path, now: float) -> None:
    """Note that the database was copied to `target`; a folder that cannot be written has no note.

    The backup is what counts: that it was noted is a convenience.
    """
    note = _locate_note(path)
    with suppress(OSError):
        make_private(note)
        content: BackupNote = {"at": int(now), "file": str(target.absolute())}
        note.write_text(json.dumps(content), encoding="utf-8")


def read_backup_note(path: Path) -> BackupNote | None:
    """Return the note, or None if there is none that can be read."""
    try:
        with _locate_note(path).open(encoding="utf-8") as file:
            content = json.loads(file.read(LARGEST))
        return {"at": int(content["at"]), "file": str(content["file"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _locate_note(path: Path) -> Path:
    return path.with_name(path.name + BACKUP_NOTE)
