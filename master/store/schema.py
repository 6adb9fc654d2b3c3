"""The tables: the source document's six, column for column, and protocol.md's additions.

Migrations create them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from master.store.columns import JsonText, SealedBytes

metadata = MetaData()


SEALED = {
    "accounts": ("credentials", "fingerprint", "profile"),
    "proxies": ("password",),
    "worker_configs": ("seal",),
}
"""The columns that the vault seals, by table."""


def _where(sqlite: str, postgresql: str = "") -> dict[str, Any]:
    """Return the condition of a partial index, in each database's dialect."""
    return {"sqlite_where": text(sqlite), "postgresql_where": text(postgresql or sqlite)}


accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("platform", Text, nullable=False),
    Column("account_name", Text, nullable=False),
    Column("account_id", Text),
    Column("credentials", SealedBytes),
    Column("user_info", JsonText),
    Column("fingerprint", SealedBytes),
    Column("status", Text, server_default="active"),
    Column("login_status", Text, server_default="not_logged_in"),
    Column("monitor_interval", Integer, server_default="20"),
    Column("last_login_time", Integer),
    Column("cookies_valid_until", Integer),
    Column("assigned_worker_id", Text, ForeignKey("workers.id")),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    # protocol.md: fencing, a person's choice of worker, the account's id on its platform
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("pinned_worker_id", Text, ForeignKey("workers.id")),
    Column("platform_user_id", Text),
    # the whole profile that its worker reported, where that is more than user_info has
    Column("profile", SealedBytes),
    # since when and why the account is in its state; how often people were told of its cookies' end
    Column("state_since", Integer),
    Column("state_reason", Text),
    Column("state_detail", Text),
    Column("cookies_told", Integer, nullable=False, server_default="0"),
    # what people add: the account's own proxy, words to find it by, and a text
    Column("proxy_id", Text, ForeignKey("proxies.id")),
    Column("tags", JsonText),
    Column("note", Text),
    Index("idx_accounts_status", "status"),
    Index("idx_accounts_login_status", "login_status"),
    # includes the epoch, which lies behind cookies in its row: the audit sums it over all accounts
    Index("idx_accounts_worker", "assigned_worker_id", "epoch"),
    Index("uq_accounts_platform_account", "platform", "account_id", unique=True),
    # the removal of a worker must not scan every account and login
    Index("idx_accounts_pinned", "pinned_worker_id", **_where("pinned_worker_id IS NOT NULL")),
    Index("idx_accounts_proxy", "proxy_id", **_where("proxy_id IS NOT NULL")),
)

account_holders = Table(
    "account_holders",
    metadata,
    # former owners; no reference to workers, because a worker may be removed earlier than its row
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("worker_id", Text, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("until", Integer, nullable=False),
    Index("idx_account_holders_until", "until"),
)

workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("status", Text, server_default="connected"),
    Column("assigned_accounts", Integer, server_default="0"),
    Column("last_heartbeat", Integer),
    Column("started_at", Integer, nullable=False),
    Column("version", Text),
    Column("metadata", JsonText),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    # since when and until when, why and by whom the worker is taken out of service
    Column("drain_since", Integer),
    Column("drain_deadline", Integer),
    Column("drain_reason", Text),
    Column("drain_by", Text),
    Column("drain_moved", Integer, nullable=False, server_default="0"),
    Column("drain_done", Boolean, nullable=False, server_default="0"),
    Index("idx_workers_status", "status"),
)

maintenance = Table(
    "maintenance",
    metadata,
    # one row at most: the whole farm is under maintenance
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("since", Integer, nullable=False),
    Column("deadline_at", Integer, nullable=False),
    Column("reason", Text),
    Column("begun_by", Text),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("worker_id", Text, ForeignKey("workers.id")),
    Column("status", Text, server_default="pending"),
    Column("login_method", Text, server_default="qrcode"),
    Column("qr_code_data", Text),
    Column("qr_code_url", Text),
    Column("error_message", Text),
    Column("expires_at", Integer),
    Column("logged_in_at", Integer),
    Column("created_at", Integer, nullable=False),
    # whether an administrator accepts another person than the account's
    Column("accept_identity", Boolean, nullable=False, server_default="0"),
    # the account's login status before this login
    Column("status_before", Text),
    Index("idx_login_sessions_status", "status"),
    Index("idx_login_sessions_account", "account_id"),
    Index("idx_login_sessions_worker", "worker_id"),
    Index("idx_login_sessions_created", "created_at"),
    # one open login per account, whichever program writes
    Index(
        "uq_login_sessions_open",
        "account_id",
        unique=True,
        **_where("status IN ('pending', 'scanning')"),
    ),
)

