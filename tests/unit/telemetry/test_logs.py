"""Telemetry: lines that Cloud Logging reads, or a person at a terminal."""

import io
import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog

from service.account_risk.row_ledger import InvalidRow
from service.domain.delivery_status import Outcome, Reason
from service.domain.evaluation import RunWarning
from service.domain.ledger import Ledger
from service.domain.run import RunCounts, RunError, RunRecord, RunStatus
from service.telemetry.delivery_events import (
    AlertRetried,
    AlertSettled,
    LaneEnded,
    LanePaused,
    NoticeFailed,
    NoticeSent,
    NoticeUnchanged,
    NoticeWritten,
)
from service.telemetry.events import Event, Events
from service.telemetry.logs import configure_logging, trace_fields
from service.telemetry.redaction import Redactor
from service.telemetry.run_events import RunFailed, RunFinished, RunRescued, RunStarted, RunWaiting
from tests.support.alerts import MONTH, an_alert
from tests.support.given import an_evaluation
from tests.support.logs import logging_put_back

Lines = Callable[[], list[dict[str, Any]]]

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    with logging_put_back():
        yield


@pytest.fixture
def stream() -> io.StringIO:
    """Return where the lines go."""
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    """Configure JSON lines, and return a function that returns them."""
    configure_logging(format="json", level="DEBUG", stream=stream, redact=Redactor(["canary/secret"]))
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


ALERT = an_alert(account_name="A secret name", account_owner="somebody@example.com")


def _fail(text: str) -> None:
    local_variable = "canarylocal"
    if local_variable:
        raise ValueError(text)


def _settled(outcome: Outcome, reason: Reason | None = None) -> AlertSettled:
    return AlertSettled(
        run_id="r1",
        alert_type="risk_alert",
        subject=ALERT.account_id,
        alert_id=ALERT.alert_id,
        channel="amer",
        outcome=outcome,
        reason=reason,
        http_status=200,
        attempts=1,
    )


def _record(status: RunStatus = RunStatus.SUCCEEDED, **changes: Any) -> RunRecord:
    started = datetime(2026, 2, 1, 6, tzinfo=UTC)
    facts: dict[str, Any] = {
        "run_id": "r1",
        "source_uri": "file:///a.parquet",
        "kind": "account_risk",
        "scope": f"risk_alert:{MONTH}",
        "period": str(MONTH),
        "dry_run": False,
        "status": status,
        "started_at": started,
        "finished_at": started + timedelta(seconds=2.5),
        "error": None,
        "counts": RunCounts(alerts=1, alerts_sent=1),
        "ledger": Ledger(
            rows=replace(an_evaluation(1).rows, invalid={InvalidRow.MONTH_NULL: 1}).values(),
            outcomes={Outcome.SENT: 1},
        ),
    }
    return RunRecord(**facts | changes)


def test_a_line_has_the_shape_that_cloud_logging_reads(stream: io.StringIO, lines: Lines) -> None:
    """Severity, message, RFC 3339 time, and the event's own fields beside them; and nobody's name."""
    Events().emit(_settled(Outcome.SENT))
    [line] = lines()
    assert list(line)[:3] == ["severity", "message", "time"]
    assert (line["severity"], line["message"]) == ("INFO", "alert_settled")
    assert line["time"].endswith("Z")
    assert datetime.fromisoformat(line["time"]).utcoffset() == timedelta(0)
    assert (line["run_id"], line["account_id"], line["outcome"]) == ("r1", ALERT.account_id, "sent")
    assert line["alert_id"] == ALERT.alert_id
    assert "secret name" not in stream.getvalue()
    assert "somebody" not in stream.getvalue()


@pytest.mark.parametrize(
    ("outcome", "severity"),
    [
        (Outcome.SENT, "INFO"),
        (Outcome.SKIPPED_REPLAY, "INFO"),
        (Outcome.IN_DIGEST, "INFO"),
        (Outcome.WOULD_SEND, "INFO"),
        (Outcome.FAILED, "WARNING"),
        (Outcome.UNKNOWN, "WARNING"),
        (Outcome.UNSENT, "WARNING"),
    ],
)
def test_what_a_person_should_look_at_is_a_warning(lines: Lines, outcome: Outcome, severity: str) -> None:
    """An alert that did not arrive stands out."""
    Events().emit(_settled(outcome, Reason.GONE))
    assert lines()[0]["severity"] == severity


def test_a_run_ends_with_one_line_that_has_everything(lines: Lines) -> None:
    """Counts, ledger, duration, warnings, and what is undelivered over all months."""
    warning = RunWarning(code="near_miss_status", count=3, detail="…")
    Events().emit(RunFinished(record=_record(warnings=(warning,)), undelivered={"pending": 4}))
    [line] = lines()
    assert (line["severity"], line["message"], line["duration_s"]) == ("WARNING", "run_finished", 2.5)
    assert (line["alerts"], line["alerts_sent"], line["failed_deliveries"]) == (1, 1, 0)
    assert line["ledger"]["rows"]["invalid"] == {"month_null": 1}
    assert line["ledger"]["outcomes"] == {"sent": 1}
    assert (line["warnings"], line["undelivered"]) == ({"near_miss_status": 3}, {"pending": 4})


