"""The evaluation: everything that reading a source for one month has told."""

from dataclasses import dataclass, field
from typing import Any

from service.domain.alert import Alert, Criteria
from service.domain.ledger import InvalidRow, RowLedger


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
    detail = f"{unsent} of this run's {alerts} alerts were not sent; the next run of the month sends them"
    return (RunWarning(code="unsent_alerts", count=unsent, detail=detail),)


@dataclass(frozen=True, slots=True, kw_only=True)
class InvalidSample:
    """One row that could not be used, shown so that a data team can find it."""

    reason: InvalidRow
    file: str
    """Path inside the source."""
    account_id: str | None
    month: str | None
    """As it stands in the source, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The answer to: which accounts are At Risk in a month, since when, and what became of every row."""

    criteria: Criteria
    # Left out of `repr`: a runner of asyncio makes its main task's, and of 50,000 alerts it takes 0.2 s.
    alerts: tuple[Alert, ...] = field(repr=False)
    """By ARR descending, null last, then account id."""
    rows: RowLedger
    warnings: tuple[RunWarning, ...] = ()
    invalid_samples: tuple[InvalidSample, ...] = ()
    plan: dict[str, Any] = field(default_factory=dict)
    """What was read and what was not, as plain values for JSON (`ScanPlan.summary`)."""
    source_versions: tuple[tuple[str, str], ...] = ()
    """Path and version of every file that was read."""
