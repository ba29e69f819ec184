"""Alerts are found by their route, however few of a million have it."""

from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the index."""
    op.create_index("alerts_by_route", "alerts", ["tenant_id", "route", "created_at", "id"])