@pytest.mark.parametrize(
    ("record", "severity"),
    [
        (_record(), "INFO"),
        (_record(counts=RunCounts(alerts=1, unsent=1)), "WARNING"),
        (_record(RunStatus.FAILED, ledger=None, error=RunError(code="x", detail="y")), "ERROR"),
    ],
)
def test_the_line_of_a_run_is_as_loud_as_its_end(lines: Lines, record: RunRecord, severity: str) -> None:
    """An alerting rule on ERROR finds failed runs and nothing else."""
    Events().emit(RunFinished(record=record, undelivered={}))
    assert lines()[0]["severity"] == severity


def test_every_event_is_one_line(lines: Lines) -> None:
    """Its name is the line's message, and its fields are the line's."""
    happened: dict[str, Event] = {
        "run_started": RunStarted(run_id="r1", source_uri="file:///a", month=str(MONTH), dry_run=False),
        "run_waiting": RunWaiting(run_id="r1", month=str(MONTH), holder_run_id="r0"),
        "run_rescued": RunRescued(run_id="r0", in_doubt=2),
        "alert_retried": AlertRetried(
            run_id="r1",
            alert_type="risk_alert",
            subject="a1",
            alert_id=ALERT.alert_id,
            channel="a",
            reason=None,
            http_status=None,
            attempts=1,
            wait_s=1 / 3,
        ),
        "lane_paused": LanePaused(run_id="r1", channel="a", reason=Reason.RATE_LIMITED, pause_s=2),
        "lane_ended": LaneEnded(run_id="r1", channel="a", reason=Reason.SLACK_UNREACHABLE, alerts_untried=3),
        "notice_sent": NoticeSent(run_id="r1", accounts=1, message_id="<m>"),
        "notice_written": NoticeWritten(run_id="r1", accounts=1, path="x.eml"),
        "notice_unchanged": NoticeUnchanged(run_id="r1", accounts=1),
        "notice_failed": NoticeFailed(run_id="r1", accounts=1, error="SMTPConnectError"),
    }
    events = Events()
    for event in happened.values():
        events.emit(event)
    assert [line["message"] for line in lines()] == [*happened]
    assert lines()[0]["month"] == "2026-01-01"
    assert lines()[3]["wait_s"] == 0.333


def test_every_hook_hears_every_event(lines: Lines) -> None:
    """A metric or an audit trail hangs beside the log, and one that breaks disturbs nobody."""
    heard: list[Event] = []

    def broken(_: Event) -> None:
        _fail("canary/secret")

    Events(broken, heard.append).emit(_settled(Outcome.SENT))
    assert heard == [_settled(Outcome.SENT)]
    assert [line["message"] for line in lines()] == ["hook_failed"]


def test_an_exception_is_one_line_with_its_stack(lines: Lines) -> None:
    """Under the key that Cloud Error Reporting groups by."""
    try:
        _fail("canary/secret")
    except ValueError as error:
        Events().emit(RunFailed(run_id="r1", exc_info=error))
    [line] = lines()
    assert (line["severity"], line["run_id"]) == ("ERROR", "r1")
    assert line["stack_trace"].splitlines()[0] == "Traceback (most recent call last):"
    assert line["stack_trace"].splitlines()[-1] == "ValueError: [redacted]"


def test_libraries_speak_through_the_same_lines(lines: Lines) -> None:
    """Their warnings have the same shape, the same redaction, and their name."""
    logging.getLogger("other.package").warning("cannot reach %s", "canary/secret")
    [line] = lines()
    assert (line["severity"], line["logger"]) == ("WARNING", "other.package")
    assert line["message"] == "cannot reach [redacted]"


def test_libraries_are_never_heard_below_warning(lines: Lines) -> None:
    """What they say at DEBUG holds SQL parameters and message bodies, whatever LOG_LEVEL says."""
    logging.getLogger("aiosqlite").debug("INSERT …")
    logging.getLogger("sqlalchemy.engine").info("parameters …")
    logging.getLogger("uvicorn.error").info("running")
    assert [line["message"] for line in lines()] == ["running"]


def test_a_level_silences_what_lies_below(stream: io.StringIO) -> None:
    """LOG_LEVEL applies to the service's own events."""
    configure_logging(format="json", level="WARNING", stream=stream)
    Events().emit(_settled(Outcome.SENT))
    assert stream.getvalue() == ""


