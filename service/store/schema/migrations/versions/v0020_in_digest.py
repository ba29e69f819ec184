"""An episode that was only listed in a digest is found by its id."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

_OF_DIGESTS = sa.text("outcome = 'in_digest'")


def upgrade() -> None:
    """Add an index over these alone: what is recorded otherwise costs nothing more."""
    op.create_index(
        "run_outcomes_in_digest",
        "run_outcomes",
        ["alert_id"],
        sqlite_where=_OF_DIGESTS,
        postgresql_where=_OF_DIGESTS,
    )
