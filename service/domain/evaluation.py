"""The evaluation: everything that reading a source for a run has found."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from service.domain.alert import Alert, Fact
from service.domain.delivery_status import Outcome, Reason
from service.domain.ledger import RowLedger

AlertT_co = TypeVar("AlertT_co", bound=Alert, covariant=True)
RowsT_co = TypeVar("RowsT_co", bound=RowLedger, covariant=True)


class Condition(StrEnum):
    """What an evaluation says of the subject of an alert that is still open."""

    ALERTING = "alerting"
    """It is one of the evaluation's alerts."""
    BELOW_THRESHOLD = "below_threshold"
    """The problem lasts, and is too small to be alerted now."""
    UNKNOWN_ARR = "unknown_arr"
    """The problem lasts, and is withheld because nobody knows how large it is."""
    RECOVERED = "recovered"
    """The data have the subject, without the problem."""
    NOT_SEEN = "not_seen"
    """The data say nothing of the subject."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWarning:
    """Something a person should look at although the run went on."""

    code: str
    """Stable, for machines; such as `near_miss_status`."""
    count: int
    detail: str
    """One sentence for a person."""


def unsent_alerts(unsent: int, alerts: int) -> tuple[RunWarning, ...]:
    """Warn of a run's alerts that it could not send before it ended."""
    if not unsent:
        return ()
    detail = f"{unsent} of this run's {alerts} alerts were not sent; the next run of the period sends them"
    return (RunWarning(code="unsent_alerts", count=unsent, detail=detail),)


def nothing_delivered(outcomes: Mapping[str, int]) -> tuple[RunWarning, ...]:
    """Warn of a run that delivered none of its alerts, or none of those that no earlier run had."""
    failed, unsent = outcomes.get(Outcome.FAILED, 0), outcomes.get(Outcome.UNSENT, 0)
    missing = failed + unsent + outcomes.get(Outcome.UNKNOWN, 0)
    is_replay = Outcome.SKIPPED_REPLAY in outcomes
    # What has no channel, and doubts that are held, are the same in each replay, and have their own warnings.
    tried = failed + unsent - outcomes.get(Reason.UNKNOWN_REGION, 0) if is_replay else missing
    if outcomes.get(Outcome.SENT) or not tried:
        return ()
    detail = f"none of the {missing} alerts that this run had to deliver was delivered"
    return (RunWarning(code="all_deliveries_failed", count=missing, detail=detail),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a run leaves for the one of the same lease that begins where it ended. Instants sort as texts."""

    begins: str
    until: str
    content: bytes = field(repr=False)
    """For the kind of run that left it."""
    digest: str
    """Of the content: equal ones make no difference to what follows."""
    follows: str | None
    """The digest of the checkpoint that the run began with; None: it began without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointFound:
    """A checkpoint, as a run finds it that begins with it."""

    content: bytes = field(repr=False)
    digest: str
    outdated: tuple[tuple[str, str], ...] = ()
    """The periods to evaluate again, oldest first, since one before them has another result by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """Which problems last at the end of what was evaluated: of its rules, other open alerts are over."""

    until: str
    """What was evaluated ends here, exclusive. Instants sort as texts, beside the periods of alerts."""
    begins: str
    """What all subjects begin with that it is about."""
    rules: Mapping[str, str]
    """By rule: an alert that was evaluated last after this instant is only over where it has `ended`."""
    subjects: Collection[str] = field(repr=False)
    """Those whose problem lasts."""
    ended: Collection[str] = field(repr=False)
    """Those whose problem was found, and its end as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Generic[AlertT_co, RowsT_co]):
    """Which alerts there are, and what became of every row."""

    criteria: Mapping[str, Fact]
    """What was looked for."""
    # Left out of `repr`: a runner of asyncio makes its main task's, and of 50,000 alerts it takes 0.2 s.
    alerts: tuple[AlertT_co, ...] = field(repr=False)
    """In the order of sending."""
    rows: RowsT_co
    warnings: tuple[RunWarning, ...] = ()
    invalid_samples: tuple[Any, ...] = ()
    """A few of the rows that could not be used, as dataclasses of plain values."""
    plan: dict[str, Any] = field(default_factory=dict)
    """What was read and what was not, as plain values for JSON."""
    source_versions: tuple[tuple[str, str], ...] = ()
    """Path and version of every file that was read."""
    withdraws: bool = True
    """Whether what it no longer has of its scope is withdrawn; it is not where it has only a part of that."""
    conditions: Mapping[str, Condition] = field(default_factory=dict, repr=False)
    """Of those subjects that were watched and are not among the alerts."""
    lasting: Lasting | None = field(default=None, repr=False)
    """None where each period says of each subject what it is."""
    in_digest: frozenset[str] = frozenset()
    """Ids of alerts that another one of them stands for: they are kept, and not sent."""
    checkpoint: Checkpoint | None = None

    @property
    def until(self) -> str | None:
        """How far the data were evaluated, where that is not as far as the period of the run."""
        return None if self.lasting is None else self.lasting.until


AnyEvaluation: TypeAlias = Evaluation[Alert, RowLedger]
