"""What a process does unasked, as long as it lives: sweeping, and where it serves also all the rest."""

import asyncio

from service.jobs.keep_working import keep_working
from service.runs.context import App
from service.runs.doubts.keep_reconciling import keep_reconciling
from service.runs.sweep import keep_pruning, keep_sweeping
from service.runs.waiting.keep_sending import keep_sending


async def work_unasked(app: App, *, resumes: bool) -> None:
    """Close runs whose process died, until cancelled.

    With `resumes`, also resume runs, send what waits, work on jobs, settle doubts and delete what is too old.
    """
    works = (keep_sending, keep_working, keep_reconciling, keep_pruning) if resumes else ()
    await asyncio.gather(
        keep_sweeping(app, resumes=resumes), *(work(app) for work in works), return_exceptions=True
    )
