"""A message that stands in Slack shows what has become of its alert: what is still to be shown, and was."""

import sqlalchemy as sa
from alembic import op

from service.store.schema.tables import UtcTimestamp

revision = "0023"
down_revision = "0022"

_ITS_OWN = "current_setting('app.tenant_id', true) IN ('*', tenant_id)"
_INDEXES = {"message_updates_due": "status = 'due'", "message_updates_restated": "facts IS NOT NULL"}


def upgrade() -> None:
    """Create the table, empty: of what changed before nothing is shown."""
    op.create_table(
        "message_updates",
        sa.Column("occurrence_id", sa.String(32), primary_key=True),
        sa.Column("tenant_id", sa.String(36), nullable=False),
        sa.Column("change", sa.Integer, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("facts", sa.Text),
        sa.Column("changed_at", UtcTimestamp, nullable=False),
        sa.Column("shown_at", UtcTimestamp),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("not_before", UtcTimestamp),
        sa.Column("error", sa.String(32)),
        sa.Column("error_message", sa.Text),
    )
    for name, condition in _INDEXES.items():
        where = sa.text(condition)
        op.create_index(name, "message_updates", ["tenant_id"], sqlite_where=where, postgresql_where=where)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE message_updates ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE message_updates FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY tenant ON message_updates USING ({_ITS_OWN})")
