"""Alembic's scripts, which upgrade a database file from one version to the next."""
