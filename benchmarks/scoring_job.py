"""One bulk job from a file into a new SQLite ledger: `python -m benchmarks.scoring_job FILE LEDGER`."""

import asyncio
import sys
from pathlib import Path

from benchmarks.without_pandas import hide_pandas
from service.domain.default_risk.job import JobRequest, RowOutcome
from service.domain.default_risk.prediction_kind import PredictionKind
from service.jobs.execute import execute_job
from service.jobs.keep_working import take_job
from service.settings import Settings
from service.wiring import open_app


async def work(file: Path, ledger: Path) -> None:
    """Do the job and print how many rows were scored."""
    settings = Settings(_env_file=None, database_url=f"sqlite:///{ledger}", log_level="ERROR")
    async with open_app(settings) as app:
        predictor = await app.predictor()
        kind = PredictionKind.ANNUAL
        request = JobRequest(
            kind=kind,
            organization_id=None,
            file_name=file.name,
            source_uri=file.as_uri(),
            sheet=None,
            units=None,
            prior=predictor.model(kind).prior,
            thresholds=settings.risk_thresholds,
        )
        job = await app.store.default_risk.jobs.create(request, predictor.record(kind), [])
        claimed = await take_job(app)
        if claimed is None:
            raise RuntimeError("nobody else takes jobs here")
        await execute_job(app, claimed)
        done = await app.store.default_risk.jobs.get(job.id)
    print(done.rows[RowOutcome.SCORED])


if __name__ == "__main__":
    hide_pandas()
    asyncio.run(work(Path(sys.argv[1]), Path(sys.argv[2])))
