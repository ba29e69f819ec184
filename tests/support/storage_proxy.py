"""A proxy in front of a storage emulator, which counts what passes and breaks what it is told to break."""

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from tests.support.http_servers import QuietHandler, serving

_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}


class Fault(Enum):
    """What may become of a request besides an answer with a status."""

    HANG = "nothing is answered while the proxy runs"
    DROP = "the connection is closed instead of an answer"
    TRUNCATE = "half of the body, then the connection is closed"


@dataclass(frozen=True)
class Request:
    """A request that has passed."""

    method: str
    path: str
    range: str | None
    """The Range header."""
    body_bytes: int
    """Of the answer, as far as they were sent."""


@dataclass(frozen=True)
class Counters:
    """What has passed since the last reset."""

    requests: int
    bytes: int
    """Of the bodies of the answers."""
    ranges: int
    """How many of the requests asked for a byte range."""


@dataclass
class Traffic:
    """What passes and what shall break; shared by the proxy's threads."""

    log: list[Request] = field(default_factory=list)
    faults: list[tuple[Callable[[str, str], bool], Fault | int, int]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)

    def fault_for(self, method: str, path: str) -> Fault | int | None:
        """Return, and use up once, the first fault that wants this request."""
        with self.lock:
            for index, (wants, fault, times) in enumerate(self.faults):
                if wants(method, path):
                    self.faults[index] = (wants, fault, times - 1)
                    if times == 1:
                        del self.faults[index]
                    return fault
        return None

    def note(self, request: Request) -> None:
        """Count a request."""
        with self.lock:
            self.log.append(request)

    def counters(self) -> Counters:
        """Sum up."""
        with self.lock:
            return Counters(
                requests=len(self.log),
                bytes=sum(request.body_bytes for request in self.log),
                ranges=sum(request.range is not None for request in self.log),
            )


@contextmanager
def running_proxy(port: int) -> Iterator[tuple[str, Traffic]]:
    """Serve in front of 127.0.0.1:`port`; yields the proxy's URL and its traffic."""
    traffic = Traffic()

    class Handler(_Handler):
        upstream = port
        seen = traffic

    with serving(Handler) as url:
        try:
            yield url, traffic
        finally:
            traffic.ended.set()


class _Handler(QuietHandler):
    upstream: int
    seen: Traffic
    disable_nagle_algorithm = True

    def _pass(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.seen.fault_for(self.command, self.path)
        if fault is Fault.HANG:
            self._note(0)
            self.seen.ended.wait()
        if fault in {Fault.HANG, Fault.DROP}:
            self._note(0)
            self.close_connection = True
            return
        if isinstance(fault, int):
            self._answer(fault, [("Content-Type", "text/plain")], b"refused by the proxy", whole=True)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream)
        try:
            connection.request(self.command, self.path, content or None, dict(self.headers.items()))
            answer = connection.getresponse()
            body = answer.read()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
            if self.command == "HEAD":
                kept.append(("Content-Length", answer.getheader("Content-Length") or "0"))
            self._answer(answer.status, kept, body, whole=fault is not Fault.TRUNCATE)
        finally:
            connection.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _pass  # noqa: N815 - the names that http.server calls

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, *, whole: bool) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        sent = b"" if self.command == "HEAD" else body if whole else body[: len(body) // 2]
        # Before any of it is sent, the headers too: whoever has read the answer finds it counted.
        self._note(len(sent))
        self.end_headers()
        self.wfile.write(sent)
        if not whole:
            self.close_connection = True

    def _note(self, body_bytes: int) -> None:
        self.seen.note(Request(self.command, self.path, self.headers.get("Range"), body_bytes))
