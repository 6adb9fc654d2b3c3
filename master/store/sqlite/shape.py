"""The versions of the schema, and what a file holds beside it: somebody else's trigger runs with our statements."""

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
"""What a file consists of: `table accounts`, `index ...`, `trigger ...`, `view ...` -> its statement, spaceless."""

OWN = {("table", name) for name in ("sqlite_sequence", "sqlite_stat1", "sqlite_stat4")}
"""Tables that SQLite makes. Its names alone prove nothing: whoever writes the bytes of a file uses them as well."""

ALEMBICS = "alembic_version"
"""The table that the migrations' library makes in its own words."""

SPELLING = re.compile(r"[\"`\[\]\s]+")


def make_config(**attributes: object) -> Config:
    """Return how the migrations are found; `attributes` are what they work with."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes |= attributes
    return config


@cache
def read_versions() -> tuple[str, ...]:
    """Return the versions that this program knows, the newest last."""
    scripts = ScriptDirectory.from_config(make_config())
    newest = scripts.get_current_head()  # one that is not the only one is an error here
    assert newest is not None
    return tuple(script.revision for script in scripts.walk_revisions("base", newest))[::-1]


def read_shape(connection: Connection) -> Shape:
    """Return what a file consists of. What SQLite makes for itself is no part of it."""
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
    """Return what the migrations up to a version make from nothing."""
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
    """Return a readable line for each thing that a file of this version holds, lacks or has otherwise."""
    found, wanted = read_shape(connection), _make_shape(version)
    return [
        *(
            f"It has a {name}, which is none of Master's."
            for name in sorted(found.keys() - wanted.keys())
        ),
        *(f"Its {name} is missing." for name in sorted(wanted.keys() - found.keys())),
        *(
            f"Its {name} is another one."
            for name in sorted(found.keys() & wanted.keys())
            if found[name] != wanted[name]
        ),
    ]
