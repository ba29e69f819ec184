"""What a bot has sent says where it stands: in which channel, and under which timestamp."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Add both; of what went out by webhooks nobody knows them."""
    op.add_column("outbox", sa.Column("slack_channel", sa.String(32)))
    op.add_column("outbox", sa.Column("slack_ts", sa.String(32)))
