"""Bulk over HTTP: a file is taken, scored in the background, and every row is accounted for."""

import io
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.api.v1.jobs.schemas import JobOut, JobProgressOut
from service.jobs import execute
from service.wiring import open_app
from tests.support.companies import HEALTHY, csv_bytes, xlsx_bytes
from tests.support.jobs import rows_of
from tests.support.served import RunningService, running_service, settings
from tests.support.waiting import wait_until

BULK: Final = "/api/v1/predictions/annual/bulk"
LIMIT_MB: Final = 1
ABSENT: Final = "000643f1c9b5d0a81f3a9c1e5b7d2f40"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the service may read."""
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[RunningService]:
    """Serve the API with its worker, for all questions here."""
    given = settings(
        folder,
        upload_limit_mb=LIMIT_MB,
        allowed_sources=((folder / "sources").as_uri(),),
        limit_changes="100000/minute",
    )
    with running_service(given, opened=partial(open_app, resumes=True)) as running:
        yield running


def sent(service: RunningService, content: bytes, name: str = "companies.csv", **fields: str) -> Any:
    """Upload a file and return the job."""
    response = service.client.post(BULK, files={"file": (name, content)}, data=fields)
    assert response.status_code == 202, response.text
    return response.json()["data"]


def ended(service: RunningService, job: Any) -> Any:
    """Return a job once it has ended."""

    def look() -> Any:
        found = service.get(f"/api/v1/jobs/{job['id']}")["data"]
        return found if found["finished_at"] else None

    return wait_until(look, what="the job ends")


def refused(response: httpx2.Response) -> tuple[int, str, str]:
    """Return status, code and message of a refusal."""
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


def test_an_upload_becomes_predictions(service: RunningService) -> None:
    """From the file to a prediction with its reasons, the list of rows, and CSV for a spreadsheet."""
    rows = [*rows_of(3), rows_of(1)[0], HEALTHY | {"company_symbol": "=BAD", "reporting_year": "soon"}]
    job = sent(service, csv_bytes(rows), name="C:\\exports\\companies.csv")
    assert (job["file_name"], job["kind"], job["created_by"]) == ("companies.csv", "annual", "anonymous")
    assert job["refused_kept"] == 100_000
    done = ended(service, job)
    assert (done["status"], done["error"], done["progress"]) == ("succeeded", None, None)
    assert done["rows"] == {"total": 5, "done": 5, "scored": 3, "abstained": 0, "duplicate": 1, "invalid": 1}
    first = service.get(f"/api/v1/jobs/{job['id']}/results", limit=2)["data"]
    rest = service.get(f"/api/v1/jobs/{job['id']}/results", cursor=first["next_cursor"])["data"]
    found = first["rows"] + rest["rows"]
    assert [(row["row"], row["outcome"]) for row in found] == [
        *((number, "scored") for number in (2, 3, 4)),
        *((5, "duplicate"), (6, "invalid")),
    ]
    prediction = service.get(f"/api/v1/predictions/annual/{found[0]['prediction_id']}")["data"]
    assert prediction["company_symbol"] == found[0]["company_symbol"] == "C0"
    assert prediction["exact_probability"] == found[0]["probability"]
    assert len(prediction["reasons"]) == 4
    csv = service.client.get(
        f"/api/v1/jobs/{job['id']}/results", headers={"Accept": "text/csv"}, params={"outcome": "invalid"}
    )
    assert csv.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert csv.text.splitlines()[1:] == ["6,invalid,'=BAD,reporting_year must be 1900 to 2100,,,,,"]


def test_every_format_gives_the_same_scores(service: RunningService, folder: Path) -> None:
    """CSV, XLSX and Parquet, uploaded, or named by a URI in a form or in JSON."""
    rows = [row | {"company_symbol": f"{row['company_symbol']}-same"} for row in rows_of(2)]
    cells: list[list[Any]] = [list(rows[0]), *([_number(cell) for cell in row.values()] for row in rows)]
    table = pa.table({name: pa.array([_number(row[name]) for row in rows]) for name in rows[0]})
    (folder / "sources").mkdir(exist_ok=True)
    pq.write_table(table, folder / "sources" / "companies.parquet")
    parquet = (folder / "sources" / "companies.parquet").read_bytes()
    uri = (folder / "sources" / "companies.parquet").as_uri()
    jobs = [
        sent(service, csv_bytes(rows)),
        sent(service, xlsx_bytes(cells), name="companies.xlsx", sheet="Companies"),
        sent(service, parquet, name="companies.parquet"),
        service.client.post(BULK, json={"source_uri": uri}).json()["data"],
        service.client.post(BULK, files={"source_uri": (None, uri)}).json()["data"],
    ]
    counts = [ended(service, job)["rows"] for job in jobs]
    assert [(each["scored"], each["duplicate"]) for each in counts] == [(2, 0), *[(0, 2)] * 4]


def test_a_bad_file_is_a_failed_job_with_one_clear_error(
    service: RunningService, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in it: nothing was scored, and the sentence says what to do."""
    monkeypatch.setattr(execute, "MOST_ROWS", 1000)
    good = csv_bytes(rows_of(1))
    corner = io.BytesIO()
    with zipfile.ZipFile(corner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", '<c r="A1"/><c r="XFD1048576"/>')
    fractions = [row | dict.fromkeys(list(HEALTHY)[3:], "0.1") for row in rows_of(12)]
    many = pa.table({name: pa.array([value] * 1001) for name, value in HEALTHY.items()})
    large = io.BytesIO()
    pq.write_table(many, large)
    files = {
        "is called .xlsx, but its content is not": sent(service, good, name="a.xlsx"),
        "is called .csv, but its content is not": sent(service, large.getvalue(), name="a.csv"),
        "there is no sheet 'Other'; it has Companies": sent(
            service, xlsx_bytes([["a"], [1]]), name="a.xlsx", sheet="Other"
        ),
        "has no sheets: only XLSX has": sent(service, good, sheet="Other"),
        "columns missing: reporting_year": sent(service, b"company_symbol,colour\r\nACME,red\r\n"),
        "not known: colour": sent(service, good.replace(b"company_name", b"colour")),
        "its first line, which must name the columns, is empty": sent(service, b""),
        "has no rows": sent(service, good.splitlines(keepends=True)[0]),
        "all its percentages lie within ±1": sent(service, csv_bytes(fractions)),
        "reaches to row 1,048,576 and column 16,384": sent(service, corner.getvalue(), name="a.xlsx"),
        "has 1,001 rows, and 1,000 are the most: split it": sent(service, large.getvalue(), name="a.parquet"),
        "its footer makes no sense": sent(service, b"PAR1" + bytes(200) + b"PAR1", name="a.parquet"),
        "more than one column is called so": sent(service, b"company_symbol,company_symbol\r\nA,B\r\n"),
    }
    for said, job in files.items():
        done = ended(service, job)
        assert done["status"] == "failed", said
        assert said in done["error"]["detail"]
        assert done["rows"]["done"] == 0
    confirmed = sent(service, csv_bytes(fractions), units="percent")
    assert ended(service, confirmed)["status"] == "succeeded"


def test_what_is_no_upload_is_refused_at_once(service: RunningService) -> None:
    """No job is made of it."""
    post, count = service.client.post, len(service.get("/api/v1/jobs")["data"]["jobs"])
    both: Any = {"file": ("a.csv", b"x"), "source_uri": (None, "file:///a.csv")}
    assert refused(post(BULK, files=both))[:2] == (422, "VALIDATION_ERROR")
    assert refused(post(BULK, json={}))[:2] == (422, "VALIDATION_ERROR")
    assert refused(post(BULK, json=["a"]))[:2] == (422, "VALIDATION_ERROR")
    assert refused(post(BULK, files={"other": ("a.csv", b"x")}))[:2] == (422, "VALIDATION_ERROR")
    assert refused(post(BULK, files={"file": (None, "text")}))[:2] == (422, "VALIDATION_ERROR")
    assert refused(post(BULK, files={"file": ("a.csv", b"x")}, data={"units": "per mille"}))[:2] == (
        422,
        "VALIDATION_ERROR",
    )
    assert refused(post(BULK, content=b"x", headers={"Content-Type": "multipart/form-data"}))[0] == 422
    assert refused(post(BULK, content=b"x", headers={"Content-Type": "text/csv"}))[0] == 415
    large = bytes(LIMIT_MB * 1_000_000 + 100_000)
    assert refused(post(BULK, files={"file": ("a.csv", large)})) == (
        413,
        "BODY_TOO_LARGE",
        "the body is larger than UPLOAD_LIMIT_MB=1",
    )
    assert refused(post(BULK, content=iter([_BEGIN, large]), headers=_FORM))[0] == 413
    assert refused(post(BULK, json={"source_uri": "file:///etc/passwd"}))[:2] == (403, "SOURCE_NOT_ALLOWED")
    assert refused(post(BULK, json={"source_uri": "ftp://x"}))[:2] == (422, "BAD_SOURCE_URI")
    assert refused(post(BULK, files={"file": ("a.csv", b"x")}, headers={"Origin": "https://evil"}))[0] == 403
    assert refused(post("/api/v1/predictions/monthly/bulk", json={"source_uri": "file:///a"}))[0] == 422
    assert len(service.get("/api/v1/jobs")["data"]["jobs"]) == count


def test_an_upload_is_as_large_as_the_setting_says(tmp_path: Path) -> None:
    """Up to `UPLOAD_LIMIT_MB`, far more than other bodies may have, whether it says its length or not."""
    content = csv_bytes(rows_of(1)) + b"\n" * 2_900_000
    with running_service(settings(tmp_path, upload_limit_mb=3)) as running:
        assert sent(running, content)["id"]
        parts = iter([_BEGIN, content[:1_500_000], content[1_500_000:], b"\r\n--x--\r\n"])
        assert running.client.post(BULK, content=parts, headers=_FORM).status_code == 202
        assert refused(running.client.post(BULK, files={"file": ("a.csv", content * 2)}))[0] == 413


def test_a_job_is_followed_to_its_end(service: RunningService) -> None:
    """Its events are those that runs have; after its end there is one."""
    job = sent(service, csv_bytes(rows_of(40)))
    with service.client.stream("GET", f"/api/v1/jobs/{job['id']}/events") as stream:
        text = "".join(stream.iter_text())
    events = [
        dict(line.split(": ", 1) for line in event.splitlines()) for event in text.split("\n\n") if event
    ]
    assert {each["event"] for each in events[:-1]} <= {"progress"}
    for each in events[:-1]:
        JobProgressOut.model_validate_json(each["data"])
    assert events[-1]["event"] == "job"
    assert JobOut.model_validate_json(events[-1]["data"]).status == "succeeded"


def test_jobs_are_listed_and_cancelled(service: RunningService) -> None:
    """Newest first, page by page; one that has ended cannot be cancelled, and an unknown one is absent."""
    job = ended(service, sent(service, csv_bytes(rows_of(1))))
    jobs = service.get("/api/v1/jobs", limit=1)["data"]
    assert [each["id"] for each in jobs["jobs"]] == [job["id"]]
    older = service.get("/api/v1/jobs", cursor=jobs["next_cursor"])["data"]["jobs"]
    assert all(each["id"] < job["id"] for each in older)
    assert service.get("/api/v1/jobs", status="running")["data"]["jobs"] == []
    again = service.client.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert refused(again)[:2] == (409, "JOB_FINISHED")
    for path in ("", "/results", "/events"):
        absent = service.client.get(f"/api/v1/jobs/{ABSENT}{path}")
        assert refused(absent) == (404, "JOB_NOT_FOUND", "no job has this id")
    assert refused(service.client.post(f"/api/v1/jobs/{ABSENT}/cancel"))[0] == 404
    strange = service.client.get(f"/api/v1/jobs/{job['id']}/results", params={"cursor": "x"})
    assert refused(strange)[:2] == (422, "BAD_CURSOR")


_FORM: Final = {"Content-Type": "multipart/form-data; boundary=x"}
_BEGIN: Final = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'


def _number(text: str) -> float | str:
    return float(text) if text.replace(".", "").isdecimal() else text