def test_what_is_bound_is_on_every_line(lines: Lines) -> None:
    """`run_id` and the trace go along, into libraries' lines too."""
    fields = trace_fields({"traceparent": f"00-{TRACE}-{SPAN}-01"}, project="p1")
    with structlog.contextvars.bound_contextvars(run_id="r9", **fields):
        logging.getLogger("other.package").error("x")
    [line] = lines()
    assert line["run_id"] == "r9"
    assert line["logging.googleapis.com/trace"] == f"projects/p1/traces/{TRACE}"
    assert line["logging.googleapis.com/spanId"] == SPAN
    assert line["logging.googleapis.com/trace_sampled"] is True


@pytest.mark.parametrize(
    ("header", "value", "span", "sampled"),
    [
        ("traceparent", f"00-{TRACE}-{SPAN}-00", SPAN, False),
        ("traceparent", f"01-{TRACE}-{SPAN}-03", SPAN, True),
        ("x-cloud-trace-context", f"{TRACE}/123;o=1", "000000000000007b", True),
        ("x-cloud-trace-context", f"{TRACE}/123", "000000000000007b", False),
        ("x-cloud-trace-context", TRACE, None, False),
    ],
)
def test_both_headers_name_a_trace(header: str, value: str, span: str | None, *, sampled: bool) -> None:
    """W3C's and Google's own."""
    fields = trace_fields({header: value}, project=None)
    assert fields["logging.googleapis.com/trace"] == TRACE
    assert fields.get("logging.googleapis.com/spanId") == span
    assert fields["logging.googleapis.com/trace_sampled"] is sampled


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "nonsense"},
        {"traceparent": f"ff-{TRACE}-{SPAN}-01"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"x-cloud-trace-context": "'; drop table"},
    ],
)
def test_a_malformed_header_is_ignored(headers: dict[str, str]) -> None:
    """A caller cannot write into the log through it."""
    assert trace_fields(headers, project="p1") == {}


def test_a_terminal_gets_lines_for_a_person(stream: io.StringIO) -> None:
    """The same event, laid out; without the trace, and with stacks that show no local variables."""
    configure_logging(format="console", stream=stream)
    try:
        _fail("on purpose")
    except ValueError as error:
        with structlog.contextvars.bound_contextvars(
            **trace_fields({"x-cloud-trace-context": TRACE}, project="p")
        ):
            Events().emit(RunFailed(run_id="r1", exc_info=error))
    text = stream.getvalue()
    assert "run_failed" in text
    assert "run_id=r1" in text
    assert "ValueError: on purpose" in text
    assert TRACE not in text
    assert "canarylocal" not in text


def test_lines_follow_the_standard_stream_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    """Progress bars wrap stderr for a while; lines must go through the wrapper then."""
    configure_logging(format="json", stream="stderr")
    assert not sys.stderr.isatty()
    Events().emit(_settled(Outcome.SENT))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "alert_settled" in captured.err


def test_a_closed_stream_does_not_fail_a_run(stream: io.StringIO, lines: Lines) -> None:
    """A reader that went away is no reason to stop delivering."""
    assert lines() == []
    stream.close()
    Events().emit(_settled(Outcome.SENT))


@pytest.mark.parametrize("value", ["\ud800", 2**70, {1: 2}, datetime(2026, 1, 1, tzinfo=UTC), object])
def test_no_value_breaks_a_line(lines: Lines, value: object) -> None:
    """Lone surrogates, huge numbers and strange objects are written somehow."""
    structlog.get_logger().info("odd", value=value)
    assert lines()[0]["message"] == "odd"


def test_configuring_again_does_not_double_the_lines(lines: Lines, stream: io.StringIO) -> None:
    """A process that configures twice still says everything once."""
    configure_logging(format="json", stream=stream)
    logging.getLogger("other.package").warning("once")
    assert [line["message"] for line in lines()] == ["once"]


def test_a_thousand_lines_a_second_are_nothing(lines: Lines) -> None:
    """One line per alert must not slow a delivery down: well under a millisecond each."""
    events = Events()
    start = time.process_time()
    for _ in range(1000):
        events.emit(_settled(Outcome.SENT))
    assert time.process_time() - start < 0.5
    assert len(lines()) == 1000


@pytest.mark.parametrize(
    ("method", "path", "status", "is_logged"),
    [
        ("GET", "/health", 200, False),
        ("HEAD", "/live?probe=1", 200, False),
        ("GET", "/health", 503, True),
        ("GET", "/runs", 200, True),
        ("POST", "/runs", 200, True),
    ],
)
def test_probes_that_are_well_leave_no_line(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, method: str, path: str, status: int, *, is_logged: bool
) -> None:
    """A line every few seconds would bury what matters; a failing probe and other requests have theirs."""
    access = logging.getLogger("uvicorn.access")
    # A server of another test in this process may have turned its own access log off.
    monkeypatch.setattr(access, "propagate", True)
    access.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", method, path, "1.1", status)
    assert len(lines()) == is_logged
