"""Run migrations on the connection that `store.sqlite.upgrade` opened."""

from __future__ import annotations

from alembic import context

from master.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
