"""The sender before servers that break: what certainly never left is retried, everything else is in doubt."""

import asyncio
import base64
import resource
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress

import pytest

from service.delivery.slack import sender as slack
from service.delivery.slack.send_result import InDoubt, NotPosted, Rejected, Retry, SendResult, Sent
from service.delivery.slack.sender import SlackSender
from service.domain.delivery_status import Reason
from tests.support.authority import Authority
from tests.support.sending import new_sender

PATH = "/services/T0CANARY/B0CANARY/s3cr3tPath"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"

Conversation = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin every test without the proxies of the machine it runs on."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@asynccontextmanager
async def server(converse: Conversation, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on a free port, hold each conversation as told, and hang up; yields the port."""
    held: dict[asyncio.Future[None], asyncio.StreamWriter] = {}

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held[asyncio.ensure_future(conversation(reader, writer))] = writer

    async def conversation(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await converse(reader, writer)
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    listening = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        await listening.wait_closed()
        for writer in held.values():
            writer.transport.abort()
        await asyncio.gather(*held)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """Return a request, headers and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
    return head + await reader.readexactly(int(fields.get(b"content-length", b"0")))


def answering(*pieces: bytes) -> Conversation:
    """Return a conversation that reads one request, sends `pieces`, and hangs up."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return converse


def hearing(heard: list[bytes], answer: bytes = OK) -> Conversation:
    """Return a conversation that keeps the head of one request, answers it, and hangs up."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)

    return converse


def hanging_after(*pieces: bytes) -> Conversation:
    """Return a conversation that reads one request, sends `pieces`, and then says nothing any more."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answering(*pieces)(reader, writer)
        await reader.read()  # until the client leaves

    return converse


def unused_port() -> int:
    """Return a port on which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port: int = taken.getsockname()[1]
        return port


def reset(connection: socket.socket) -> None:
    """Close a connection with a reset instead of a farewell."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def post(
    sender: SlackSender, port: int, *, scheme: str = "http", host: str = "127.0.0.1", timeout_s: float = 10
) -> SendResult:
    """Post a message, and check that the result names neither the URL nor any part that is secret."""
    url = f"{scheme}://{host}:{port}{PATH}"
    result = await sender.post(url, '{"text": "hello"}', timeout_s=timeout_s)
    assert "s3cr3t" not in repr(result)
    assert "CANARY" not in repr(result)
    return result


def assert_never_left(result: SendResult) -> None:
    """Check that the message may be tried again without a doubt."""
    assert isinstance(result, Retry)
    assert result.reason is Reason.SLACK_UNREACHABLE
    assert result.http_status is None
    assert result.message.startswith("no connection: ")


def assert_in_doubt(result: SendResult) -> None:
    """Check that the message may have arrived."""
    assert isinstance(result, InDoubt)
    assert result.reason is Reason.RESPONSE_LOST
    assert result.message.startswith("no complete answer: ")


# What certainly never left


async def test_a_refused_connection_never_left(sender: SlackSender) -> None:
    """Where nobody listens nothing was sent."""
    assert_never_left(await post(sender, unused_port()))


async def test_an_unknown_host_never_left(sender: SlackSender) -> None:
    """Where the name does not resolve nothing was sent."""
    assert_never_left(await post(sender, 80, host="slack.invalid"))


@pytest.mark.parametrize(
    "url", ["http://", "http://:80/x", "no-url", "", "http://[::1/x", "ftp://127.0.0.1/x"]
)
async def test_an_impossible_url_never_left(sender: SlackSender, url: str) -> None:
    """A webhook that is no URL is a failure like any other, not a crash."""
    assert_never_left(await sender.post(url, "{}", timeout_s=1))


async def test_a_server_without_tls_never_saw_the_message(sender: SlackSender) -> None:
    """When the handshake fails the request was not sent."""
    received = bytearray()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.read(1000))
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with server(converse) as port:
        assert_never_left(await post(sender, port, scheme="https"))
    assert b"POST" not in received


async def test_a_handshake_that_hangs_never_left(sender: SlackSender) -> None:
    """A timeout before the connection stands is no doubt."""

    async def converse(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(converse) as port:
        assert_never_left(await post(sender, port, scheme="https", timeout_s=0.2))


async def test_a_request_waiting_for_a_connection_never_left(sender: SlackSender) -> None:
    """A message whose time is up before it gets a connection was not sent, unlike those that hold them."""
    arrived: asyncio.Queue[bytes] = asyncio.Queue()
    release = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        arrived.put_nowait(await read_request(reader))
        await release.wait()

    async with server(converse) as port:
        holding = [asyncio.create_task(post(sender, port)) for _ in range(4)]
        for _ in holding:
            await arrived.get()
        assert_never_left(await post(sender, port, timeout_s=0.05))
        release.set()
        for result in await asyncio.gather(*holding):
            assert_in_doubt(result)
    assert arrived.empty()


async def test_a_message_whose_time_is_up_when_it_has_its_connection_stays(sender: SlackSender) -> None:
    """It is asked once more as the first byte would be written, and then not a byte of it leaves."""
    received: list[bytes] = []
    answers = iter((True, False))

    async def converse(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        received.append(await reader.read())

    async with server(converse) as port:
        url = f"http://127.0.0.1:{port}{PATH}"
        result = await sender.post(url, "{}", timeout_s=10, may_leave=lambda: next(answers))
    assert result == NotPosted()
    assert received == [b""]


async def test_a_header_that_cannot_be_sent_is_no_doubt() -> None:
    """What goes wrong while the request is put together never left, whatever the library calls it."""
    async with server(answering(OK)) as port, new_sender(auth_token="t0ken\n") as sender:
        assert_never_left(await post(sender, port))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_shortage_of_our_own_is_not_the_destinations(sender: SlackSender, host: str) -> None:
    """Without a descriptor for a connection, or for asking where it goes, nothing is said about Slack."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with server(answering(OK)) as port:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            short = await post(sender, port, host=host)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert short == NotPosted(reason=Reason.LOCAL_RESOURCES)
        assert await post(sender, port, host=host) == Sent(http_status=200)


# What may have left


async def test_a_reset_before_the_request_was_read_is_in_doubt(sender: SlackSender) -> None:
    """The request had left for the server's machine; that nobody read it there cannot be known here."""
    loop = asyncio.get_running_loop()
    arrived = asyncio.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        listening.setblocking(False)  # noqa: FBT003  # socket's own signature
        posting = asyncio.create_task(post(sender, listening.getsockname()[1]))
        connection, _ = await loop.sock_accept(listening)
        loop.add_reader(connection, arrived.set)
        await arrived.wait()
        loop.remove_reader(connection)
        reset(connection)
        assert_in_doubt(await posting)


async def test_a_reset_at_once_is_never_a_delivery(sender: SlackSender) -> None:
    """A server that accepts and resets leaves a doubt or none, by who was faster; it raises nothing."""

    async def converse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with server(converse) as port:
        result = await post(sender, port)
    assert isinstance(result, InDoubt | Retry)
    assert result.reason in {Reason.RESPONSE_LOST, Reason.SLACK_UNREACHABLE}


async def test_a_reset_after_the_request_was_read_is_in_doubt(sender: SlackSender) -> None:
    """The server had the message and may have acted on it."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.transport.abort()

    async with server(converse) as port:
        assert_in_doubt(await post(sender, port))


@pytest.mark.parametrize(
    "conversation",
    [
        answering(),
        answering(b"HTTP/1.1 200 OK\r\n"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok"),
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
        answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"),
        answering(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nok"),
        answering(b"SSH-2.0-OpenSSH_9.2\r\n"),
        answering(b"\x00" * 1000),
        answering(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"),
    ],
    ids=[
        *("silence", "half a head", "half a body", "half the chunks", "no chunk", "no gzip"),
        *("no length", "no HTTP", "zeros", "endless header"),
    ],
)
async def test_an_answer_that_is_none_is_in_doubt(sender: SlackSender, conversation: Conversation) -> None:
    """The request was read; without a complete answer nobody knows what became of it."""
    async with server(conversation) as port:
        assert_in_doubt(await post(sender, port))


async def test_a_hang_is_in_doubt(sender: SlackSender) -> None:
    """A server that stops talking, wherever in its answer, is given up after the timeout: a doubt."""

    async def hang(*pieces: bytes) -> SendResult:
        async with server(hanging_after(*pieces)) as port:
            return await post(sender, port, timeout_s=1)

    results = await asyncio.gather(
        hang(),
        hang(b"HTTP/1.1 200"),
        hang(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"),
        hang(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"),
    )
    for result in results:
        assert_in_doubt(result)


async def test_a_slow_drip_is_given_up_in_time(sender: SlackSender) -> None:
    """The timeout is one for the whole POST: a byte now and then does not renew it."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with server(converse) as port, asyncio.timeout(20):
        assert_in_doubt(await post(sender, port, timeout_s=0.5))


async def test_a_failure_is_known_by_its_status_alone(sender: SlackSender) -> None:
    """A 4xx or 5xx whose body breaks off or hangs is classified as if it had been complete."""

    async def status_of(status: int, conversation: Callable[..., Conversation]) -> int | None:
        head = f"HTTP/1.1 {status} No\r\nContent-Length: 100\r\n\r\nno_te".encode()
        async with server(conversation(head)) as port:
            result = await post(sender, port, timeout_s=1)
        assert isinstance(result, Retry | Rejected)
        return result.http_status

    for conversation in (answering, hanging_after):
        statuses = [400, 404, 500, 503]
        assert await asyncio.gather(*(status_of(status, conversation) for status in statuses)) == statuses


@pytest.mark.parametrize("status", [600, 999])
async def test_a_status_outside_http_is_a_failure(sender: SlackSender, status: int) -> None:
    """A number that HTTP does not have says nothing good."""
    async with server(answering(f"HTTP/1.1 {status} Odd\r\nContent-Length: 0\r\n\r\n".encode())) as port:
        result = await post(sender, port)
    assert isinstance(result, Rejected)
    assert (result.reason, result.http_status) == (Reason.UNEXPECTED_STATUS, status)


async def test_an_interim_answer_is_passed_over(sender: SlackSender) -> None:
    """A 103 before the real answer does not stand for it."""
    async with server(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n", OK)) as port:
        assert await post(sender, port) == Sent(http_status=200)


# Connections


async def count_connections(sender: SlackSender, *, idle_s: float) -> int:
    """Post twice with a pause between, and return how many connections the server saw."""
    seen: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(b"")
        while not writer.is_closing():
            seen[-1] += await read_request(reader)
            writer.write(OK)

    async with server(converse) as port:
        assert await post(sender, port) == Sent(http_status=200)
        await asyncio.sleep(idle_s)
        assert await post(sender, port) == Sent(http_status=200)
        await sender._session.close()
    return len(seen)


async def test_a_busy_connection_is_used_again(sender: SlackSender) -> None:
    """Messages that follow each other share a connection."""
    assert await count_connections(sender, idle_s=0) == 1


async def test_an_idle_connection_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that may have gone stale unnoticed would leave a message in doubt; a new one does not."""
    assert slack.IDLE_CONNECTION_S <= 1
    monkeypatch.setattr(slack, "IDLE_CONNECTION_S", 0.02)
    async with new_sender() as sender:
        assert await count_connections(sender, idle_s=0.1) == 2


async def test_cookies_are_not_kept(sender: SlackSender) -> None:
    """What one answer sets does not come back with the next message."""
    requests: list[bytes] = []
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with server(hearing(requests, answer)) as port:
        await post(sender, port, host="localhost")
        await post(sender, port, host="localhost")
    assert len(requests) == 2
    assert not any(b"cookie" in request.lower() for request in requests)


# Proxies


async def test_a_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With HTTP_PROXY set the message goes to the proxy, which alone has to know the host."""
    requests: list[bytes] = []
    async with server(hearing(requests)) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        async with new_sender() as sender:
            assert await post(sender, 80, host="slack.invalid") == Sent(http_status=200)
    (request,) = requests
    assert request.startswith(b"POST http://slack.invalid" + PATH.encode())


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_the_proxys_password_is_sent_to_the_proxy(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """User and password in the proxy's URL open it, for plain requests and for tunnels."""
    requests: list[bytes] = []
    async with server(hearing(requests, FORBIDDEN)) as port:
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://us%20er:p%40ss@127.0.0.1:{port}")
        async with new_sender() as sender:
            await post(sender, 80, scheme=scheme, host="slack.invalid")
    (request,) = requests
    assert b"\r\nProxy-Authorization: Basic " + base64.b64encode(b"us er:p@ss") + b"\r\n" in request


async def test_no_proxy_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that NO_PROXY names is spoken to directly."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with server(answering(OK)) as port, new_sender() as sender:
        assert await post(sender, port) == Sent(http_status=200)


async def test_a_proxy_that_is_not_there_never_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the proxy refuses connections nothing was sent."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{unused_port()}")
    async with new_sender() as sender:
        assert_never_left(await post(sender, 80, host="slack.invalid"))


@pytest.mark.parametrize("answer", [FORBIDDEN, b"HTTP/1.1 502 Bad\r\n\r\n", b""])
async def test_a_tunnel_that_never_opens_never_left(monkeypatch: pytest.MonkeyPatch, answer: bytes) -> None:
    """A proxy that refuses to connect to Slack has seen no message: it stands inside the tunnel only."""
    requests: list[bytes] = []
    async with server(hearing(requests, answer)) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        async with new_sender() as sender:
            assert_never_left(await post(sender, 443, scheme="https", host="slack.invalid"))
    assert all(request.startswith(b"CONNECT slack.invalid:443") for request in requests)
    assert not any(b"s3cr3t" in request for request in requests)


# Certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a CA that nobody trusts yet."""
    return Authority(tmp_path_factory.mktemp("tls"))


async def test_an_unknown_certificate_never_left(sender: SlackSender, authority: Authority) -> None:
    """A server that cannot prove who it is never sees the message."""
    received: list[bytes] = []

    async def converse(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        received.append(await reader.read(1))

    async with server(converse, tls=authority.server_context("127.0.0.1")) as port:
        assert_never_left(await post(sender, port, scheme="https"))
    assert b"P" not in received


async def test_the_certificate_variables_are_honoured(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With SSL_CERT_FILE set, what it vouches for is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    async with (
        server(answering(OK), tls=authority.server_context("127.0.0.1")) as port,
        new_sender() as sender,
    ):
        assert await post(sender, port, scheme="https") == Sent(http_status=200)
