"""A doubt that was looked for in Slack's history in vain says for which claim, and is left to a person."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Add it; nobody has looked for anything yet."""
    op.add_column("outbox", sa.Column("reconciled_claim", sa.Integer()))
