"""Jobs of a test: files of companies, uploaded to a store or through the API, and worked on by an app."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from service.domain.default_risk.job import Job, JobRequest, JobRow, RowOutcome
from service.domain.errors import RiskAlertsError
from service.jobs import execute
from service.jobs.keep_working import take_job
from service.settings import Settings
from service.store.store import Store
from service.wiring import App, open_app
from tests.support.companies import HEALTHY, csv_bytes
from tests.support.predictions import MODEL

ANNUAL: Final = MODEL.kind


def rows_of(count: int, begin: int = 0) -> list[dict[str, str]]:
    """Return rows of companies that can be scored, `C0`, `C1` and so on."""
    return [HEALTHY | {"company_symbol": f"C{number}"} for number in range(begin, begin + count)]


def a_request(file_name: str = "companies.csv", **changes: Any) -> JobRequest:
    """Ask for a file of annual statements to be scored."""
    given: dict[str, Any] = {
        "kind": ANNUAL,
        "organization_id": None,
        "file_name": file_name,
        "source_uri": None,
        "sheet": None,
        "units": None,
        "prior": 0.1,
        "thresholds": "0.2,0.5",
    }
    return JobRequest(**given | changes)


async def upload(store: Store, rows: Sequence[dict[str, Any]] | bytes, **changes: Any) -> Job:
    """Write a job down whose upload comes in parts of 64 bytes."""
    content = rows if isinstance(rows, bytes) else csv_bytes(rows)
    parts = [content[begin : begin + 64] for begin in range(0, len(content), 64)]
    return await store.default_risk.jobs.create(a_request(**changes), MODEL, parts)


@asynccontextmanager
async def opened(database_url: str, **changes: Any) -> AsyncIterator[App]:
    """Open the app of an instance that takes no job by itself."""
    async with open_app(Settings(_env_file=None, database_url=database_url, **changes)) as app:
        yield app


async def worked(app: App) -> RiskAlertsError | None:
    """Take the next job and bring it to its end; return why it failed."""
    claimed = await take_job(app)
    assert claimed is not None
    try:
        await execute.execute_job(app, claimed)
    except RiskAlertsError as error:
        return error
    return None


async def all_rows(store: Store, job_id: str) -> list[JobRow]:
    """Return what became of every row of a job."""
    return list((await store.default_risk.jobs.rows(job_id, limit=100_000)).items)


def ledger(job: Job) -> tuple[int, ...]:
    """Return how many rows were scored, abstained on, duplicates, invalid."""
    return tuple(job.rows[outcome] for outcome in RowOutcome)
