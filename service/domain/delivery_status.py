"""The delivery: what becomes of an alert, and why.

State of an alert in the outbox (`alert_outcomes.status`), who leaves it and when:

| state     | left to                | by whom, when                                                       |
|-----------|------------------------|---------------------------------------------------------------------|
| pending   | sending                | the dispatcher's claim, when its lane's turn has come               |
|           | failed                 | the dispatcher, when its lane's destination is given up             |
|           | withdrawn              | a later run over the same source that no longer has the alert       |
|           | sent                   | a late `ok` of a claim that had been given up for lost              |
| sending   | sent, failed, unknown  | the settle after the POST                                           |
|           | pending                | the settle after a 429, a retry, or a POST that certainly never left|
|           | unknown                | the rescue of a run whose process died                              |
| failed    | pending                | the next run of the month that still has the alert                  |
|           | withdrawn              | a later run over the same source that no longer has it              |
|           | sent                   | a late `ok` of a claim that had been given up for lost              |
| unknown   | sent                   | a late `ok` of the same attempt; a person who settles the doubt so  |
|           | pending                | the next run, under `AMBIGUOUS_SENDS=resend`; a person likewise     |
| withdrawn | pending, failed        | a later run whose evaluation has the alert again                    |
|           | sent                   | a late `ok` of a claim that had been given up for lost              |
| sent      | nothing                | nobody: `sent` has no exit                                          |
"""

from enum import StrEnum


class DeliveryStatus(StrEnum):
    """What has become of an alert, over all runs."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"


class Outcome(StrEnum):
    """What one run did about one of its alerts; never changes once that run has finished."""

    PENDING = "pending"
    """Not decided yet; only while the run is running."""
    SENT = "sent"
    WOULD_SEND = "would_send"
    """Only in dry runs and previews."""
    SKIPPED_REPLAY = "skipped_replay"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Slack may or may not have it; held for a person unless `AMBIGUOUS_SENDS=resend`."""
    UNSENT = "unsent"
    """Still pending when the run had to end; goes out with the next run of the month."""


class Reason(StrEnum):
    """Why an alert was not delivered: the one closed list behind rows, logs, API and metric labels."""

    UNKNOWN_REGION = "unknown_region"
    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    GONE = "gone"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    UNPROCESSABLE = "unprocessable"
    CLIENT_ERROR = "client_error"
    """Any 4xx without a name of its own here; its HTTP status is stored beside it."""
    REDIRECTED = "redirected"
    UNEXPECTED_BODY = "unexpected_body"
    """A 2xx whose body does not say that the message was taken."""
    UNEXPECTED_STATUS = "unexpected_status"
    """An HTTP status below 200 or above 599."""
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    SLACK_UNREACHABLE = "slack_unreachable"
    RESPONSE_LOST = "response_lost"
    """The request may have arrived, but no complete answer came back."""
    INTERRUPTED = "interrupted"
    """The process died, or was overtaken, while the request was on its way."""
    DEADLINE = "deadline"
    """The run's delivery deadline came first."""


class AmbiguousSends(StrEnum):
    """What a run does with an alert whose earlier delivery is in doubt."""

    HOLD = "hold"
    RESEND = "resend"


class SettleAs(StrEnum):
    """How a person settles a doubt."""

    SENT = "sent"
    """Slack has it: nobody posts it any more."""
    RESEND = "resend"
    """Slack shall have it (again): the month's next run sends it, as that run has it."""
