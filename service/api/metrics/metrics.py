"""The metrics of a process: requests are counted at the door, all else by the events that its hook hears.

They have a registry of their own. Labels are closed lists, created beforehand, so that a scrape shows zeros;
none names a tenant or an account.
"""

from collections.abc import Collection
from datetime import datetime
from itertools import product
from typing import ClassVar, Final

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.process_collector import ProcessCollector

from service.api.metrics.ledger_gauges import LedgerGauges
from service.domain.default_risk.job import JobStatus, RowOutcome
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.delivery_status import Outcome, Reason
from service.domain.identity.errors import UnauthenticatedError
from service.domain.identity.login_errors import WrongCredentialsError
from service.domain.run import RunStatus
from service.store.ledger_state import LedgerState
from service.telemetry.access_events import NotAuthenticated
from service.telemetry.delivery_events import (
    AlertRetried,
    AlertSettled,
    LanePaused,
    MessageNotUpdated,
    MessageUpdated,
)
from service.telemetry.events import Event
from service.telemetry.job_events import JobFinished
from service.telemetry.prediction_events import Predicted
from service.telemetry.run_events import RunFinished

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""The buckets of durations: a probe answers in milliseconds, `POST /runs` when every lane has drained."""
_WITH_REASON: Final = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.UNSENT)
_ABSTAINED: Final = "abstained"
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """What Prometheus reads of one process; for the event loop's thread only."""

    content_type: ClassVar[str] = CONTENT_TYPE_LATEST

    def __init__(self, kinds: Collection[str]) -> None:
        """Create every label; `kinds` are those of the process's runs."""
        # When each series began would be a series more of each.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._gauges = LedgerGauges(kinds)
        registry.register(self._gauges)
        self._requests = Counter(
            "http_requests_total", "Requests answered.", ("method", "endpoint", "status"), registry=registry
        )
        self._seconds = Histogram(
            "http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("method", "endpoint"),
            buckets=SECONDS,
            registry=registry,
        )

        def counter(
            name: str, text: str, labels: tuple[str, ...] = (), every: Collection[tuple[str, ...]] = ()
        ) -> Counter:
            made = Counter(f"risk_alerts_{name}", text, labels, registry=registry)
            for values in every:
                made.labels(*values)
            return made

        ended = tuple(product(kinds, (RunStatus.SUCCEEDED, RunStatus.FAILED)))
        of_kind = [(kind,) for kind in kinds]
        outcomes = [(outcome, "") for outcome in Outcome if outcome is not Outcome.PENDING]
        reasons = [(reason,) for reason in Reason]
        refused = [(error.code,) for error in (UnauthenticatedError, WrongCredentialsError)]
        self._runs = counter("runs_total", "Runs that ended in this process.", ("kind", "status"), ended)
        self._rows = counter("rows_total", "Rows that their evaluations scanned.", ("kind",), of_kind)
        self._alerts = counter("alerts_total", "Alerts that they found.", ("kind",), of_kind)
        self._deliveries = counter(
            "deliveries_total",
            "What runs did about alerts, and why where they were not delivered.",
            ("outcome", "reason"),
            [*outcomes, *product(_WITH_REASON, Reason)],
        )
        self._attempts = counter("attempts_total", "Messages posted to Slack, whatever came of it.")
        self._pauses = counter("lane_pauses_total", "Pauses of a destination.", ("reason",), reasons)
        self._updates = counter(
            "message_updates_total",
            "Messages in Slack that were to show what has become of their alert.",
            ("outcome",),
            [("shown",), ("failed",), ("retried",)],
        )
        self._predictions = counter(
            "predictions_total",
            "Predictions written down, one by one.",
            ("kind", "level"),
            tuple(product(PredictionKind, (*RiskLevel, _ABSTAINED))),
        )
        self._jobs = counter(
            "jobs_total",
            "Jobs that ended in this process.",
            ("kind", "status"),
            tuple(product(PredictionKind, (JobStatus.SUCCEEDED, JobStatus.FAILED))),
        )
        self._job_rows = counter(
            "job_rows_total",
            "What became of their rows.",
            ("kind", "outcome"),
            tuple(product(PredictionKind, RowOutcome)),
        )
        self._refused = counter(
            "auth_failures_total", "Requests of nobody, and failed log-ins.", ("reason",), refused
        )

    def answered(self, *, method: str, endpoint: str, status: int, seconds: float) -> None:
        """Count a request; `endpoint` is the route's template."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, endpoint, str(status)).inc()
        self._seconds.labels(method, endpoint).observe(seconds)

    def hear(self, event: Event) -> None:
        """Count what has happened: a hook of `Events`."""
        match event:
            case RunFinished(record=record):
                self._runs.labels(record.kind, record.status).inc()
                self._rows.labels(record.kind).inc(record.counts.rows_scanned)
                self._alerts.labels(record.kind).inc(record.counts.alerts)
            case AlertSettled():
                self._deliveries.labels(event.outcome, event.reason or "").inc()
                self._attempts.inc(event.posted)
            case AlertRetried():
                self._attempts.inc()
            case LanePaused():
                self._pauses.labels(event.reason).inc()
            case MessageUpdated() | MessageNotUpdated():
                self._updates.labels(event.outcome).inc()
            case Predicted():
                self._predictions.labels(event.kind, event.risk_level or _ABSTAINED).inc()
            case JobFinished(job=job):
                self._jobs.labels(job.kind, job.status).inc()
                for outcome, count in job.rows.items():
                    self._job_rows.labels(job.kind, outcome).inc(count)
            case NotAuthenticated():
                self._refused.labels(event.code).inc()

    def text(self, state: LedgerState | None, *, at: datetime) -> bytes:
        """Return all of them in Prometheus's text format; `state` is None where the database is away."""
        self._gauges.show(state, at)
        return generate_latest(self._registry)
