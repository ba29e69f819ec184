"""The sink: an HTTP server that says `ok` to every message as fast as it can, and keeps the times.

    python -m benchmarks.sink [--record FILE] [--limit-every N --retry-after SECONDS]

prints its port, and answers `GET /times` with the arrival of each message by path, on the monotonic clock.
With `--limit-every` each Nth message is refused with 429, and what then arrives too early for that path is
counted.
"""

import argparse
import asyncio
import json
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, TextIO

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Sink:
    """What has arrived."""

    def __init__(self, *, record: TextIO | None, limit_every: int, retry_after: float) -> None:
        self.arrivals: dict[str, list[float]] = defaultdict(list)
        self.too_early = 0
        self._count = 0
        self._paused_until: dict[str, float] = {}
        self._record = record
        self._limit_every = limit_every
        self._retry_after = retry_after

    def answer(self, method: str, path: str, body: bytes) -> bytes:
        """Take one request."""
        if method == "GET":
            content = json.dumps({"arrivals": self.arrivals, "too_early": self.too_early}).encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content)
        now = time.monotonic()
        self.too_early += now < self._paused_until.get(path, 0)
        self._count += 1
        if self._limit_every and self._count % self._limit_every == 0:
            self._paused_until[path] = now + self._retry_after
            head = f"HTTP/1.1 429 Too Many\r\nRetry-After: {self._retry_after}\r\nContent-Length: 0\r\n\r\n"
            return head.encode()
        self.arrivals[path].append(now)
        if self._record is not None:
            self._record.write(json.dumps([path, body.decode()]) + "\n")
        return OK


class _Connection(asyncio.Protocol):
    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            length = 0
            for line in head.split("\r\n")[1:]:
                name, _, value = line.partition(":")
                if name.lower() == "content-length":
                    length = int(value)
            if len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            method, path, _ = head.split(" ", 2)
            self._transport.write(self._sink.answer(method, path, body))


async def serve(sink: Sink) -> None:
    """Serve on a free port, and say which."""
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(sink), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sink")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--limit-every", type=int, default=0)
    parser.add_argument("--retry-after", type=float, default=1.0)
    arguments = parser.parse_args()
    record = arguments.record.open("w", buffering=1) if arguments.record else None
    import uvloop  # noqa: PLC0415 - only the server needs it

    sink = Sink(record=record, limit_every=arguments.limit_every, retry_after=arguments.retry_after)
    uvloop.run(serve(sink))


if __name__ == "__main__":
    main()
