"""The evaluate flow: source → record batches → month window → rules → alerts.

Two walks over parts of the source: all columns of the row groups that may hold the target month, which give
the candidates, and the keys alone of those of earlier months.
"""

import threading
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

import numpy as np

from service.account_risk.account_at_risk import AccountAtRisk, Criteria
from service.account_risk.alerting import conditions, near_miss_warnings, select
from service.account_risk.engine import Engine, LocalEngine
from service.account_risk.folding.fold import Fold
from service.account_risk.options import EvaluationOptions
from service.account_risk.row_ledger import InvalidRow, MonthlyRows
from service.account_risk.scan_plan import ScanPlan, plan_scan
from service.account_risk.schema import ACCOUNT_ROWS, MONTH
from service.domain.errors import MonthNotInSourceError
from service.domain.evaluation import Evaluation
from service.domain.month import Month
from service.domain.progress import Phase, Progress
from service.runtime.daemon_thread import run_in_daemon_thread, run_until_stopped
from service.runtime.room import Room, Turn
from service.sources.parquet.batch import Batch
from service.sources.parquet.columns import days, valid
from service.sources.parquet.footer import RowGroup
from service.sources.parquet.scan import Scan
from service.sources.parquet.text import identifiers
from service.sources.source import Source

MonthEvaluation: TypeAlias = Evaluation[AccountAtRisk, MonthlyRows]


async def evaluate(
    source: Source,
    criteria: Criteria,
    *,
    options: EvaluationOptions,
    progress: Progress,
    turn: Turn | None = None,
    watched: Collection[str] = (),
) -> MonthEvaluation:
    """Answer which accounts are At Risk in the month, since when, and what became of every row.

    Of the accounts that are `watched` it is answered too what they are in the month where they do not alert.

    Reads in daemon threads, so that the event loop goes on, and waits there for its `turn` once it is known
    what is read. When cancelled it returns after its threads have ended: they see it before their next batch.
    Raises SourceError.
    """
    stop = threading.Event()
    scan = Scan(source, ACCOUNT_ROWS, threads=options.threads, stop=stop)
    turn = turn or Turn(Room())
    asked = scan, criteria, options, progress, stop, turn, tuple(watched)
    return await run_until_stopped(stop, source.close, _pinned, *asked)


async def plan(source: Source, criteria: Criteria, *, options: EvaluationOptions) -> ScanPlan:
    """Answer what an evaluation would read, from the footers alone; raises SourceError."""
    stop = threading.Event()
    try:
        scan = Scan(source, ACCOUNT_ROWS, threads=options.threads, stop=stop)
        return await run_in_daemon_thread(_plan, scan, criteria, options)
    finally:
        stop.set()


def _plan(scan: Scan, criteria: Criteria, options: EvaluationOptions) -> ScanPlan:
    return plan_scan(scan.footers(), criteria, threads=options.threads)


def _pinned(
    scan: Scan,
    criteria: Criteria,
    options: EvaluationOptions,
    progress: Progress,
    stop: threading.Event,
    turn: Turn,
    watched: Sequence[str],
) -> MonthEvaluation:
    with scan.pinned():
        progress.phase = Phase.PLANNING
        plan = _plan(scan, criteria, options)
        progress.phase = Phase.WAITING
        with turn.taken(stop):
            return _evaluate(scan, plan, criteria, options, progress, stop, watched)


def _evaluate(
    scan: Scan,
    plan: ScanPlan,
    criteria: Criteria,
    options: EvaluationOptions,
    progress: Progress,
    stop: threading.Event,
    watched: Sequence[str],
) -> MonthEvaluation:
    progress.row_groups_total = len(plan.with_target) + len(plan.before_target)
    progress.rows_total = plan.rows - plan.rows_skipped
    progress.phase = Phase.SCANNING
    counting = threading.Lock()

    def on_groups(groups: Iterable[RowGroup]) -> None:
        with counting:
            for group in groups:
                progress.row_groups_done += 1
                progress.rows_done += group.rows

    fold = Fold(plan, memory_limit_mb=options.memory_limit_mb, watched=watched)
    with _engine(scan, plan, options, stop) as engine:
        account_months = engine.fold(fold, on_groups)
    if not fold.validator.tally.of_target_month:
        raise _month_not_in_source(scan, plan, criteria, fold.validator.tally.invalid)
    at_risk, durations = fold.at_risk()
    selected = select(at_risk, durations, criteria)
    rows = fold.ledger(selected, account_months)
    # Row groups that were read for some of their rows hold others outside the window: the ledger has its own
    # line for those, and whoever watched must not see two numbers.
    progress.rows_done = progress.rows_total = rows.rows_scanned
    return Evaluation(
        criteria=criteria.values(),
        alerts=selected.alerts,
        rows=rows,
        warnings=(*near_miss_warnings(fold.nearly_at_risk, identifiers(at_risk["id"])), *selected.warnings),
        invalid_samples=fold.validator.samples,
        plan=plan.summary(),
        source_versions=scan.versions,
        conditions=conditions(watched, fold.watched_seen(), at_risk, selected),
    )


def _engine(
    scan: Scan, plan: ScanPlan, options: EvaluationOptions, stop: threading.Event
) -> AbstractContextManager[Engine]:
    if options.cluster is None:
        return nullcontext(LocalEngine(scan, plan))
    from service.account_risk.dask.engine import dask_engine  # noqa: PLC0415  # few have a cluster

    return dask_engine(scan, plan, options, stop)


def _month_not_in_source(
    scan: Scan, plan: ScanPlan, criteria: Criteria, invalid: Counter[InvalidRow]
) -> MonthNotInSourceError:
    """Look at every month there is, also in row groups that were skipped, to say which there are."""
    found: list[int] = []

    def on_batch(batch: Batch) -> None:
        month = batch.columns.column(MONTH)
        present = valid(month)
        known = days(month) if present is None else days(month)[present]
        if known.size:
            found.extend((int(known.min()), int(known.max())))

    scan.read((*plan.with_target, *plan.before_target, *plan.skipped), [MONTH], on_batch)
    if not found:
        return MonthNotInSourceError(
            f"no row of {criteria.month} in the source, which has no row with a month"
        )
    first, last = (
        Month(int(np.datetime64(day, "D").astype("M8[M]").astype(np.int64)) + 1970 * 12)
        for day in (min(found), max(found))
    )
    reasons = ", ".join(f"{reason} ({invalid[reason]})" for reason in InvalidRow if invalid[reason])
    why = f"; {invalid.total()} rows are invalid: {reasons}" if reasons else ""
    return MonthNotInSourceError(
        f"no usable row of {criteria.month} in the source, which has months from {first} to {last}{why}"
    )
