"""Connections: a request arrives in time and is of a size, and there is room for one more connection.

uvicorn bounds neither time nor size of what comes before a request is whole, and its limit of connections
would turn health probes away because of connections that say nothing.
"""

import asyncio
import math
import resource
from collections.abc import Sequence
from http import HTTPStatus
from typing import ClassVar, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.api.answer_headers import answer_headers, new_request_id
from service.api.errors import (
    MalformedRequestError,
    RequestTimeoutError,
    RequestTooLargeError,
    TooManyConnectionsError,
    error_headers,
)
from service.api.schemas.error import ErrorOut
from service.domain.errors import RefusedError
from service.telemetry.structured import structlog

MAX_CONNECTIONS: Final = min(1_000, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
"""Half of the files that this process may open, so that runs have theirs."""
BACKLOG: Final = 256
"""So many more can be accepted before one is closed."""


_MEGABYTE: Final = 1024 * 1024


class Connection(HttpToolsProtocol):
    """One connection: its requests arrive in time and are of a size, or it is closed.

    While as many are open as may be, a new one takes the place of the one that has waited longest for a
    request; where all are being answered it is turned away.
    """

    max_connections: ClassVar[int] = MAX_CONNECTIONS
    arrival_s: ClassVar[float] = 10.0
    """From the first byte of a request, or the connection, to its last byte, or each megabyte of it."""
    stalled_s: ClassVar[float] = 30.0
    """How long an answer may find no reader."""
    max_head_bytes: ClassVar[int] = 64 * 1024
    max_request_bytes: ClassVar[int] = _MEGABYTE
    """More than any body that is read, but for uploads: `server_config` adds what these may have."""

    _unanswered: Sequence[RequestResponseCycle] = ()
    _arriving: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None
    waiting_since: float = -math.inf
    _is_in_head: bool = True
    """Whether a request line or headers come next."""
    _bytes: int = 0
    """Of the request that is arriving; but for those that came together with the end of another."""
    _is_shared: bool = False
    """Whether a request ended in what was received last."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request, if there is room."""
        super().connection_made(transport)
        self._begin_to_wait()
        if len(self.connections) > self.max_connections:
            self._make_room()

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is being answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._has_arrived()
        self._is_read()
        for cycle in self._unanswered:
            # uvicorn says so only to the last request of a pipeline.
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in a part of a request, or of several."""
        if self._arriving is None and self.is_waiting:
            # Also of line ends before a request, with which the keep-alive timeout could be put off for good.
            self._begin_to_wait()
        megabytes, self._bytes = self._bytes // _MEGABYTE, self._bytes + len(data)
        self._is_shared = False
        super().data_received(data)
        if self._arriving is not None and self._bytes // _MEGABYTE > megabytes:
            # An upload: it may take as long as it goes on arriving.
            self._has_arrived()
            self._begin_to_wait()
        limit = self.max_head_bytes if self._is_in_head else self.max_request_bytes
        if self._arriving is not None and self._bytes > limit:
            self._refuse(RequestTooLargeError)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        if self._is_shared:
            self._bytes = 1
        if self._arriving is None:
            self._begin_to_wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header; what comes after the body is none."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        super().on_headers_complete()
        self._is_in_head = False
        unanswered = (each for each in self._unanswered if not each.response_complete)
        self._unanswered = [*unanswered, self.cycle]

    def on_message_complete(self) -> None:
        """End a request: it has arrived."""
        self._has_arrived()
        self._is_in_head = self._is_shared = True
        self._bytes = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for the reader of the answer, but not for ever."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.stalled_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on writing."""
        self._is_read()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn's, and in plain text
        """Answer what is no HTTP."""
        self._refuse(MalformedRequestError)

    def _make_room(self) -> None:
        others = [each for each in self.connections if isinstance(each, Connection) and each is not self]
        others = [each for each in others if not each.transport.is_closing()]
        if len(others) < self.max_connections:
            return
        waiting = [each for each in others if each.is_waiting]
        if waiting:
            min(waiting, key=lambda each: each.waiting_since).transport.abort()
        else:
            structlog.get_logger().warning("too_many_connections", connections=len(others))
            self._refuse(TooManyConnectionsError)

    def _begin_to_wait(self) -> None:
        self.waiting_since = self.loop.time()
        self._arriving = self.loop.call_later(self.arrival_s, self._give_up)

    def _has_arrived(self) -> None:
        if self._arriving is not None:
            self._arriving.cancel()
            self._arriving = None

    def _is_read(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _give_up(self) -> None:
        if self.flow.read_paused:
            # It is not the client who is slow: an earlier request of the connection is being answered.
            self._begin_to_wait()
        elif self._bytes:
            self._refuse(RequestTimeoutError)
        else:
            self.transport.abort()

    def _refuse(self, error: type[RefusedError]) -> None:
        """Close the connection; with an answer where that cannot be taken for the one to another request."""
        self._has_arrived()
        is_next = self.is_waiting if self._is_in_head else not self.cycle.response_started
        if is_next and not self.pipeline and not self.transport.is_closing():
            body = ErrorOut(error=error.code, detail=error.example, run_id=None).model_dump_json().encode()
            headers = {
                **error_headers(error),
                **answer_headers("", new_request_id()),
                "content-type": "application/json",
                "content-length": str(len(body)),
                "connection": "close",
            }
            status = f"HTTP/1.1 {error.http_status} {HTTPStatus(error.http_status).phrase}\r\n"
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            self.transport.write(f"{status}{lines}\r\n".encode() + body)
        self.transport.close()


def server_config(
    api: FastAPI,
    *,
    host: str,
    port: int,
    grace_s: float,
    upload_limit_mb: int,
    connection: type[Connection] = Connection,
) -> uvicorn.Config:
    """Return how the API is served; at a stop, open requests have `grace_s` seconds left.

    Runs halt within their grace; this bounds clients that never hang up. A body that is larger than an upload
    may be is refused by its route; the connection ends what goes on arriving all the same.
    """

    class WithUploads(connection):  # type: ignore[misc, valid-type]  # the class is a parameter, for tests
        max_request_bytes = connection.max_request_bytes + upload_limit_mb * 1_000_000

    return uvicorn.Config(
        api,
        host=host,
        port=port,
        http=WithUploads,
        ws="none",
        backlog=BACKLOG,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(grace_s),
    )
