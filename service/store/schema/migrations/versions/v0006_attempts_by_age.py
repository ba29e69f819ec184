"""Attempts are found by their age, so that old ones can be deleted."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add an index."""
    op.create_index("attempts_by_age", "attempts", ["settled_at"], unique=False)
