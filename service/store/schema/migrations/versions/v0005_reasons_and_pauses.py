"""The first version's word for a stop becomes today's; a lane's pause is kept with its length."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Replace a reason that is known no more, and add a column."""
    op.execute("UPDATE alert_outcomes SET error = 'interrupted' WHERE error = 'stopped'")
    op.execute("UPDATE run_outcomes SET reason = 'interrupted' WHERE reason = 'stopped'")
    op.add_column("lanes", sa.Column("pause_s", sa.Double(), nullable=True))
