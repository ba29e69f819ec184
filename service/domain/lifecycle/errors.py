"""What is answered to those who ask for a step that an alert does not take."""

from service.domain.errors import RefusedError


class AlreadyAcknowledgedError(RefusedError):
    """Somebody else was first."""

    code = "already_acknowledged"
    http_status = 409
    example = "the alert is acknowledged since 2026-01-05T09:30:00Z, by ann"


class AlreadyResolvedError(RefusedError):
    """It is over: somebody else, or the data, was first."""

    code = "already_resolved"
    http_status = 409
    example = "the alert is resolved since 2026-01-05T09:30:00Z, by ann"


class IllegalTransitionError(RefusedError):
    """The table of transitions has no such step from where the alert stands."""

    code = "illegal_transition"
    http_status = 409
    example = "the alert is triggered since 2026-01-05T09:30:00Z, by system: it cannot unacknowledge"


class TooManyAlertsError(RefusedError):
    """More were matched than are changed at once."""

    code = "too_many_alerts"
    http_status = 422
    example = "more than 1,000 alerts are matched; narrow the filter"


class NotAsExpectedError(RefusedError):
    """Another number was matched than the caller expected; nothing was changed."""

    code = "not_as_expected"
    http_status = 409
    example = "12 alerts are matched, and 10 were expected"
