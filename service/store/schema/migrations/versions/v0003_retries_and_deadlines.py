"""A resumed run keeps its alerts' retries and its own deadline."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns; what is under way begins with nothing spent."""
    op.add_column("runs", sa.Column("delivery_left_s", sa.Double(), nullable=True))
    for name in ("retries", "rate_limits"):
        column = sa.Column(name, sa.Integer(), server_default="0", nullable=False)
        op.add_column("alert_outcomes", column)
