"""Telemetry: what the service reports about itself, as structured lines and nothing secret among them.

JSON lines have the shape that Cloud Logging reads (https://cloud.google.com/logging/docs/structured-logging);
on a terminal the same events are laid out for a person. Every door calls `configure_logging` once.
"""

import io
import json
import logging
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final, Literal, TextIO

import orjson

from service.telemetry.redaction import Redactor
from service.telemetry.structured import EventDict, ExcInfo, Processor, WrappedLogger, structlog
from service.telemetry.terminal import harmless, harmless_json

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
    chain: list[Processor] = [structlog.contextvars.merge_contextvars, *rendered]
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
    requests = logging.getLogger("uvicorn.access")
    requests.removeFilter(_is_no_probe)
    requests.addFilter(_is_no_probe)


def _is_no_probe(record: logging.LogRecord) -> bool:
    """Whether an access line is worth its place: a probe that was answered well every few seconds is not."""
    match record.args:
        case (_, "GET" | "HEAD", str(path), _, 200):
            return path.partition("?")[0] not in {"/health", "/live", "/metrics"}
    return True


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
        return harmless_json(orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode())
    except TypeError:
        # Lone surrogates and integers beyond 64 bits, which orjson refuses.
        return json.dumps(event, default=str)


def _for_a_terminal(*, colors: bool) -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _without_trace,
        _harmless_values,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=_write_traceback),
    ]


def _harmless_values(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    # Whatever is no text is shown by its `repr`, which escapes by itself.
    return {key: harmless(value) if isinstance(value, str) else value for key, value in event.items()}


def _write_traceback(sink: TextIO, exc_info: ExcInfo) -> None:
    text = io.StringIO()
    # The plain formatter: the others show local variables, which hold messages and secrets.
    structlog.dev.plain_traceback(text, exc_info)
    sink.write(harmless(text.getvalue(), lines=True))


def _without_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key in (_TRACE, _SPAN_ID, _TRACE_SAMPLED):
        event.pop(key, None)
    return event
