"""TLS before a PostgreSQL server, which the tests' own was built without, and a CA for its certificate.

It speaks the part of the protocol that comes before the first message (SSLRequest), then TLS, and hands on.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_SOCKET: Final = ".s.PGSQL.5432"
_SSL_REQUEST: Final = bytes.fromhex("0000000804d2162f")
"""Length 8 and the code 80877103: what a client sends first that wants TLS."""


class Authority:
    """A certificate authority of a test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of a test")])
        certificate = self._certificate(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / "ca.pem"
        """What clients trust."""
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server_context(self, host: str) -> ssl.SSLContext:
        """Return TLS for a server with a certificate for `host`, a name or an address."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        try:
            named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            named = x509.DNSName(host)
        certificate = self._certificate(subject, key, x509.SubjectAlternativeName([named]))
        file = self._folder / f"{host}.pem"
        file.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(minutes=5),
            not_valid_after=now + timedelta(hours=1),
        )
        is_ca = isinstance(extension, x509.BasicConstraints)
        return builder.add_extension(extension, critical=is_ca).sign(self._key, hashes.SHA256())


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
        back = asyncio.create_task(_hand_on(server, answer))
        await _hand_on(client, request)
        back.cancel()


@asynccontextmanager
async def tls_before(url: str, context: ssl.SSLContext | None) -> AsyncIterator[tuple[TlsFront, int]]:
    """Run TLS, or what refuses it, before the server of `url`, whose host is a folder of sockets.

    Yields the front and its port on this machine.
    """
    (folder,) = parse_qs(urlsplit(url).query)["host"]
    front = TlsFront(Path(folder, _SOCKET), context)
    server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
    try:
        yield front, server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
