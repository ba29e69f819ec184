"""Runs are counted by kind and status, at every scrape of the metrics."""

from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Add an index."""
    op.create_index("runs_by_kind", "runs", ["kind", "status", "finished_at"], unique=False)
