"""Storage that is broken, slow, replaced or closed: each has its own error, in time, without secrets."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from service.domain.errors import (
    RiskAlertsError,
    SourceChangedError,
    SourceNotFoundError,
    StorageAccessRefusedError,
    StorageUnreachableError,
)
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.source import Source, StorageAccess
from tests.support.emulators import Emulator
from tests.support.listing import listed
from tests.support.storage_proxy import Fault

ANONYMOUS = "anon"
CANARY = "canary-SECRET-4711"
CONTENT = bytes(range(256)) * 2048
LIMIT_S = 0.6
SLACK_S = 30.0
"""What a busy machine may add."""


@pytest.fixture
def uri(emulator: Emulator, bucket: str) -> str:
    """Store one object and name it."""
    emulator.put(bucket, "t/a.parquet", CONTENT)
    return f"{emulator.kind}://{bucket}/t/a.parquet"


def opened(uri: str, endpoint: str, *, token: str | None = ANONYMOUS, timeout_s: float = 10.0) -> Source:
    """Open a source at an endpoint."""
    return open_source(
        SourceUri.parse(uri),
        StorageAccess(
            gcs_token=token, gcs_endpoint_url=endpoint, s3_endpoint_url=endpoint, timeout_s=timeout_s
        ),
    )


def read(source: Source) -> bytes:
    """List and read the one file of a source."""
    (file,) = listed(source)
    with source.open(file) as reader:
        content: bytes = reader.file.read()
        return content


@pytest.mark.parametrize("path", ["", "/", "/*.parquet"])
def test_a_storage_that_hangs_is_unreachable_in_time(emulator: Emulator, hanging: str, path: str) -> None:
    """Nobody waits longer than the time limit for a listing."""
    began = time.monotonic()
    with (
        pytest.raises(StorageUnreachableError, match=r"127\.0\.0\.1:\d+: no answer within 0\.6 s"),
        opened(f"{emulator.kind}://bucket{path}", hanging, timeout_s=LIMIT_S) as source,
    ):
        listed(source)
    assert time.monotonic() - began < LIMIT_S + SLACK_S


def test_refused_connections_are_unreachable_in_time(emulator: Emulator) -> None:
    """An endpoint where nobody listens is told as what it is, within the time limit."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    began = time.monotonic()
    with (
        pytest.raises(StorageUnreachableError, match=f"127.0.0.1:{port}.*Connection refused"),
        opened(f"{emulator.kind}://bucket/a", f"http://127.0.0.1:{port}", timeout_s=SLACK_S) as source,
    ):
        listed(source)
    assert time.monotonic() - began < 2 * SLACK_S


@pytest.mark.parametrize("ahead", [True, False])
def test_a_storage_that_hangs_in_mid_read_is_unreachable_in_time(
    emulator: Emulator, uri: str, *, ahead: bool
) -> None:
    """A read that gets no answer ends, whether it was fetched ahead or not."""
    with opened(uri, emulator.endpoint_url) as source:
        (file,) = listed(source)
        # Only now: to connect and to list may take a busy machine longer.
        source._timeout_s = LIMIT_S  # type: ignore[attr-defined] # of the object source
        emulator.break_next(Fault.HANG, times=100)
        began = time.monotonic()
        with source.open(file) as reader:
            if ahead:
                reader.prefetch([(0, 1000), (300_000, 1000)])
            with pytest.raises(StorageUnreachableError, match="no answer"):
                reader.file.read(1000)
    assert time.monotonic() - began < LIMIT_S + SLACK_S


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_is_reported_as_one(emulator: Emulator, uri: str, status: int) -> None:
    """401 and 403 are the credentials' fault, and are not tried again."""
    emulator.break_next(status, times=100)
    with (
        pytest.raises(StorageAccessRefusedError, match="credentials") as refusal,
        opened(uri, emulator.endpoint_url) as source,
    ):
        listed(source)
    assert emulator.counters().requests == 1
    assert CANARY not in str(refusal.value)


@pytest.mark.parametrize("emulator", ["s3"], indirect=True)
def test_objects_that_are_not_public_are_refused_to_anonymous_readers(emulator: Emulator, uri: str) -> None:
    """S3_ANON signs nothing, so a private object stays closed; the emulator of GCS shows all to everyone."""
    access = emulator.access(s3_anon=True)
    with open_source(SourceUri.parse(uri), access) as source, pytest.raises(StorageAccessRefusedError):
        read(source)


@pytest.mark.parametrize("fault", [503, 429, 500, Fault.DROP, Fault.TRUNCATE])
def test_what_passes_is_tried_again(emulator: Emulator, uri: str, fault: Fault | int) -> None:
    """One broken or overloaded answer, to a listing or a read, is not the end."""
    with opened(uri, emulator.endpoint_url) as source:
        if fault is not Fault.TRUNCATE:
            emulator.break_next(fault)
        (file,) = listed(source)
        emulator.break_next(fault)
        with source.open(file) as reader:
            assert reader.file.read() == CONTENT


def test_an_answer_that_is_cut_short_every_time_is_unreachable(emulator: Emulator, uri: str) -> None:
    """A body that ends early is never taken for the data."""
    with opened(uri, emulator.endpoint_url, timeout_s=3) as source:
        (file,) = listed(source)
        emulator.break_next(Fault.TRUNCATE, times=100)
        with source.open(file) as reader, pytest.raises(StorageUnreachableError, match="broken connection"):
            reader.file.read()