login_links = Table(
    "login_links",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("state", Text, nullable=False),
    # hashes: neither the link's secret nor the cookie of its device is stored
    Column("secret_hash", Text, nullable=False),
    Column("note", Text),
    Column("require_uid", Text),
    Column("made_by", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("expires_at", Integer, nullable=False),
    Column("device_hash", Text),
    Column("device_address", Text),
    Column("device_agent", Text),
    Column("opened_at", Integer),
    # its last login; no reference, because that row may be removed earlier
    Column("session_id", Text),
    Column("starts", Integer, nullable=False),
    Column("outcome", Text),
    Column("refused", Integer, nullable=False),
    Column("ended_at", Integer),
    Column("end_reason", Text),
    Index("idx_login_links_account", "account_id", "created_at"),
    Index("idx_login_links_created", "created_at"),
    Index("uq_login_links_secret", "secret_hash", unique=True),
)


def _list_told_columns() -> list[Column[Any]]:
    """Return the columns of edits, and of messages with the id of another one.

    `variant` is empty, except in a message of another conversation with the id of a stored one.
    """
    return [
        Column("variant", Text, nullable=False, server_default=""),
        Column("content_type", Text),
        Column("edited_at", Integer),
        Column("earlier_content", Text),
    ]


comments = Table(
    "comments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("platform_comment_id", Text),
    Column("content", Text),
    Column("author_name", Text),
    Column("author_id", Text),
    Column("post_id", Text),
    Column("post_title", Text),
    Column("is_read", Boolean, server_default="0"),
    Column("detected_at", Integer),
    Column("created_at", Integer, nullable=False),
    Column("reported_by", Text),
    *_list_told_columns(),
    Index("idx_comments_detected", text("detected_at DESC")),
    Index("uq_comments_platform", "account_id", "platform_comment_id", "variant", unique=True),
    # no new message is in this index, so that storing one does not write it
    Index("idx_comments_read", "account_id", **_where("is_read = 1", "is_read")),
)

direct_messages = Table(
    "direct_messages",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("platform_message_id", Text),
    Column("content", Text),
    Column("sender_name", Text),
    Column("sender_id", Text),
    Column("direction", Text),
    Column("is_read", Boolean, server_default="0"),
    Column("detected_at", Integer),
    Column("created_at", Integer, nullable=False),
    Column("reported_by", Text),
    *_list_told_columns(),
    Index("idx_direct_messages_detected", text("detected_at DESC")),
    Index(
        "uq_direct_messages_platform", "account_id", "platform_message_id", "variant", unique=True
    ),
    # no new message is in this index, so that storing one does not write it
    Index("idx_direct_messages_read", "account_id", **_where("is_read = 1", "is_read")),
)

for _messages in (comments, direct_messages):
    # serves an account's messages in the order of lists
    Index(
        f"idx_{_messages.name}_page",
        _messages.c.account_id,
        _messages.c.detected_at.desc(),
        _messages.c.created_at.desc(),
        _messages.c.id,
    )

notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("account_id", Text, ForeignKey("accounts.id")),
    Column("related_id", Text),
    Column("title", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("data", JsonText),
    Column("priority", Text, server_default="normal"),
    Column("is_sent", Boolean, server_default="0"),
    Column("sent_at", Integer),
    Column("created_at", Integer, nullable=False),
    # the sequence number for clients; never assigned twice
    Column("seq", BigInteger, nullable=False),
    Index("idx_notifications_type", "type"),
    Index("idx_notifications_account", "account_id"),
    Index("idx_notifications_sent", "is_sent", "seq"),
    Index("idx_notifications_created", "created_at"),
    Index("uq_notifications_seq", "seq", unique=True),
)

counters = Table(
    "counters",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)

client_devices = Table(
    "client_devices",
    metadata,
    Column("device_id", Text, primary_key=True),
    Column("device_type", Text),
    Column("device_name", Text),
    Column("seen_seq", BigInteger, nullable=False),
    Column("last_seen_at", Integer, nullable=False),
    Column("created_at", Integer, nullable=False),
)

client_deliveries = Table(
    "client_deliveries",
    metadata,
    Column(
        "device_id",
        Text,
        ForeignKey("client_devices.device_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column(
        "notification_id",
        Text,
        ForeignKey("notifications.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("confirmed_at", Integer, nullable=False),
    Index("idx_client_deliveries_notification", "notification_id"),
)

proxies = Table(
    "proxies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("server", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("username", Text),
    Column("password", SealedBytes),
    Column("status", Text, nullable=False, server_default="active"),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Index("uq_proxies_name", "name", unique=True),
)

vault_keys = Table(
    "vault_keys",
    metadata,
    Column("id", Text, primary_key=True),
    # a known text sealed with this key: it distinguishes a wrong key from a damaged value
    Column("proof", LargeBinary, nullable=False),
)

worker_configs = Table(
    "worker_configs",
    metadata,
    Column("worker_id", Text, primary_key=True),
    Column("command", Text),
    Column("args", JsonText, nullable=False),
    Column("env", JsonText, nullable=False),
    Column("proxy_id", Text, ForeignKey("proxies.id")),
    Column("max_accounts", Integer),
    Column("auto_start", Boolean, nullable=False, server_default="0"),
    Column("auto_restart", Boolean, nullable=False, server_default="0"),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    # the row's digest, sealed: another program that writes into the file cannot forge it, so it
    # cannot make Master run programs
    Column("seal", SealedBytes),
    Index("idx_worker_configs_proxy", "proxy_id"),
)

console_views = Table(
    "console_views",
    metadata,
    Column("id", Text, primary_key=True),
    # the name of an administrator's token; empty without tokens
    Column("owner", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("created_at", Integer, nullable=False),
    Column("updated_at", Integer, nullable=False),
    Index("uq_console_views_name", "owner", "name", unique=True),
)

events = Table(
    "events",
    metadata,
    # the history of accounts and workers, appended with the transaction; it outlives both, so it
    # refers to no other table
    # SQLite keeps an INTEGER PRIMARY KEY as the row's number, without an index of its own
    Column(
        "seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    Column("at_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("account_id", Text),
    Column("worker_id", Text),
    Column("target", Text),
    Column("epoch", BigInteger),
    Column("reason", Text),
    Column("by_kind", Text, nullable=False),
    Column("by_name", Text),
    Column("request_id", Text),
    Column("params", JsonText),
    Index("idx_events_account", "account_id", "seq", **_where("account_id IS NOT NULL")),
    Index("idx_events_worker", "worker_id", "seq", **_where("worker_id IS NOT NULL")),
    # the audit: what people did
    Index("idx_events_person", "seq", **_where("by_kind IN ('admin', 'http', 'link')")),
)
