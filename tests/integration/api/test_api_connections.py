"""Connections that dawdle, babble or pile up: each is ended, and meanwhile everybody else is answered."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest

from service.api.connections import Connection
from tests.support.rows import MONTH, account, write_source
from tests.support.served import RunningService, month_held_elsewhere, running_service, settings
from tests.support.waiting import wait_until

HALF: Final = b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-Half: "
WHOLE: Final = b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST: Final = b"POST /preview HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"

CHUNKED: Final = POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


class Hasty(Connection):
    """Limits that a test can wait for."""

    max_connections = 6
    arrival_s = 0.4
    stalled_s = 0.4
    closed = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it."""
        Hasty.closed += 1
        super().connection_lost(exc)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Return a service with the limits that it always has."""
    with running_service(settings(tmp_path_factory.mktemp("connections"))) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Return a service with the limits of a test."""
    with running_service(settings(tmp_path_factory.mktemp("hasty")), connection=Hasty) as running:
        yield running


@contextmanager
def connected(service: RunningService) -> Iterator[socket.socket]:
    """Connect, and hang up at the end."""
    address = ("127.0.0.1", service.client.base_url.port or 80)
    with socket.create_connection(address, timeout=10) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    """Return what the service says until it hangs up, whether or not it has heard everything."""
    said = b""
    with suppress(ConnectionResetError):
        while part := connection.recv(65536):
            said += part
    return said


def read_one(connection: socket.socket) -> bytes:
    """Return the next answer, which is a JSON object."""
    said = b""
    while not said.endswith(b"}"):
        part = connection.recv(65536)
        assert part, said
        said += part
    return said


def error_in(answer: bytes) -> tuple[int, str]:
    """Return the status and the code of an answer that must have the shape of every error."""
    head, _, body = answer.partition(b"\r\n\r\n")
    error: dict[str, Any] = json.loads(body)
    assert list(error) == ["error", "detail", "run_id"]
    assert b"\r\nconnection: close" in head.lower()
    return int(head.split()[1]), error["error"]


def test_health_is_answered_while_200_requests_do_not_get_on(service: RunningService) -> None:
    """Neither connections that say nothing nor those that stop midway take a probe's place."""
    with ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(connected(service))
            connection.sendall(HALF if number % 2 else b"")
        started = time.perf_counter()
        assert service.get("/health")["ok"] is True
        assert time.perf_counter() - started < 5


@pytest.mark.parametrize(
    "part",
    [
        HALF,
        b"G",
        b"\r\n",
        POST + b"Content-Length: 100\r\n\r\n{",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
    ],
)
def test_a_request_that_does_not_arrive_is_answered_with_that(hasty: RunningService, part: bytes) -> None:
    """In its line, its headers or its body; also where a byte comes now and then."""
    with connected(hasty) as connection:
        connection.sendall(part)
        assert error_in(read_all(connection)) == (408, "request_timeout")


def answer_to_drops(connection: socket.socket, drop: bytes) -> tuple[int, str]:
    """Send a drop now and then until an error is answered, and return that."""
    connection.settimeout(0.05)
    for _ in range(200):
        try:
            return error_in(read_all(connection))
        except TimeoutError:
            connection.sendall(drop)
    pytest.fail("it went on for ever")


def test_a_byte_now_and_then_puts_nothing_off(hasty: RunningService) -> None:
    """The time counts from the first byte of a request to its last."""
    with connected(hasty) as connection:
        connection.sendall(HALF)
        assert answer_to_drops(connection, b"x") == (408, "request_timeout")


def test_a_connection_that_says_nothing_is_closed(hasty: RunningService) -> None:
    """Without a word: there is nothing to answer."""
    with connected(hasty) as connection:
        assert read_all(connection) == b""


