"""TLS before a PostgreSQL server, which the tests' own was built without.

It speaks the part of the protocol that comes before the first message (SSLRequest), then TLS, and hands on.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from tests.support.postgresql_proxy import SOCKET, hand_on

_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
"""Length 8 and the code 80877103: what a client sends first that wants TLS."""


class TlsFront:
    """What a client meets; it counts who came with TLS."""

    def __init__(self, server: Path, context: ssl.SSLContext | None) -> None:
        self._server = server
        self._context = context
        self.encrypted = 0

    async def serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        """Take one client to the server: inside TLS, or refused where there is none."""
        with suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError):
            first = await client.readexactly(len(_SSL_REQUEST))
            if first == _SSL_REQUEST and self._context is not None:
                answer.write(b"S")
                await answer.start_tls(self._context)
                self.encrypted += 1
                await self._between(client, answer)
            else:
                answer.write(b"N")
                await client.read()
        answer.close()

    async def _between(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, request = await asyncio.open_unix_connection(self._server)
        back = asyncio.create_task(hand_on(server, answer))
        await hand_on(client, request)
        back.cancel()


@asynccontextmanager
async def tls_before(url: str, context: ssl.SSLContext | None) -> AsyncIterator[tuple[TlsFront, int]]:
    """Run TLS, or what refuses it, before the server of `url`, whose host is a folder of sockets.

    Yields the front and its port on this machine.
    """
    (folder,) = parse_qs(urlsplit(url).query)["host"]
    front = TlsFront(Path(folder, SOCKET), context)
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    try:
        yield front, server.sockets[0].getsockname()[1]
    finally:
        server.close()
