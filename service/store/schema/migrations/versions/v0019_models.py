"""Models are activated: statements are scored with the newest of their kind."""

import sqlalchemy as sa
from alembic import op

from service.store.schema.tables import UtcTimestamp

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Create the table; without a row it is the model that comes with the service, as before."""
    op.create_table(
        "model_activations",
        sa.Column("kind", sa.String(16), primary_key=True, nullable=False),
        sa.Column("number", sa.Integer, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("activated_at", UtcTimestamp, nullable=False),
        sa.Column("activated_by", sa.Text, nullable=False),
    )
