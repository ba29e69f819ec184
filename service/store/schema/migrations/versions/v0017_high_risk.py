"""An organisation may have companies at high risk of default reported in a channel."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Add the channel; no organisation has one before it names it."""
    op.add_column("organizations", sa.Column("default_risk_channel", sa.Text()))