def test_an_object_replaced_in_mid_read_is_noticed(emulator: Emulator, uri: str) -> None:
    """Bytes of two versions are never mixed."""
    bucket = SourceUri.parse(uri).bucket
    with opened(uri, emulator.endpoint_url) as source:
        (file,) = listed(source)
        with source.open(file) as reader:
            assert reader.file.read(100) == CONTENT[:100]
            # Of another size: GCS heeds the precondition on the generation, its emulator ignores it.
            emulator.put(bucket, "t/a.parquet", CONTENT[::-1] + b"more")
            with pytest.raises(SourceChangedError, match=r"a\.parquet was replaced"):
                reader.file.read(100)


def test_the_precondition_is_sent(emulator: Emulator, uri: str) -> None:
    """Every read asks for just the version that was listed."""
    with opened(uri, emulator.endpoint_url) as source:
        (file,) = listed(source)
        assert file.version
        with source.open(file) as reader:
            reader.file.read(10)
            if emulator.kind == "gs":
                assert f"ifGenerationMatch={file.version}" in emulator.requests()[-1].path
            emulator.put(SourceUri.parse(uri).bucket, "t/a.parquet", CONTENT[::-1])
            if emulator.kind == "s3":
                with pytest.raises(SourceChangedError):
                    reader.file.read(10)


def test_an_object_removed_in_mid_read_is_not_found(emulator: Emulator, uri: str) -> None:
    """A read of what has gone says which file it was."""
    with opened(uri, emulator.endpoint_url) as source:
        (file,) = listed(source)
        emulator.break_next(404)
        with (
            source.open(file) as reader,
            pytest.raises(SourceNotFoundError, match=r"a\.parquet does not exist"),
        ):
            reader.file.read()


def test_a_senseless_answer_is_unreachable(emulator: Emulator, uri: str) -> None:
    """A status that no storage gives is told with its number."""
    emulator.break_next(418, times=100)
    with pytest.raises(StorageUnreachableError, match="418"), opened(uri, emulator.endpoint_url) as source:
        listed(source)


def test_a_hanging_storage_does_not_delay_the_exit(emulator: Emulator, hanging: str) -> None:
    """A process whose storage hangs, in a request and in a read's thread, ends at once."""
    program = f"""
import threading
from service.domain.source_uri import SourceUri
from service.sources.opening import open_source
from service.sources.parquet.file_kind import PARQUET
from service.sources.source import StorageAccess
source = open_source(SourceUri.parse("{emulator.kind}://bucket/a"), StorageAccess(
    gcs_token="anon", gcs_endpoint_url="{hanging}", s3_endpoint_url="{hanging}", timeout_s=60))
began = threading.Event()
def work():
    began.set()
    source.files(PARQUET, threading.Event())
threading.Thread(target=work, daemon=True).start()
began.wait()
source._loop.submit(__import__("asyncio").to_thread(threading.Event().wait))
"""
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert time.monotonic() - began < LIMIT_S + SLACK_S


def test_a_source_that_is_closed_gives_up_its_reads(emulator: Emulator, uri: str) -> None:
    """A run that is stopped closes its source: reads that wait end at once, later ones do not begin."""
    with opened(uri, emulator.endpoint_url, timeout_s=60) as source:
        (file,) = listed(source)
        emulator.break_next(Fault.HANG, times=100)
        reader = source.open(file)
        reader.prefetch([(0, 1000)])
    for _ in range(2):
        with pytest.raises(StorageUnreachableError, match="was closed"):
            reader.read_range(0, 1000)  # type: ignore[attr-defined] # of the object reader
        reader.close()


def no_credentials(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Take away every place where credentials could be found."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "GOOGLE_APPLICATION_CREDENTIALS",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(home))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(home / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(home / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")


def test_no_credentials_at_all_is_a_refusal(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A service without credentials says so, and what to set."""
    no_credentials(monkeypatch, tmp_path)
    with (
        pytest.raises(StorageAccessRefusedError, match=r"GCS_TOKEN|S3_ANON"),
        opened(f"{emulator.kind}://bucket/a", emulator.endpoint_url, token=None) as source,
    ):
        listed(source)


def test_a_metadata_server_that_hangs_is_given_up_in_time(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, hanging: str
) -> None:
    """The search for Google's credentials ends with the time limit too."""
    no_credentials(monkeypatch, tmp_path)
    monkeypatch.delenv("NO_GCE_CHECK")
    monkeypatch.setenv("GCE_METADATA_HOST", hanging.removeprefix("http://"))
    monkeypatch.setenv("GCE_METADATA_IP", hanging.removeprefix("http://"))
    began = time.monotonic()
    with (
        pytest.raises(RiskAlertsError, match="no answer within"),
        opened("gs://bucket/a", hanging, token=None, timeout_s=LIMIT_S) as source,
    ):
        listed(source)
    assert time.monotonic() - began < LIMIT_S + SLACK_S


@pytest.mark.parametrize(
    "token", [f"/no/such/{CANARY}.json", f'{{"private_key": "{CANARY}"', json.dumps({"client_id": CANARY})]
)
def test_a_token_of_no_use_is_refused_and_not_repeated(token: str, hanging: str) -> None:
    """A bad GCS_TOKEN is told as such, without its content."""
    access = StorageAccess(gcs_token=token, gcs_endpoint_url=hanging, timeout_s=5)
    assert CANARY not in repr(access)
    with (
        pytest.raises(StorageAccessRefusedError) as refusal,
        opened("gs://bucket/a", hanging, token=token) as source,
    ):
        listed(source)
    assert CANARY not in str(refusal.value)
