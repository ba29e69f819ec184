"""Emulators of Google Cloud Storage and S3, as processes of their own behind a counting proxy.

    with running_gcs() as gcs:
        gcs.put("bucket", "folder/a.parquet", content)
        ...  # read gs://bucket/folder with GCS_ENDPOINT_URL=gcs.endpoint_url, GCS_TOKEN=anon
        print(gcs.counters())

S3 needs credentials, any at all (or S3_ANON), and names of buckets of three letters or more.
"""

import contextlib
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal
from urllib.parse import quote

if __name__ != "__main__":
    from service.sources.source import StorageAccess
    from tests.support.storage_proxy import Counters, Fault, Request, Traffic, running_proxy

Kind = Literal["gs", "s3"]


@dataclass
class Emulator:
    """One running emulator."""

    kind: Kind
    endpoint_url: str
    """Of the proxy: what the service is to talk to."""
    _direct: str
    _traffic: "Traffic"
    _buckets: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=count)

    def access(self, **changes: Any) -> "StorageAccess":
        """Return how the service gets at it, but for `changes`."""
        urls = {"gcs_endpoint_url": self.endpoint_url, "s3_endpoint_url": self.endpoint_url}
        return StorageAccess(**{"gcs_token": "anon"} | urls | changes)

    def new_bucket(self) -> str:
        """Name a bucket that nobody uses."""
        return f"bucket-{next(self._numbers)}"

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an object, uncounted; makes the bucket when it is new, replaces the object when it is not."""
        if bucket not in self._buckets:
            self._buckets.add(bucket)
            if self.kind == "gs":
                self._send(
                    "POST",
                    "/storage/v1/b?project=test",
                    json.dumps({"name": bucket}).encode(),
                    "application/json",
                )
            else:
                self._send("PUT", f"/{bucket}", b"")
        if self.kind == "s3":
            self._send("PUT", f"/{bucket}/{quote(key)}", content)
        elif content:
            self._send(
                "POST",
                f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(key, safe='')}",
                content,
            )
        else:
            # The emulator trips over an empty body of that kind.
            self._send(
                "POST",
                f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart",
                b"--x\r\nContent-Type: application/json\r\n\r\n"
                + json.dumps({"name": key}).encode()
                + b"\r\n--x\r\nContent-Type: application/octet-stream\r\n\r\n\r\n--x--",
                "multipart/related; boundary=x",
            )

    def counters(self) -> "Counters":
        """Return how many requests and bytes the service has had since the last reset."""
        return self._traffic.counters()

    def requests(self) -> "tuple[Request, ...]":
        """Return the requests since the last reset, oldest first."""
        with self._traffic.lock:
            return tuple(self._traffic.log)

    def reset(self) -> None:
        """Count from zero, and break nothing any more."""
        with self._traffic.lock:
            self._traffic.log.clear()
            self._traffic.faults.clear()

    def break_next(
        self, fault: "Fault | int", *, times: int = 1, where: Callable[[str, str], bool] = lambda *_: True
    ) -> None:
        """Let the next `times` requests that `where(method, path)` wants meet a fault, or a status."""
        with self._traffic.lock:
            self._traffic.faults.append((where, fault, times))

    def _send(self, method: str, path: str, content: bytes, kind: str = "application/octet-stream") -> None:
        request = urllib.request.Request(  # noqa: S310 - an address of our own
            self._direct + path,
            data=content,
            method=method,
            headers={"Content-Type": kind, "Authorization": _SIGNED},
        )
        with contextlib.closing(_LOCAL.open(request, timeout=20)) as answer:
            answer.read()


_SIGNED = (
    "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
)
"""Enough for S3's emulator, which refuses to let nobody in particular replace an object."""

_LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the proxies of the environment."""


@contextmanager
def running_gcs() -> "Iterator[Emulator]":
    """Run an emulator of Google Cloud Storage, in memory, empty."""
    with _running("gs") as emulator:
        yield emulator


@contextmanager
def running_s3() -> "Iterator[Emulator]":
    """Run an emulator of S3, in memory, empty."""
    with _running("s3") as emulator:
        yield emulator


@contextmanager
def _running(kind: Kind) -> "Iterator[Emulator]":
    process = subprocess.Popen(
        [sys.executable, __file__, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("MOTO_")},
    )
    try:
        assert process.stdout is not None
        # The process says its port once it listens; if it dies first, this is the end of the file.
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the {kind} emulator did not start")
        port = int(line)
        with running_proxy(port) as (url, traffic):
            yield Emulator(kind, url, f"http://127.0.0.1:{port}", traffic)
    finally:
        process.kill()
        process.communicate()


def _serve(kind: str) -> None:
    """Run in the process: serve on a free port, say which, and end with the standard input."""
    port = _serve_gcs() if kind == "gs" else _serve_s3()
    print(port, flush=True)  # noqa: T201 - the parent reads it
    # When the parent dies, however it does, its end of the pipe closes.
    sys.stdin.read()
    os._exit(0)


def _serve_gcs() -> int:
    import http.server  # noqa: PLC0415 - only in the process

    # The emulator serves one request at a time otherwise.
    http.server.HTTPServer = http.server.ThreadingHTTPServer  # type: ignore[misc]
    from gcp_storage_emulator.server import RequestHandler, create_server  # noqa: PLC0415 - after the line above

    RequestHandler.protocol_version = "HTTP/1.1"
    RequestHandler.disable_nagle_algorithm = True
    server = create_server("127.0.0.1", 0, in_memory=True)
    server.start()
    return int(server._api._httpd.server_address[1])


def _serve_s3() -> int:
    import threading  # noqa: PLC0415 - only in the process

    from moto.server import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415 - as above
    from werkzeug.serving import make_server  # noqa: PLC0415 - as above

    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


if __name__ == "__main__":
    _serve(sys.argv[1])
