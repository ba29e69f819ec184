"""Every error over HTTP: one shape, the right status, nothing that should not be told."""

import os
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.default_risk.model_file import shipped_model
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.errors import DatabaseUnusableError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.run import RunRecord
from service.domain.tenant import DEFAULT_TENANT
from service.settings import Settings
from service.store.database.database import Database
from service.store.history import History
from service.store.store import Store
from service.wiring import App, open_app
from tests.support.rows import MONTH, account, write_source
from tests.support.served import RunningService, logged, running_service, settings

HEALTHY: Final = {"status": "healthy", "service": "risk-alerts", "ok": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the shared service reads and writes."""
    return tmp_path_factory.mktemp("errors")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[RunningService]:
    """Return a service for the tests of this file to share; its Slack is never reached."""
    given = settings(folder, allowed_sources=(folder.as_uri(), "gs://allowed", "s3://allowed"))
    with running_service(given) as running:
        yield running


@pytest.fixture
def source(folder: Path) -> str:
    """Return a source with one alert."""
    return write_source(folder / "good.parquet", [account(1)])


def _rejected(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """Return the body of an error after checking that it has the one shape."""
    assert response.status_code == status, response.text
    body: dict[str, Any] = response.json()
    assert list(body) == ["error", "detail", "run_id"]
    assert body["error"] == code
    assert isinstance(body["detail"], str)
    assert body["detail"]
    assert "Traceback" not in response.text
    return body


@pytest.mark.parametrize(
    "month",
    [
        "2026-1-1",
        "20260101",
        "2026-W01-4",
        "2026-01-15",
        "2026-13-01",
        "",
        " 2026-01-01",
        "Now",
        20260101,
        None,
    ],
)
@pytest.mark.parametrize("path", ["/runs", "/preview"])
def test_other_spellings_of_a_month_are_refused(
    service: RunningService, source: str, path: str, month: object
) -> None:
    """A month is exactly YYYY-MM-01, current or previous; no run is recorded for anything else."""
    before = len(service.get("/runs")["runs"])
    response = service.client.post(path, json={"source_uri": source, "month": month})
    assert _rejected(response, 422, "bad_month")["run_id"] is None
    assert len(service.get("/runs")["runs"]) == before


@pytest.mark.parametrize("path", ["/runs", "/preview"])
@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"source_uri": "file:///x", "month": MONTH, "dryrun": True}, "dryrun"),
        ({"month": MONTH}, "source_uri"),
        ({"source_uri": 7, "month": MONTH}, "source_uri"),
        ({"source_uri": "file:///x", "month": MONTH, "dry_run": "yes"}, "dry_run"),
        ({"source_uri": "file:///x", "month": MONTH, "dry_run": 1}, "dry_run"),
        ({"source_uri": "file:///" + "x" * 5000, "month": MONTH}, "source_uri"),
        ([], "body"),
    ],
)
def test_a_body_that_is_not_as_declared_is_refused(
    service: RunningService, path: str, body: object, named: str
) -> None:
    """Unknown fields and wrong types are named, and their values are not repeated."""
    answer = _rejected(service.client.post(path, json=body), 422, "invalid_request")
    assert named in answer["detail"]
    assert "xxxx" not in answer["detail"]


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        *((content, 422, "invalid_request") for content in (b"", b"{", b"no", b'{"source_uri": "\xff"}')),
        (b" " * 100_000, 413, "body_too_large"),
        ([b" " * 10_000] * 10, 413, "body_too_large"),  # of a length that is not said beforehand
    ],
)
def test_malformed_json_and_huge_bodies_are_refused_in_the_same_shape(
    service: RunningService, content: bytes | list[bytes], status: int, code: str
) -> None:
    """A body that is no JSON is answered as one that is wrong; of one that is too large no more is read."""
    response = service.client.post("/runs", content=content, headers={"Content-Type": "application/json"})
    _rejected(response, status, code)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/runs", "GET, POST"),
        ("PUT", "/runs/x", "GET"),
        ("GET", "/runs/x/cancel", "POST"),
        ("GET", "/preview", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("PATCH", "/runs/x/alerts", "GET"),
        ("POST", "/alerts/x", "GET"),
    ],
)
def test_a_method_that_is_not_there_is_answered_with_those_that_are(
    service: RunningService, method: str, path: str, allowed: str
) -> None:
    """All of them, wherever in the code each is declared."""
    response = service.client.request(method, path)
    _rejected(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        *(("/nothing", 404, "not_found"), ("/runs/", 404, "not_found")),
        *((f"/runs/none{rest}", 404, "run_not_found") for rest in ("", "/alerts", "/events")),
        *((f"/runs?limit={limit}", 422, "invalid_request") for limit in ("0", "501", "x")),
        *((f"/runs?{query}", 422, "invalid_request") for query in ("status=done", "mouth=2026-01-01")),
        *((f"/runs?cursor={cursor}", 422, "bad_cursor") for cursor in ("x", "e30", "%00", "A" * 400)),
    ],
)
def test_a_wrong_question_is_refused(service: RunningService, path: str, status: int, code: str) -> None:
    """What is not there, also where it would have been a stream; a misspelled filter does not list all."""
    assert _rejected(service.client.get(path), status, code)["run_id"] is None


@pytest.mark.parametrize(
    ("uri", "status", "code"),
    [
        *((uri, 422, "bad_source_uri") for uri in ("ftp://h/x.parquet", "/absolute/path", "file://x", "")),
        ("s3://key:secret@bucket/file.parquet", 422, "bad_source_uri"),
        ("https://example.com/a.parquet?X-Amz-Signature=canarysecret", 422, "bad_source_uri"),
        *((uri, 403, "source_not_allowed") for uri in ("file:///etc/passwd", "s3://other/file.parquet")),
    ],
)
def test_a_source_that_cannot_or_may_not_be_read_is_refused(
    service: RunningService, uri: str, status: int, code: str
) -> None:
    """`ALLOWED_SOURCES` is a fence; nothing is recorded, and no credential is repeated."""
    response = service.client.post("/runs", json={"source_uri": uri, "month": MONTH})
    answer = _rejected(response, status, code)
    assert answer["run_id"] is None
    assert "secret" not in answer["detail"].replace("credentials", "")


@pytest.mark.parametrize("name", [b"\xff\xfe.parquet", b"a\nb.parquet", b"\x1b]0;title\x07.parquet"])
def test_a_file_with_an_odd_name_is_reported_harmlessly(
    service: RunningService, folder: Path, name: bytes
) -> None:
    """Broken UTF-8 is no error of this service's, and no control character comes through."""
    odd = folder / name.hex()
    odd.mkdir(exist_ok=True)
    Path(os.fsdecode(os.fsencode(odd) + b"/" + name)).write_bytes(b"no Parquet")
    answer = _rejected(
        service.client.post("/preview", json={"source_uri": odd.as_uri(), "month": MONTH}),
        422,
        "source_not_parquet",
    )
    assert answer["detail"].isprintable()
    assert ".parquet" in answer["detail"]


def _truncated(path: Path) -> None:
    write_source(path, [account(1)])
    path.write_bytes(path.read_bytes()[:-20])


def _wrong_columns(path: Path) -> None:
    pq.write_table(pa.table({"account_id": ["a"], "arr": ["much"], "status": [3]}), path)


def _other_month(path: Path) -> None:
    write_source(path, [account(1, month="2024-01-01")])


@pytest.mark.parametrize(
    ("write", "status", "code", "named"),
    [
        (lambda _: None, 404, "source_not_found", ""),
        (lambda path: path.write_bytes(b""), 422, "source_not_parquet", ""),
        (lambda path: path.write_text("a,b\n1,2\n"), 422, "source_not_parquet", ""),
        (_truncated, 422, "source_not_parquet", ""),
        (_wrong_columns, 422, "schema_mismatch", "updated_at"),
        (_other_month, 422, "month_not_in_source", "2024-01-01"),
    ],
)
def test_a_source_that_cannot_be_used_is_a_recorded_failure(
    service: RunningService, folder: Path, write: Any, status: int, code: str, named: str
) -> None:
    """The answer names the failed run, and the run tells the same."""
    path = folder / f"{code}.parquet"
    write(path)
    body = {"source_uri": path.as_uri(), "month": MONTH}
    answer = _rejected(service.client.post("/runs", json=body), status, code)
    assert named in answer["detail"]
    run = service.get(f"/runs/{answer['run_id']}")
    assert (run["status"], run["error"]) == ("failed", {"code": code, "detail": answer["detail"]})
    assert run["finished_at"] is not None
    assert _rejected(service.client.post("/preview", json=body), status, code)["run_id"] is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"slack_webhook_base_url": None}, "slack_not_configured"),
        ({"region_channels": {}}, "routing_not_configured"),
        ({"k_service": "risk-alerts"}, "database_not_durable"),
        ({"ecs_container_metadata_uri_v4": "http://169.254.170.2/v4/x"}, "database_not_durable"),
        ({"aws_lambda_function_name": "risk-alerts"}, "database_not_durable"),
    ],
)
def test_a_service_that_cannot_deliver_refuses_real_runs(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    """Before anything is read; a preview works without Slack and on any database."""
    body = {"source_uri": write_source(tmp_path / "a.parquet", [account(1)]), "month": MONTH}
    with running_service(settings(tmp_path, **changes)) as service:
        assert _rejected(service.client.post("/runs", json=body), 503, code)["run_id"] is None
        assert service.get("/runs")["runs"] == []
        if code != "routing_not_configured":
            assert service.client.post("/preview", json=body).status_code == 200


class _BrokenHistory(History):
    async def get_run(self, run_id: str) -> RunRecord:
        raise RuntimeError(f"a secret that nobody foresaw, about {run_id}")


_SYSTEM: Final = (Scope.of_system(DEFAULT_TENANT), Actor.system(DEFAULT_TENANT))


class _BrokenStore(Store):
    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        super().__init__(database, scope, actor)
        self.history = _BrokenHistory(database, scope, actor)

    async def health(self) -> Literal["ok", "busy"]:
        raise DatabaseUnusableError("the database cannot be written: it is read-only")


@asynccontextmanager
async def _with_a_broken_store(settings: Settings) -> AsyncIterator[App]:
    async with open_app(settings) as app:
        yield replace(app, store=_BrokenStore(app.store._database, *_SYSTEM))


def test_what_nobody_foresaw_reveals_nothing(tmp_path: Path) -> None:
    """500 internal_error without the exception's text, which the log has once; the service goes on."""
    with logged() as lines, running_service(settings(tmp_path), opened=_with_a_broken_store) as service:
        answer = _rejected(service.client.get("/runs/x"), 500, "internal_error")
        assert "secret" not in str(answer)
        assert service.get("/runs")["runs"] == []
        [line] = [line for line in lines() if line["severity"] == "ERROR"]
    assert (line["message"], line["method"], line["path"]) == ("request_failed", "GET", "/runs/x")
    assert line["stack_trace"].startswith("Traceback")
    assert "a secret that nobody foresaw" in line["stack_trace"]


def test_probes_tell_a_living_process_from_one_that_can_work(tmp_path: Path) -> None:
    """Liveness asks nothing of the database: waiting for it gets nobody restarted. HEAD is answered too.

    A database that cannot be written is 503, so that nothing is sent here; its answer has both shapes.
    """
    with running_service(settings(tmp_path), opened=_with_a_broken_store) as service:
        assert service.get("/live") == {"status": "alive", "ok": True}
        assert [service.client.head(path).status_code for path in ("/live", "/health")] == [200, 503]
        assert service.client.head("/health").content == b""
        answer = service.client.get("/health").json()
        assert datetime.fromisoformat(answer.pop("timestamp")).tzinfo is not None
        assert answer == {
            "status": "unhealthy",
            "ok": False,
            "database": "unusable",
            "checks": {
                "database": "unusable",
                "slack": "configured",
                "routing": "configured",
                "models": "unknown",
            },
            "error": "unhealthy",
            "detail": "the database cannot be written: it is read-only",
            "run_id": None,
        }


def test_the_root_says_where_to_go(service: RunningService) -> None:
    """Whoever opens the bare address learns what answers there."""
    answer = service.get("/")
    assert answer["service"] == "risk-alerts"
    for page in (answer["docs"], answer["openapi"], answer["health"], answer["runs"]):
        assert service.client.get(page).status_code == 200


def test_the_documentation_needs_no_internet(service: RunningService) -> None:
    """The page under /docs loads its script and style from the service itself."""
    page = service.client.get("/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert loaded
    for address in loaded:
        assert address.startswith("/"), address
        assert service.client.get(address).status_code == 200
    assert service.client.get("/redoc").status_code == 404


def _healthy(service: RunningService, database: str, **parts: str) -> None:
    """Check that the answer is exactly the documented one, made just now."""
    before = datetime.now(UTC)
    answer = service.get("/health")
    assert before <= datetime.fromisoformat(answer.pop("timestamp")) <= datetime.now(UTC)
    assert answer.pop("models") == {kind: shipped_model(kind).sha256 for kind in PredictionKind}
    usual = {"database": database, "slack": "configured", "routing": "configured", "models": "ok"}
    checks = usual | parts
    assert answer == HEALTHY | {"database": database, "checks": checks}


def test_a_database_that_works_is_healthy(service: RunningService) -> None:
    """200 with exactly the documented body."""
    _healthy(service, "ok")


def test_a_service_that_cannot_send_says_so_and_is_healthy(tmp_path: Path) -> None:
    """It answers and previews: a probe that took it away would help nobody."""
    given = settings(tmp_path, slack_webhook_base_url=None, region_channels={})
    with running_service(given) as service:
        _healthy(service, "ok", slack="not_configured", routing="not_configured")


def test_a_database_that_is_busy_is_healthy(tmp_path: Path) -> None:
    """A write lock that somebody holds is no reason to kill the container."""
    with running_service(settings(tmp_path)) as service:
        other = sqlite3.connect(tmp_path / "risk_alerts.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            _healthy(service, "busy")
        finally:
            other.execute("ROLLBACK")
            other.close()
