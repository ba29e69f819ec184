"""The Dask engine: the same evaluation on a cluster, for sources that one machine would take too long over.

Tasks fold row groups where they are scheduled. What they found of each account is split by the account's
fingerprint into buckets, each bucket is merged in a tree, and this process gets the candidates alone. Every
task is a pure function of the source, so a task whose worker dies is simply done again somewhere else.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import numpy as np

from service.account_risk.dask.partial_fold import Partial, merged
from service.account_risk.dask.tasks import (
    CandidateAccounts,
    Share,
    ShareReport,
    candidates_of,
    fold_earlier,
    fold_target,
    item,
    narrowed,
)
from service.account_risk.folding.fold import Fold
from service.account_risk.folding.window import MonthWindow
from service.account_risk.options import EvaluationOptions
from service.account_risk.scan_plan import ScanPlan
from service.cluster.connection import Connection, connected
from service.sources.parquet.footer import RowGroup
from service.sources.parquet.scan import Scan

_TASKS_PER_THREAD: Final = 4
_MERGED_AT_ONCE: Final = 4
_RETRIES: Final = 3


class DaskEngine:
    """A Dask cluster at work on one evaluation."""

    def __init__(
        self, connection: Connection, scan: Scan, plan: ScanPlan, options: EvaluationOptions
    ) -> None:
        if options.reopen is None:
            raise ValueError("a cluster needs to know how to open the source")
        self._connection = connection
        self._scan = scan
        self._plan = plan
        self._reopen = options.reopen
        self._memory_limit_mb = options.memory_limit_mb
        self._threads = connection.threads

    def fold(self, fold: Fold, on_groups: Callable[[Iterable[RowGroup]], None]) -> int:
        """Fill `fold` with what all row groups say of candidates; returns the number of cells seen."""
        seed, plan, cluster = fold.accounts.seed, self._plan, self._connection
        buckets = self._threads
        first = self._submit(fold_target, self._shares(plan.with_target, seed), on_groups)
        reports = cluster.gather([cluster.submit(item, one, 0) for one in first])
        candidates = _candidates(fold, reports)
        parts = [cluster.submit(narrowed, one, candidates, plan.months, buckets) for one in first]
        shares = self._shares(plan.before_target, seed)
        scattered = cluster.share(candidates) if shares else None
        later = self._submit(fold_earlier, shares, on_groups, scattered, buckets)
        for one in cluster.gather([cluster.submit(item, one, 0) for one in later]):
            _absorb(fold, one)
        parts += [cluster.submit(item, one, 1) for one in later]
        whole = [
            self._merged([cluster.submit(item, part, number) for part in parts])
            for number in range(buckets if parts else 0)
        ]
        found = cluster.gather([cluster.submit(candidates_of, bucket) for bucket in whole])
        fold.window = _window(fold, [partial for _, partial in found], plan.months)
        return sum(cells for cells, _ in found)

    def _shares(self, groups: Sequence[RowGroup], seed: int) -> list[Share]:
        count = min(len(groups), self._threads * _TASKS_PER_THREAD)
        shares = []
        for places in np.array_split(np.arange(len(groups)), count) if count else ():
            mine = tuple(groups[place] for place in places.tolist())
            files, footers = self._scan.found(mine)
            plan = replace(self._plan, with_target=mine, before_target=(), skipped=(), threads=1)
            shares.append(
                Share(
                    reopen=self._reopen,
                    files=files,
                    footers=footers,
                    groups=mine,
                    plan=plan,
                    seed=seed,
                    memory_limit_mb=self._memory_limit_mb,
                )
            )
        return shares

    def _submit(
        self,
        work: Callable[..., Any],
        shares: Sequence[Share],
        on_groups: Callable[[Iterable[RowGroup]], None],
        *arguments: Any,
    ) -> list[Any]:
        tasks = [
            (share, self._connection.submit(work, share, *arguments, retries=_RETRIES)) for share in shares
        ]
        for share, future in tasks:
            self._connection.wait(future)
            on_groups(share.groups)
        return [future for _, future in tasks]

    def _merged(self, parts: list[Any]) -> Any:
        while len(parts) > 1:
            parts = [
                self._connection.submit(merged, parts[first : first + _MERGED_AT_ONCE])
                for first in range(0, len(parts), _MERGED_AT_ONCE)
            ]
        return parts[0]


def _candidates(fold: Fold, reports: Sequence[ShareReport]) -> CandidateAccounts:
    """Give all candidates numbers, note their rows in `fold` under those, and number who is watched."""
    for one in reports:
        fold.candidates.add_table(one.candidates, fold.accounts.numbers_of(one.home, one.check))
        _absorb(fold, one)
    fold.watched_accounts()  # their cells of the target month are asked for, too
    home, check = fold.accounts.fingerprints()
    return CandidateAccounts(home=home.copy(), check=check.copy())


def _absorb(fold: Fold, report: ShareReport) -> None:
    fold.validator.tally.add(report.tally)
    fold.nearly_at_risk += report.nearly_at_risk


def _window(fold: Fold, buckets: Sequence[Partial], months: int) -> MonthWindow:
    window = MonthWindow(months)
    for bucket in buckets:
        accounts = fold.accounts.numbers_of(bucket.home, bucket.check)
        for back in range(months):
            rows = np.flatnonzero(bucket.newest[:, back])
            numbers = bucket.newest[rows, back]
            at_risk = (numbers & np.uint64(1)).astype(np.bool_)
            window.fold(accounts[rows], np.full(rows.size, back), numbers >> np.uint64(1), at_risk)
    return window


@contextmanager
def dask_engine(
    scan: Scan, plan: ScanPlan, options: EvaluationOptions, stop: threading.Event
) -> Iterator[DaskEngine]:
    """Connect to the cluster of these options; raises ClusterUnreachableError, also inside the block."""
    with connected(options.cluster or "", timeout_s=options.cluster_timeout_s, stop=stop) as connection:
        yield DaskEngine(connection, scan, plan, options)
