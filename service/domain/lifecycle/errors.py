"""What is answered to those who ask for a step that an alert does not take."""

from service.domain.errors import RefusedError


class AlreadyAcknowledgedError(RefusedError, code="already_acknowledged", http_status=409):
    """Somebody else was first."""

    example = "the alert is acknowledged since 2026-01-05T09:30:00Z, by ann"


class AlreadyResolvedError(RefusedError, code="already_resolved", http_status=409):
    """It is over: somebody else, or the data, was first."""

    example = "the alert is resolved since 2026-01-05T09:30:00Z, by ann"


class IllegalTransitionError(RefusedError, code="illegal_transition", http_status=409):
    """The table of transitions has no such step from where the alert stands."""

    example = "the alert is triggered since 2026-01-05T09:30:00Z, by system: it cannot unacknowledge"


class TooManyAlertsError(RefusedError, code="too_many_alerts", http_status=422):
    """More were matched than are changed at once."""

    example = "more than 1,000 alerts are matched; narrow the filter"


class NotAsExpectedError(RefusedError, code="not_as_expected", http_status=409):
    """Another number was matched than the caller expected; nothing was changed."""

    example = "12 alerts are matched, and 10 were expected"
