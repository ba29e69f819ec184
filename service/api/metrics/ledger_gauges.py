"""Gauges of the ledger, made afresh for each scrape of what the database answered."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import product
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from service.domain.default_risk.job import JobStatus
from service.domain.delivery_status import DeliveryStatus
from service.domain.lifecycle.alert_status import OPEN, Severity
from service.domain.run import RunStatus
from service.store.ledger_state import LedgerState

_UNDELIVERED: Final = (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.FAILED)
_ENDED: Final = (RunStatus.SUCCEEDED, RunStatus.FAILED)


class LedgerGauges(Collector):
    """What the database answered last; of one that did not answer there is only that it is down.

    Labels are those that this version knows: what a newer one writes down, its own processes show.
    """

    def __init__(self, kinds: Collection[str]) -> None:
        self._kinds = tuple(kinds)
        self._state: LedgerState | None = None
        self._at = 0.0

    def show(self, state: LedgerState | None, at: datetime) -> None:
        """Take what the database answered, and when."""
        self._state, self._at = state, at.timestamp()

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; each with all of its labels, whether or not there is a row."""
        state, now = self._state, self._at
        up = float(state is not None)
        yield _gauge("database_up", "Whether the database answered this scrape.", {(): up}, [()])
        if state is None:
            return
        kind_and_status = ("kind", "status")
        yield _gauge(
            "runs",
            "Runs on record, see KEEP_RUNS_DAYS.",
            state.runs,
            product(self._kinds, RunStatus),
            labels=kind_and_status,
        )
        yield _gauge(
            "last_run_timestamp_seconds",
            "When the last run came to this end; 0: none has.",
            {key: ended_at.timestamp() for key, ended_at in state.last_ends.items()},
            product(self._kinds, _ENDED),
            labels=kind_and_status,
        )
        undelivered = [(status,) for status in _UNDELIVERED]
        yield _gauge(
            "undelivered",
            "Alerts of any month that have not gone out.",
            state.undelivered,
            undelivered,
            labels=("status",),
        )
        yield _gauge(
            "oldest_undelivered_seconds",
            "Since when the oldest of them is in the outbox; 0: there is none.",
            {key: now - recorded_at.timestamp() for key, recorded_at in state.oldest.items()},
            undelivered,
            labels=("status",),
        )
        yield _gauge(
            "in_doubt",
            "Alerts that Slack may have or not; a person settles them.",
            {(): state.undelivered.get((DeliveryStatus.UNKNOWN,), 0)},
            [()],
        )
        yield _gauge(
            "jobs",
            "Jobs that have not ended.",
            state.jobs,
            [(status,) for status in (JobStatus.WAITING, JobStatus.RUNNING)],
            labels=("status",),
        )
        yield _gauge(
            "open_alerts",
            "Alerts that nobody has resolved.",
            state.open_alerts,
            product(sorted(OPEN), Severity),
            labels=("status", "severity"),
        )


def _gauge(
    name: str,
    text: str,
    values: Mapping[tuple[str, ...], float],
    every: Iterable[tuple[str, ...]],
    *,
    labels: tuple[str, ...] = (),
) -> GaugeMetricFamily:
    """Return a gauge with `every` combination of its labels; 0 where it has no value."""
    gauge = GaugeMetricFamily(f"risk_alerts_{name}", text, labels=labels)
    for key in every:
        gauge.add_metric(key, values.get(key, 0))
    return gauge
