"""The evaluate flow: source → record batches → month window → rules → alerts.

Three walks over parts of the source, each as narrow as can be: the keys of the row groups that may hold the
target month, which tell the candidates; the keys of earlier months; and the attributes, only of row groups
with a row that counts.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from service.account_risk.alerting import judge, near_miss_warnings
from service.account_risk.attributes import Attributes
from service.account_risk.candidate_rows import Contenders
from service.account_risk.dask_engine import Cluster, connected
from service.account_risk.fold import Fold
from service.account_risk.scan_plan import ScanPlan, plan_scan
from service.domain.alert import Criteria
from service.domain.errors import MonthNotInSourceError
from service.domain.evaluation import Evaluation
from service.domain.month import Month
from service.domain.progress import Phase, Progress
from service.runtime.daemon_thread import run_in_daemon_thread
from service.sources.parquet.batch import Batch
from service.sources.parquet.columns import ATTRIBUTES, KEYS, MONTH, days, valid
from service.sources.parquet.footer import RowGroup
from service.sources.parquet.scan import Scan, ScanOptions
from service.sources.source import Source


async def evaluate(
    source: Source, criteria: Criteria, *, options: ScanOptions, progress: Progress
) -> Evaluation:
    """Answer which accounts are At Risk in the month, since when, and what became of every row.

    Reads in daemon threads, so that the event loop goes on. Raises SourceError.
    """
    stop = threading.Event()
    scan = Scan(source, threads=options.threads, stop=stop)
    try:
        return await run_in_daemon_thread(_pinned, scan, criteria, options, progress, stop)
    finally:
        # Cancelled: the threads see it before their next batch.
        stop.set()


async def plan(source: Source, criteria: Criteria, *, options: ScanOptions) -> ScanPlan:
    """Answer what an evaluation would read, from the footers alone; raises SourceError."""
    stop = threading.Event()
    try:
        return await run_in_daemon_thread(
            _plan, Scan(source, threads=options.threads, stop=stop), criteria, options
        )
    finally:
        stop.set()


def _plan(scan: Scan, criteria: Criteria, options: ScanOptions) -> ScanPlan:
    return plan_scan(scan.footers(), criteria, threads=options.threads)


def _pinned(
    scan: Scan, criteria: Criteria, options: ScanOptions, progress: Progress, stop: threading.Event
) -> Evaluation:
    with scan.pinned():
        return _evaluate(scan, criteria, options, progress, stop)


def _evaluate(
    scan: Scan, criteria: Criteria, options: ScanOptions, progress: Progress, stop: threading.Event
) -> Evaluation:
    progress.phase = Phase.PLANNING
    plan = _plan(scan, criteria, options)
    progress.row_groups_total = len(plan.with_target) + len(plan.before_target)
    progress.rows_total = plan.rows - plan.rows_skipped
    progress.phase = Phase.SCANNING
    counting = threading.Lock()

    def on_groups(groups: Iterable[RowGroup]) -> None:
        with counting:
            for group in groups:
                progress.row_groups_done += 1
                progress.rows_done += group.rows

    fold = Fold(plan, memory_limit_mb=options.memory_limit_mb)
    with _engine(scan, plan, options, stop) as engine:
        account_months = engine.fold(fold, on_groups)
        if not fold.judge.tally.of_target_month:
            raise _month_not_in_source(scan, plan, criteria)
        still_at_risk = fold.contenders()
        contenders, durations = still_at_risk.by_row_group(), fold.streaks(still_at_risk.accounts)
        del still_at_risk
        groups = [group for group in plan.with_target if (group.file, group.index) in contenders]
        progress.row_groups_total += len(groups)
        progress.rows_total += sum(group.rows for group in groups)
        at_risk = engine.attributes(groups, contenders, on_groups)
    judged = judge(Attributes.joined(at_risk), durations, criteria)
    return Evaluation(
        criteria=criteria,
        alerts=judged.alerts,
        rows=fold.ledger(judged, account_months),
        warnings=(*near_miss_warnings(fold.nearly_at_risk, fold.candidate_ids()), *judged.warnings),
        invalid_samples=fold.judge.samples,
        plan=plan.summary(),
        source_versions=scan.versions,
    )


class LocalEngine:
    """This process at work on one evaluation; a cluster can stand in its place."""

    def __init__(self, scan: Scan, plan: ScanPlan) -> None:
        self._scan = scan
        self._plan = plan

    def fold(self, fold: Fold, on_groups: Callable[[Iterable[RowGroup]], None]) -> int:
        """Fill `fold` with what all row groups say; returns the number of all cells seen."""
        self._scan.read(self._plan.with_target, KEYS, fold.target_batch, lambda group: on_groups((group,)))
        fold.forget_all_but_candidates()

        def on_earlier(group: RowGroup) -> None:
            fold.finished(group)
            on_groups((group,))

        self._scan.read(self._plan.before_target, KEYS, fold.earlier_batch, on_earlier)
        return fold.window.account_months()

    def attributes(
        self,
        groups: Sequence[RowGroup],
        contenders: dict[tuple[int, int], Contenders],
        on_groups: Callable[[Iterable[RowGroup]], None],
    ) -> list[Attributes]:
        """Read the attributes of the contenders in these row groups."""
        found: list[Attributes] = []
        threshold = self._plan.criteria.arr_threshold
        self._scan.read(
            groups,
            ATTRIBUTES,
            lambda batch: found.append(Attributes.of_batch(batch, contenders, threshold)),
            lambda group: on_groups((group,)),
        )
        return found


@contextmanager
def _engine(
    scan: Scan, plan: ScanPlan, options: ScanOptions, stop: threading.Event
) -> Iterator["LocalEngine | Cluster"]:
    if options.cluster is None:
        yield LocalEngine(scan, plan)
        return
    with connected(options.cluster) as client:
        yield Cluster(client, scan, plan, options, stop)


def _month_not_in_source(scan: Scan, plan: ScanPlan, criteria: Criteria) -> MonthNotInSourceError:
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
    return MonthNotInSourceError(
        f"no usable row of {criteria.month} in the source, which has months from {first} to {last}"
    )
