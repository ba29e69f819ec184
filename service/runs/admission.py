"""Admission: what cannot be run at all is refused before anything is read or recorded."""

from service.domain.errors import DatabaseNotDurableError, RoutingNotConfiguredError, SlackNotConfiguredError
from service.domain.run import RunRequest
from service.runs.context import Reading


def check_request(app: Reading, request: RunRequest) -> None:
    """Refuse what cannot be run at all, before anything is read or recorded.

    Its source was checked by the door. Raises RoutingNotConfiguredError, and for real runs
    SlackNotConfiguredError and DatabaseNotDurableError.
    """
    if not app.channels.by_region:
        raise RoutingNotConfiguredError("the map from region to channel is empty: set REGION_CHANNELS")
    if request.dry_run:
        return
    if not app.channels.is_configured:
        raise SlackNotConfiguredError(
            "set SLACK_WEBHOOKS, SLACK_WEBHOOK_URL or (the mock's way) SLACK_WEBHOOK_BASE_URL to send"
        )
    if not app.policy.database_is_durable:
        raise DatabaseNotDurableError(
            "the SQLite database dies with this container, and the next run would send everything again: "
            "set DATABASE_URL to PostgreSQL, or ALLOW_EPHEMERAL_DATABASE=true"
        )
