"""Worker configurations are authenticated, because they name the programs to run.

An index finds old logins by age.
"""

from __future__ import annotations

import hashlib

import orjson
from alembic import context, op
from sqlalchemy import Column, LargeBinary, column, delete, select, table, update

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

FIELDS = (
    "worker_id",
    "command",
    "args",
    "env",
    "proxy_id",
    "max_accounts",
    "auto_start",
    "auto_restart",
)
CONFIGS = table("worker_configs", *map(column, (*FIELDS, "seal")))
COUNTERS = table("counters", column("name"))
UNPROVEN = "configs_unproven"


def upgrade() -> None:
    """Seal the present configurations, unless another program may have written their file."""
    op.add_column("worker_configs", Column("seal", LargeBinary))
    op.create_index("idx_login_sessions_created", "login_sessions", ["created_at"])
    vault, connection = context.config.attributes["vault"], op.get_bind()
    is_unproven = connection.execute(delete(COUNTERS).where(COUNTERS.c.name == UNPROVEN)).rowcount
    if vault is None or is_unproven or not context.config.attributes["vouch"]:
        return
    for row in connection.execute(select(*(CONFIGS.c[name] for name in FIELDS))).all():
        seal = vault.seal("worker_configs.seal", row.worker_id, _digest(*row))
        connection.execute(
            update(CONFIGS).where(CONFIGS.c.worker_id == row.worker_id).values(seal=seal)
        )


def _digest(  # type: ignore[no-untyped-def]
    worker_id, command, args, env, proxy_id, max_accounts, auto_start, auto_restart
) -> str:
    """Return what the store's `digest_config` returns for the same configuration."""
    lists = orjson.loads(args or "[]") or [], orjson.loads(env or "{}") or {}
    content = [
        worker_id,
        command,
        *lists,
        proxy_id,
        max_accounts,
        bool(auto_start),
        bool(auto_restart),
    ]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()
