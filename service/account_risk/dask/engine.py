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
from service.account_risk.engine import EvaluationOptions
from service.account_risk.fold import Fold
from service.account_risk.scan_plan import ScanPlan
from service.account_risk.window import MonthWindow
from service.domain.errors import InterruptedRunError, StorageUnreachableError
from service.sources.parquet.footer import RowGroup
from service.sources.parquet.scan import Scan

_CONNECT_S: Final = 15
_LOOK_S: Final = 0.005
_TASKS_PER_THREAD: Final = 4
_MERGED_AT_ONCE: Final = 4
_RETRIES: Final = 3


class DaskEngine:
    """A Dask cluster at work on one evaluation."""

    def __init__(
        self, client: Any, scan: Scan, plan: ScanPlan, options: EvaluationOptions, stop: threading.Event
    ) -> None:
        if options.reopen is None:
            raise ValueError("a cluster needs to be told how to open the source")
        self._client = client
        self._scan = scan
        self._plan = plan
        self._options = options
        self._stop = stop
        self._threads = sum(client.nthreads().values()) or 1

    def fold(self, fold: Fold, on_groups: Callable[[Iterable[RowGroup]], None]) -> int:
        """Fill `fold` with what all row groups say of candidates; returns the number of cells seen."""
        seed, plan = fold.accounts.seed, self._plan
        buckets = self._threads
        first = self._submit(fold_target, self._shares(plan.with_target, seed), on_groups)
        reports = self._gather([self._submit_pure(item, one, 0) for one in first])
        candidates = _candidates(fold, reports)
        parts = [self._submit_pure(narrowed, one, candidates, plan.months, buckets) for one in first]
        shares = self._shares(plan.before_target, seed)
        scattered = self._client.scatter(candidates, broadcast=True) if shares else None
        later = self._submit(fold_earlier, shares, on_groups, scattered, buckets)
        for one in self._gather([self._submit_pure(item, one, 0) for one in later]):
            _absorb(fold, one)
        parts += [self._submit_pure(item, one, 1) for one in later]
        whole = [
            self._merged([self._submit_pure(item, part, number) for part in parts])
            for number in range(buckets if parts else 0)
        ]
        found = self._gather([self._submit_pure(candidates_of, bucket) for bucket in whole])
        fold.window = _window(fold, [partial for _, partial in found], plan.months)
        return sum(cells for cells, _ in found)

    def _shares(self, groups: Sequence[RowGroup], seed: int) -> list[Share]:
        count = min(len(groups), self._threads * _TASKS_PER_THREAD)
        shares = []
        for places in np.array_split(np.arange(len(groups)), count) if count else ():
            mine = tuple(groups[place] for place in places.tolist())
            files, footers = self._scan.found(mine)
            plan = replace(self._plan, with_target=mine, before_target=(), skipped=(), threads=1)
            reopen = self._options.reopen
            assert reopen is not None  # noqa: S101 - for the type checker; checked at the beginning
            shares.append(
                Share(
                    reopen=reopen,
                    files=files,
                    footers=footers,
                    groups=mine,
                    plan=plan,
                    seed=seed,
                    memory_limit_mb=self._options.memory_limit_mb,
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
            (share, self._client.submit(work, share, *arguments, retries=_RETRIES, pure=False))
            for share in shares
        ]
        for share, future in tasks:
            self._wait(future)
            on_groups(share.groups)
        return [future for _, future in tasks]

    def _submit_pure(self, function: Callable[..., Any], *arguments: Any) -> Any:
        # Not `pure` in Dask's sense, which would hash all arguments to look for an earlier result.
        return self._client.submit(function, *arguments, pure=False)

    def _wait(self, future: Any) -> None:
        # Looked at again and again, so that a stop is seen, and a worker's progress as well.
        while not future.done():
            if self._stop.wait(_LOOK_S):
                raise InterruptedRunError("the evaluation was stopped")
        if future.status == "error":
            future.result()

    def _gather(self, futures: list[Any]) -> list[Any]:
        for future in futures:
            self._wait(future)
        return list(self._client.gather(futures))

    def _merged(self, parts: list[Any]) -> Any:
        while len(parts) > 1:
            parts = [
                self._submit_pure(merged, parts[first : first + _MERGED_AT_ONCE])
                for first in range(0, len(parts), _MERGED_AT_ONCE)
            ]
        return parts[0]


def _candidates(fold: Fold, reports: Sequence[ShareReport]) -> CandidateAccounts:
    """Give all candidates numbers, and note their rows in `fold` under those."""
    for one in reports:
        fold.candidates.add_table(one.candidates, fold.accounts.numbers_of(one.home, one.check))
        _absorb(fold, one)
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
    """Connect to the cluster of these options; raises StorageUnreachableError if there is none."""
    from distributed import Client  # noqa: PLC0415 - an extra, imported where it is used

    try:
        client = Client(options.cluster, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError) as error:
        raise StorageUnreachableError(f"no Dask scheduler answers at {options.cluster}") from error
    with client:
        yield DaskEngine(client, scan, plan, options, stop)