def test_the_next_request_of_a_connection_has_as_much_time(hasty: RunningService) -> None:
    """Each request of a connection has its own time, and half a one is not waited for."""
    with connected(hasty) as connection:
        end = time.monotonic() + Hasty.arrival_s * 3
        while time.monotonic() < end:
            connection.sendall(WHOLE)
            assert read_one(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(WHOLE + HALF)
        answers = read_all(connection)
    assert answers.startswith(b"HTTP/1.1 200")
    assert error_in(answers[answers.index(b"HTTP/1.1 408") :]) == (408, "request_timeout")


def test_line_ends_alone_keep_nothing_open(hasty: RunningService) -> None:
    """A parser skips them, so that no request ever begins."""
    with connected(hasty) as connection:
        connection.sendall(WHOLE)
        assert read_one(connection).startswith(b"HTTP/1.1 200")
        assert answer_to_drops(connection, b"\r\n") == (408, "request_timeout")


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /live HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"BREW /live HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http:// HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /live HTTP/9.9\r\nHost: localhost\r\n\r\n",
        POST + b"Content-Length: x\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_answered_in_the_shape_of_every_error(
    service: RunningService, request_: bytes
) -> None:
    """Whoever sends it may be a program that reads the answer."""
    with connected(service) as connection:
        connection.sendall(request_)
        assert error_in(read_all(connection)) == (400, "malformed_request")


def test_endless_headers_are_refused(service: RunningService) -> None:
    """Before they fill the memory: as one long value, or as many."""
    for piece in (b"x" * 65536, b"a: b\r\n" * 10_000):
        with connected(service) as connection:
            connection.sendall(HALF + (b"\r\n" if piece[:1] == b"a" else b""))
            try:
                for _ in range(200):
                    connection.sendall(piece)
            except OSError:
                continue
        pytest.fail("it took them all")


def test_headers_that_are_too_long_are_answered_with_that(service: RunningService) -> None:
    """A client with a large cookie learns why."""
    with connected(service) as connection:
        connection.sendall(HALF + b"x" * 70_000)
        assert error_in(read_all(connection)) == (431, "request_too_large")


def test_trailers_are_no_headers(service: RunningService) -> None:
    """What follows a body cannot name a host, and an endless one is not kept."""
    with connected(service) as connection:
        connection.sendall(CHUNKED + b"Host: evil.example\r\n\r\n")
        assert read_one(connection).startswith(b"HTTP/1.1 422")
    with connected(service) as connection:
        connection.sendall(CHUNKED + b"X: ")
        try:
            for _ in range(1_000):
                connection.sendall(b"x" * 65536)
        except OSError:
            return
    pytest.fail("it took them all")


def test_a_new_connection_takes_the_place_of_one_that_says_nothing(hasty: RunningService) -> None:
    """So many are open and no more, and those who ask for something are answered."""
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(hasty)) for _ in range(Hasty.max_connections * 3)]
        with connected(hasty) as connection:
            connection.sendall(WHOLE)
            assert read_one(connection).startswith(b"HTTP/1.1 200")
        assert read_all(silent[0]) == b""


def test_where_all_are_being_answered_one_more_is_rejected(tmp_path: Path) -> None:
    """Runs that wait for Slack keep their connections; the one more is told when to come again."""
    source = write_source(tmp_path / "a.parquet", [account(1)])
    body = json.dumps({"source_uri": source, "month": MONTH}).encode()
    request = POST.replace(b"/preview", b"/runs") + b"Content-Length: %d\r\n\r\n" % len(body) + body
    given = settings(tmp_path, max_concurrent_runs=Hasty.max_connections, slack_max_retries=0)
    with running_service(given, connection=Hasty) as service, ExitStack() as stack:
        stack.enter_context(month_held_elsewhere(tmp_path))
        running = [stack.enter_context(connected(service)) for _ in range(Hasty.max_connections)]
        for connection in running:
            connection.sendall(request)
        wait_until(lambda: len(service.app.at_work.runs) == Hasty.max_connections, what="all are at work")
        with connected(service) as connection:
            answer = read_all(connection)
        assert error_in(answer) == (503, "too_many_connections")
        assert b"\r\nRetry-After: 5\r\n" in answer
        # What a client sends after a request that is being answered cannot be taken for its answer.
        running[0].sendall(b"nonsense\r\n\r\n")
        assert read_all(running[0]) == b""


def test_an_answer_that_nobody_reads_is_not_kept(hasty: RunningService) -> None:
    """A client that asks and never reads has its connection closed."""
    with connected(hasty) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        before = Hasty.closed
        wait_until(lambda: Hasty.closed > before, what="it is closed")
