"""The schema's versions, and the check that a file has no other objects.

Another program's trigger would run with Master's statements.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine

SCRIPTS = Path(__file__).parent.parent / "migrations"

Shape = dict[str, str]
"""A file's objects: `table accounts`, `index ...`, `trigger ...`, `view ...` -> statement.

The statement is in lower case, without spaces and quotes.
"""

OWN = {("table", name) for name in ("sqlite_sequence", "sqlite_stat1", "sqlite_stat4")}
"""Tables that SQLite creates. Its names alone prove nothing: another program can write them too."""

ALEMBICS = "alembic_version"
"""The table that Alembic creates with a statement of its own."""

SPELLING = re.compile(r"[\"`\[\]\s]+")


def make_config(**attributes: object) -> Config:
    """Return Alembic's configuration for the migrations, which can read `attributes`."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes |= attributes
    return config


@cache
def read_versions() -> tuple[str, ...]:
    """Return the versions that this program knows, the newest last."""
    scripts = ScriptDirectory.from_config(make_config())
    newest = scripts.get_current_head()  # raises if there are several
    assert newest is not None
    return tuple(script.revision for script in scripts.walk_revisions("base", newest))[::-1]


def read_shape(connection: Connection) -> Shape:
    """Return a file's objects without those that SQLite creates for itself."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    return {
        f"{kind} {name}": ""
        if (kind, name) == ("table", ALEMBICS)
        else SPELLING.sub("", sql).lower()
        for kind, name, sql in connection.exec_driver_sql(query).all()
        if (kind, name) not in OWN
    }


@cache
def _make_shape(version: str) -> Shape:
    """Return the objects that the migrations up to a version create in an empty file."""
    engine = create_engine("sqlite://")
    try:
        with engine.begin() as connection:
            command.upgrade(
                make_config(connection=connection, vault=None, vouch=False, fresh=True), version
            )
            return read_shape(connection)
    finally:
        engine.dispose()


def find_differences(connection: Connection, version: str) -> list[str]:
    """Return a readable line per object that is foreign, missing or different in this file."""
    found, wanted = read_shape(connection), _make_shape(version)
    return [
        *(
            f"It has a {name}, which Master does not make."
            for name in sorted(found.keys() - wanted.keys())
        ),
        *(f"Its {name} is missing." for name in sorted(wanted.keys() - found.keys())),
        *(
            f"Its {name} is not as Master makes it."
            for name in sorted(found.keys() & wanted.keys())
            if found[name] != wanted[name]
        ),
    ]
