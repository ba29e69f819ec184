"""Telemetry: what the service tells about itself, as structured lines and nothing secret among them.

JSON lines have the shape that Cloud Logging reads (https://cloud.google.com/logging/docs/structured-logging);
on a terminal the same events are laid out for a person. Every door calls `configure_logging` once.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, Literal, Protocol, TextIO

import orjson
import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from service.delivery import Outcome, Reason
from service.month import Month
from service.redaction import Redactor
from service.run_record import RunRecord, RunRequest, RunStatus

_TRACE: Final = "logging.googleapis.com/trace"
_SPAN_ID: Final = "logging.googleapis.com/spanId"
_TRACE_SAMPLED: Final = "logging.googleapis.com/trace_sampled"


def trace_fields(headers: Mapping[str, str], *, project: str | None) -> dict[str, str | bool]:
    """Return the log fields that tie a line to the request's trace; empty without a well-formed header.

    Reads W3C `traceparent` first, then `X-Cloud-Trace-Context`; `headers` has lower-case names.
    """
    if match := _TRACEPARENT.fullmatch(headers.get("traceparent", "")):
        trace, span, sampled = match["trace"], match["span"], bool(int(match["flags"], 16) & 1)
    elif match := _CLOUD_TRACE.fullmatch(headers.get("x-cloud-trace-context", "")):
        trace, sampled = match["trace"], match["sampled"] == "1"
        # This header has the span in decimal, the log entry wants 16 hex digits.
        span = f"{int(match['span']):016x}" if match["span"] else ""
    else:
        return {}
    fields: dict[str, str | bool] = {
        _TRACE: f"projects/{project}/traces/{trace}" if project else trace,
        _TRACE_SAMPLED: sampled,
    }
    if span:
        fields[_SPAN_ID] = span
    return fields


_TRACEPARENT = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?P<trace>(?!0{32})[0-9a-f]{32})-(?P<span>(?!0{16})[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})"
)
_CLOUD_TRACE = re.compile(r"(?P<trace>[0-9a-f]{32})(?:/(?P<span>\d{1,19})(?:;o=(?P<sampled>[01]))?)?")


def configure_logging(
    *,
    level: str = "INFO",
    format: Literal["auto", "json", "console"] = "auto",  # noqa: A002  # the setting's own name
    stream: Literal["stdout", "stderr"] | TextIO = "stdout",
    redact: Redactor | None = None,
) -> None:
    """Send this process's log lines, and those of its libraries, to `stream`.

    Libraries never speak below WARNING (uvicorn: INFO): what they say at DEBUG holds SQL parameters and
    message bodies.
    """
    sink = _Sink(stream, redact or Redactor())
    console = format == "console" or (format == "auto" and sink.stream.isatty())
    rendered = _for_a_terminal(colors=sink.stream.isatty()) if console else _for_cloud_logging()
    chain: list[Processor] = [merge_contextvars, *rendered]
    threshold = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _FromStdlib)]:
        root.removeHandler(handler)
    root.addHandler(_FromStdlib(chain, sink))
    root.setLevel(max(threshold, logging.WARNING))
    logging.getLogger("uvicorn").setLevel(max(threshold, logging.INFO))


class _Sink:
    """Where rendered lines go: one write a line, whole, from whatever thread; it never raises."""

    def __init__(self, stream: Literal["stdout", "stderr"] | TextIO, redact: Redactor) -> None:
        self._target = stream
        self._redact = redact
        self._lock = threading.Lock()

    @property
    def stream(self) -> TextIO:
        """Where the next line goes; looked up anew for each, since progress bars wrap stderr for a while."""
        if isinstance(self._target, str):
            return sys.stdout if self._target == "stdout" else sys.stderr
        return self._target

    def msg(self, line: str) -> None:
        """Write one line."""
        text = f"{self._redact(line)}\n"
        try:
            with self._lock:
                stream = self.stream
                try:
                    stream.write(text)
                except UnicodeEncodeError:
                    stream.write(text.encode("ascii", "backslashreplace").decode("ascii"))
                stream.flush()
        except (OSError, ValueError):
            # A reader that closed the pipe must not fail a run.
            return

    debug = info = warning = error = critical = exception = log = msg


class _FromStdlib(logging.Handler):
    """Sends a library's record through the same processors as the service's own events."""

    def __init__(self, chain: list[Processor], sink: _Sink) -> None:
        super().__init__()
        self._chain = chain
        self._sink = sink

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            event: Any = {"event": record.getMessage(), "logger": record.name}
            if record.exc_info:
                event["exc_info"] = record.exc_info
            for processor in self._chain:
                event = processor(self._sink, record.levelname.lower(), event)
            self._sink.msg(event)
        except Exception:  # noqa: BLE001  # logging's own contract: report on stderr, never raise into the caller
            self.handleError(record)


def _for_cloud_logging() -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _as_cloud_entry,
        _as_json,
    ]


def _as_cloud_entry(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    entry = {
        "severity": event.pop("level").upper(),
        "message": event.pop("event", ""),
        "time": event.pop("time"),
    }
    stack = event.pop("exception", None)
    entry.update(event)
    if stack:
        # Cloud Error Reporting groups by this key; its newlines are escaped, so that it stays one line.
        entry["stack_trace"] = stack
    return entry


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, which orjson refuses.
        return json.dumps(event, default=str)


def _for_a_terminal(*, colors: bool) -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _without_trace,
        # The plain formatter: the others show local variables, which hold messages and secrets.
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    ]


def _without_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key in (_TRACE, _SPAN_ID, _TRACE_SAMPLED):
        event.pop(key, None)
    return event


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

    def lane_paused(self, *, run_id: str, channel: str | None, reason: Reason, pause_s: float) -> None:
        """Tell that nothing leaves a lane for `pause_s` seconds."""
        self._log.info(
            "lane_paused", run_id=run_id, channel=channel, reason=reason, pause_s=round(pause_s, 3)
        )

    def lane_ended(self, *, run_id: str, channel: str | None, reason: Reason, alerts_left: int) -> None:
        """Tell that a lane was given up with `alerts_left` alerts not tried."""
        self._log.warning(
            "lane_ended", run_id=run_id, channel=channel, reason=reason, alerts_left=alerts_left
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
