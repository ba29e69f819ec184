"""A run's lease may cover more than the scope of its alerts: then it has a name of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the lease's name; of all runs so far it is the scope."""
    op.add_column("runs", sa.Column("lease", sa.Text()))
