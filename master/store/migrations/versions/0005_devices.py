"""A device belongs to a token: its key begins with the token's name.

Notifications that have reached no person are found in order.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text

revision = "0005"
down_revision = "0003"
branch_labels = None
depends_on = None

SEPARATOR = "\x1f"
"""Separates a token's name from the device's id; ids have no control characters."""


def upgrade() -> None:
    """Store known devices under an empty token name, as a Master without tokens does.

    Their tokens are unknown: any token that registers such a device's id continues from what the
    device had seen.
    """
    connection = op.get_bind()
    for statement in (
        "INSERT INTO client_devices (device_id, device_type, device_name, seen_seq, last_seen_at, created_at) "
        "SELECT :separator || device_id, device_type, device_name, seen_seq, last_seen_at, created_at "
        "FROM client_devices",
        "UPDATE client_deliveries SET device_id = :separator || device_id",
        "DELETE FROM client_devices WHERE substr(device_id, 1, 1) <> :separator",
    ):
        connection.execute(text(statement), {"separator": SEPARATOR})
    op.execute("DROP INDEX idx_notifications_sent")
    op.execute("CREATE INDEX idx_notifications_sent ON notifications(is_sent, seq)")
