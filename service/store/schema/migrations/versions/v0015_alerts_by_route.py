"""Alerts are found by their route, however few of a million have it."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Make the index, of routes that PostgreSQL can index."""
    op.execute(sa.text("UPDATE alerts SET route = substr(route, 1, 600) WHERE length(route) > 600"))
    op.create_index("alerts_by_route", "alerts", ["tenant_id", "route", "created_at", "id"])
