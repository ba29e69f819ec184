"""The observer: what flows tell about, one line of the log for each event."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Protocol

import structlog

from service.domain.alert_record import AlertRecord
from service.domain.delivery_status import Outcome, Reason
from service.domain.month import Month
from service.domain.run import RunRecord, RunRequest, RunStatus


class AlertKey(Protocol):
    """What names an alert: the alert itself, or the outbox's row of it."""

    @property
    def account_id(self) -> str:
        """The account's id."""
        ...

    @property
    def alert_id(self) -> str:
        """The alert's id."""
        ...


class Observer:
    """What the flows tell about: one line per event, on the line's own level; nothing here raises."""

    def __init__(self) -> None:
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

    def run_started(self, *, run_id: str, request: RunRequest) -> None:
        """Tell that a run was accepted and recorded."""
        self._log.info(
            "run_started",
            run_id=run_id,
            source_uri=request.source_uri,
            month=str(request.month),
            dry_run=request.dry_run,
        )

    def run_waiting(self, *, run_id: str, month: Month, holder_run_id: str | None) -> None:
        """Tell that another run of the same month is at work, and this one waits for it."""
        self._log.info("run_waiting", run_id=run_id, month=str(month), holder_run_id=holder_run_id)

    def run_rescued(self, *, run_id: str, in_doubt: int) -> None:
        """Tell that a run whose process died was closed; `in_doubt` alerts may or may not have arrived."""
        self._log.warning("run_rescued", run_id=run_id, in_doubt=in_doubt)

    def run_resumed(self, *, run_id: str, in_doubt: int, to_send: int) -> None:
        """Tell that a run whose process died goes on here, with `to_send` alerts."""
        self._log.warning("run_resumed", run_id=run_id, in_doubt=in_doubt, to_send=to_send)

    def run_released(self, *, run_id: str) -> None:
        """Tell that a run was left unfinished because the process was asked to stop."""
        self._log.warning("run_released", run_id=run_id)

    def alert_retried(
        self,
        *,
        run_id: str,
        alert: AlertKey,
        channel: str | None,
        reason: Reason | None,
        http_status: int | None,
        attempts: int,
        wait_s: float,
    ) -> None:
        """Tell that an alert goes back to its lane; `attempts` were made so far."""
        self._log.info(
            "alert_retried",
            run_id=run_id,
            account_id=alert.account_id,
            alert_id=alert.alert_id,
            channel=channel,
            reason=reason,
            http_status=http_status,
            attempts=attempts,
            wait_s=round(wait_s, 3),
        )

    def alert_settled(
        self,
        *,
        run_id: str,
        alert: AlertKey,
        channel: str | None,
        outcome: Outcome,
        reason: Reason | None,
        http_status: int | None,
        attempts: int,
    ) -> None:
        """Tell what a run did about an alert: one line per alert and run."""
        # What no person has to look at is INFO.
        quiet = outcome in {Outcome.SENT, Outcome.WOULD_SEND, Outcome.SKIPPED_REPLAY, Outcome.PENDING}
        (self._log.info if quiet else self._log.warning)(
            "alert_settled",
            run_id=run_id,
            account_id=alert.account_id,
            alert_id=alert.alert_id,
            channel=channel,
            outcome=outcome,
            reason=reason,
            http_status=http_status,
            attempts=attempts,
        )

    def alert_decided(self, record: AlertRecord) -> None:
        """Tell that a person has settled whether Slack has an alert; the note stays in the database."""
        last = record.settled[-1]
        self._log.info(
            "alert_decided",
            run_id=last.run_id,
            account_id=record.alert.account_id,
            alert_id=record.alert.alert_id,
            channel=record.channel,
            settled_as=last.settled_as,
            settled_by=last.by,
        )

    def lane_paused(self, *, run_id: str, channel: str | None, reason: Reason, pause_s: float) -> None:
        """Tell that nothing leaves a lane for `pause_s` seconds."""
        self._log.info(
            "lane_paused", run_id=run_id, channel=channel, reason=reason, pause_s=round(pause_s, 3)
        )

    def lane_ended(self, *, run_id: str, channel: str | None, reason: Reason, alerts_untried: int) -> None:
        """Tell that a lane was given up with `alerts_untried` alerts not tried."""
        self._log.warning(
            "lane_ended", run_id=run_id, channel=channel, reason=reason, alerts_untried=alerts_untried
        )

    def notice_sent(self, *, run_id: str, accounts: int, message_id: str) -> None:
        """Tell that the mail server took the support notice."""
        self._log.info("notice_sent", run_id=run_id, accounts=accounts, message_id=message_id)

    def notice_written(self, *, run_id: str, accounts: int, path: str) -> None:
        """Tell where the support notice was written, in the absence of a mail server."""
        self._log.warning("notice_written", run_id=run_id, accounts=accounts, path=path)

    def notice_failed(self, *, run_id: str, accounts: int, error: str) -> None:
        """Tell that the support notice could not be delivered; `error` names the kind, never the content."""
        self._log.error("notice_failed", run_id=run_id, accounts=accounts, error=error)

    def unexpected(self, *, run_id: str | None, what: str, error: BaseException) -> None:
        """Tell of an error that nobody foresaw, with its stack."""
        bound = {} if run_id is None else {"run_id": run_id}
        self._log.error(what, exc_info=error, **bound)

    def run_finished(self, *, record: RunRecord, undelivered: Mapping[str, int]) -> None:
        """Tell everything about a run in one line: the canonical one.

        `undelivered` counts the alerts of any month that have not gone out, by state.
        """
        counts = record.counts
        troubled = counts.failed_deliveries or counts.unknown or counts.unsent or record.warnings
        if record.status is RunStatus.FAILED:
            tell = self._log.error
        else:
            tell = self._log.warning if troubled else self._log.info
        tell(
            "run_finished",
            run_id=record.run_id,
            status=record.status,
            source_uri=record.source_uri,
            month=str(record.month),
            dry_run=record.dry_run,
            duration_s=_seconds(record.started_at, record.finished_at),
            error=record.error and {"code": record.error.code, "detail": record.error.detail},
            **asdict(counts),
            ledger=record.ledger and _plain(asdict(record.ledger)),
            warnings={warning.code: warning.count for warning in record.warnings},
            undelivered=dict(undelivered),
        )


def _plain(ledger: dict[str, Any]) -> dict[str, Any]:
    return {str(key): _plain(value) if isinstance(value, dict) else value for key, value in ledger.items()}


def _seconds(start: datetime, end: datetime | None) -> float | None:
    return None if end is None else round((end - start).total_seconds(), 3)
