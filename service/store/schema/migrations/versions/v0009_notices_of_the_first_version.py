"""What the first version notified support of, without writing it down, is not news after the upgrade."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Take each real run of the first version that succeeded for one whose notice arrived."""
    # Later versions note when a run's alerts were recorded, and when support was notified of them.
    op.execute(
        """
        UPDATE runs SET support_notified_at = finished_at
        WHERE support_notified_at IS NULL AND recorded_at IS NULL AND status = 'succeeded' AND NOT dry_run
          AND coalesce(warnings, '') NOT LIKE '%support_notice_failed%'
          AND EXISTS (
            SELECT 1 FROM run_outcomes
            WHERE run_outcomes.run_id = runs.run_id AND run_outcomes.reason = 'unknown_region'
          )
        """
    )
