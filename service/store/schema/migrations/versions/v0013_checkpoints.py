"""A run may leave a checkpoint for the one of the same lease that begins where it ended."""

import sqlalchemy as sa
from alembic import op

from service.store.schema.tables import UtcTimestamp

revision = "0013"
down_revision = "0012"

_ITS_OWN = "current_setting('app.tenant_id', true) IN ('*', tenant_id)"


def upgrade() -> None:
    """Create the table; on PostgreSQL a transaction sees the rows of the tenant that it named."""
    op.create_table(
        "checkpoints",
        sa.Column("tenant_id", sa.String(36), primary_key=True, nullable=False),
        sa.Column("lease", sa.String(200), primary_key=True, nullable=False),
        sa.Column("until", sa.String(40), primary_key=True, nullable=False),
        sa.Column("begins", sa.String(40), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("follows", sa.String(64)),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("left_at", UtcTimestamp, nullable=False),
    )
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute("ALTER TABLE checkpoints ENABLE ROW LEVEL SECURITY")
    op.execute("ALTER TABLE checkpoints FORCE ROW LEVEL SECURITY")
    op.execute(f"CREATE POLICY tenant ON checkpoints USING ({_ITS_OWN})")
