"""A proxy before a PostgreSQL server that loses what a network can lose: a commit, its answer, or all."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qs, quote, urlsplit

SOCKET: Final = ".s.PGSQL.5432"
"""The name of a server's socket in its folder."""
_COMMIT: Final = b"COMMIT;"


class Proxy:
    """Hands everything on, until it is told to lose something."""

    def __init__(self, server: Path, url: str) -> None:
        self._server = server
        self.url = url
        """Leads through the proxy."""
        self.loses: Literal["commit", "answer"] | None = None
        """What of the next commit does not arrive; its connection breaks."""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        """What happens with that commit on its way, before its connection breaks."""
        self.then_is_gone = False
        """Whether after that commit no connection works any more."""
        self.lost = 0
        """How many commits it was."""
        self._clients: set[asyncio.StreamWriter] = set()

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Stand between one client and the server."""
        if not (self.then_is_gone and self.lost):
            self._clients.add(answer)
            server, request = await asyncio.open_unix_connection(self._server)
            back = asyncio.create_task(hand_on(server, answer))
            with suppress(OSError):
                while data := await client.read(65536):
                    if self.loses is not None and _COMMIT in data:
                        back.cancel()
                        await asyncio.wait([back])
                        await self._lose(data, request, server)
                        break
                    request.write(data)
            back.cancel()
            request.close()
            self._clients.discard(answer)
        answer.close()

    async def _lose(self, data: bytes, request: asyncio.StreamWriter, server: asyncio.StreamReader) -> None:
        if self.loses == "answer":
            request.write(data)
            await server.read(65536)
        self.loses = None
        if self.meanwhile is not None:
            await self.meanwhile()
        self.lost += 1
        if self.then_is_gone:
            for client in self._clients:
                client.close()


@asynccontextmanager
async def proxy_before(url: str) -> AsyncIterator[Proxy]:
    """Run a proxy before the server of `url`, whose host is a folder of sockets."""
    parts = urlsplit(url)
    (host,) = parse_qs(parts.query)["host"]
    # Not in pytest's own folder: a socket's path may have 107 bytes.
    with tempfile.TemporaryDirectory() as folder:
        through = parts._replace(query=f"host={quote(folder, safe='')}").geturl()
        proxy = Proxy(Path(host, SOCKET), through)
        server = await asyncio.start_unix_server(proxy.serve, Path(folder, SOCKET))
        try:
            yield proxy
        finally:
            server.close()


async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on all that comes, and hang up."""
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
