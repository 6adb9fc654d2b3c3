"""Alembic's scripts: how a database file gets from one version to the next."""
