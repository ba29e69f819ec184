"""The delivery: what becomes of an alert, by which steps, and why."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class DeliveryStatus(StrEnum):
    """What has become of an alert, over all runs; `TRANSITIONS` says how it gets there."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"
    IN_DIGEST = "in_digest"
    """Never sent by itself: one message, a digest, stands for it and many others."""


class Step(StrEnum):
    """What takes an alert from one status to another; each is part of one verb of the store."""

    RECORD = "record"
    """A run whose evaluation has the alert puts it into the outbox, or renews it there."""
    WITHDRAW = "withdraw"
    """A run over the same source whose evaluation no longer has it."""
    CLAIM = "claim"
    """The dispatcher, when its lane's turn has come and a sender is free: durable before the POST."""
    SETTLE = "settle"
    """The dispatcher, with what came of the claim."""
    SETTLE_LATE = "settle_late"
    """The same, with an `ok` to a claim that had been given up for lost, whatever became of it since."""
    END_LANE = "end_lane"
    """The dispatcher, when a destination is given up."""
    LOSE = "lose"
    """The end of a run, or of its process, while the request was on its way."""
    SETTLE_DOUBT = "settle_doubt"
    """A person, or the reconciler, says whether Slack has it."""
    DIGEST = "digest"
    """The end of a bulk job that has very many for one channel."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A way from one status to another."""

    step: Step
    start: DeliveryStatus | None
    """None: the alert was not in the outbox."""
    end: DeliveryStatus
    when: str


def _transitions() -> tuple[Transition, ...]:
    pending, sending, sent = DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.SENT
    failed, unknown, withdrawn = DeliveryStatus.FAILED, DeliveryStatus.UNKNOWN, DeliveryStatus.WITHDRAWN
    in_digest = DeliveryStatus.IN_DIGEST
    return (
        Transition(Step.RECORD, None, pending, "it is new"),
        Transition(Step.RECORD, None, failed, "it is new, and its route leads to no channel"),
        Transition(Step.RECORD, pending, failed, "its route leads to no channel any more"),
        Transition(Step.RECORD, failed, pending, "it is tried again"),
        Transition(Step.RECORD, unknown, pending, "AMBIGUOUS_SENDS=resend"),
        Transition(Step.RECORD, withdrawn, pending, "the data have it again"),
        Transition(Step.RECORD, withdrawn, failed, "the data have it again, without a channel"),
        Transition(Step.WITHDRAW, pending, withdrawn, "the data no longer have it"),
        Transition(Step.WITHDRAW, failed, withdrawn, "the data no longer have it"),
        Transition(Step.CLAIM, pending, sending, "its lane's turn has come"),
        Transition(Step.SETTLE, sending, sent, "Slack took it"),
        Transition(Step.SETTLE, sending, failed, "Slack rejected it, or its retries are used up"),
        Transition(Step.SETTLE, sending, pending, "a 429, a retry, or it certainly never left"),
        Transition(Step.SETTLE, sending, unknown, "no complete answer came"),
        Transition(Step.SETTLE_LATE, pending, sent, "Slack had taken it"),
        Transition(Step.SETTLE_LATE, failed, sent, "Slack had taken it"),
        Transition(Step.SETTLE_LATE, unknown, sent, "Slack had taken it"),
        Transition(Step.SETTLE_LATE, withdrawn, sent, "Slack had taken it"),
        Transition(Step.SETTLE_LATE, in_digest, sent, "Slack had taken it"),
        Transition(Step.END_LANE, pending, failed, "its destination refuses connections, or is dead"),
        Transition(Step.LOSE, sending, unknown, "nobody saw the answer"),
        Transition(Step.SETTLE_DOUBT, unknown, sent, "Slack has it"),
        Transition(Step.SETTLE_DOUBT, unknown, pending, "it is to be sent again"),
        Transition(Step.DIGEST, pending, in_digest, "one digest of its bulk job stands for it"),
    )


RECONCILER: Final = "reconciler"
"""Who settled a doubt that no person did."""

TRANSITIONS: Final = _transitions()
"""The whole state machine of an alert: what is not here does not happen. `sent` has no exit."""
_ALLOWED: Final = frozenset((way.step, way.start, way.end) for way in TRANSITIONS)


def check_transition(step: Step, start: DeliveryStatus | None, end: DeliveryStatus) -> None:
    """Raise ValueError where a step may not lead from `start` to `end`; to stay is always allowed."""
    if start is not end and (step, start, end) not in _ALLOWED:
        raise ValueError(f"{step} must not take an alert from {start} to {end}")


def starts_of(step: Step) -> frozenset[DeliveryStatus]:
    """Return the statuses that a step takes alerts from."""
    return frozenset(way.start for way in TRANSITIONS if way.step is step and way.start is not None)


class Outcome(StrEnum):
    """What one run did about one of its alerts; never changes once that run has finished."""

    PENDING = "pending"
    """Not known yet; only while the run is running."""
    SENT = "sent"
    WOULD_SEND = "would_send"
    """Only in dry runs and previews."""
    SKIPPED_REPLAY = "skipped_replay"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """Slack may or may not have it; held for a person unless `AMBIGUOUS_SENDS=resend`."""
    IN_DIGEST = "in_digest"
    """Not sent by itself: another alert of the run, a digest, stands for it and many others."""
    UNSENT = "unsent"
    """Still pending when the run had to end; goes out with the next run of the period."""


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
    REJECTED = "rejected"
    """Slack refused it with a word that is none of these; the message has the word."""
    UNEXPECTED_BODY = "unexpected_body"
    """A 2xx whose body does not say that the message was taken."""
    UNEXPECTED_STATUS = "unexpected_status"
    """An HTTP status below 200 or above 599."""
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    SLACK_UNREACHABLE = "slack_unreachable"
    LOCAL_RESOURCES = "local_resources"
    """This machine has no descriptor or memory left for a connection: only why a lane pauses."""
    RESPONSE_LOST = "response_lost"
    """The request may have arrived, but no complete answer came back."""
    ANSWERS_UNREADABLE = "answers_unreadable"
    """Several answers in a row could not be read, so that the rest of the lane was not sent."""
    INTERRUPTED = "interrupted"
    """The process died, or was overtaken, while the request was on its way; or it stopped before."""
    DEADLINE = "deadline"
    """The run's delivery deadline came first."""
    OTHER = "other"
    """One that another version of the service wrote down and this one does not know."""


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
