"""The tasks of a cluster: pure functions of the source, done again elsewhere if their worker dies."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from service.account_risk.dask.partial_fold import Partial
from service.account_risk.engine import fold_target as fold_groups
from service.account_risk.engine import read_attributes
from service.account_risk.folding.fold import Fold
from service.account_risk.folding.row_validation import RowTally
from service.account_risk.scan_plan import ScanPlan
from service.account_risk.schema import ACCOUNT_ROWS
from service.sources.parquet.columns import Packed
from service.sources.parquet.footer import Footer, RowGroup
from service.sources.parquet.scan import Scan
from service.sources.source import Source, SourceFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Some row groups, and all that a worker needs to read them."""

    reopen: Callable[[], Source]
    files: dict[int, SourceFile]
    footers: dict[int, Footer]
    groups: tuple[RowGroup, ...]
    plan: ScanPlan
    """Without row groups: those are the share's own."""
    seed: int
    memory_limit_mb: int | None

    @contextmanager
    def scan(self) -> Iterator[Scan]:
        """Open the source, to read these row groups."""
        with self.reopen() as source:
            scan = Scan(source, ACCOUNT_ROWS, threads=1, stop=threading.Event())
            scan.adopt(self.files, self.footers)
            yield scan

    def fold(self) -> Fold:
        """Begin a fold that has seen nothing."""
        return Fold(self.plan, memory_limit_mb=self.memory_limit_mb, seed=self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareReport:
    """What a share says besides its cells: little, and for the driver."""

    tally: RowTally
    nearly_at_risk: int
    candidates: pa.Table
    home: Packed
    check: Packed
    """Fingerprints of their accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateAccounts:
    """Fingerprints of all accounts with an At Risk row of the target month, and of those that are watched.

    Their place is their number.
    """

    home: Packed
    check: Packed


def fold_target(share: Share) -> tuple[ShareReport, Partial]:
    """Fold row groups that may hold the target month: any account may turn out a candidate."""
    fold = share.fold()
    with share.scan() as scan:
        fold_groups(scan, share.groups, fold, lambda _: None)
        read_attributes(scan, share.groups, fold)
    everyone = np.arange(fold.accounts.count)
    return _report(fold), Partial.of(fold.window, fold.accounts, everyone, fold.window.months)


def fold_earlier(
    share: Share, candidates: CandidateAccounts, buckets: int
) -> tuple[ShareReport, list[Partial]]:
    """Fold row groups of earlier months, for candidates alone, into buckets."""
    fold = share.fold()
    tracked = fold.accounts.numbers_of(candidates.home, candidates.check)
    fold.window.track_only(np.sort(tracked), share.plan.months)
    with share.scan() as scan:
        scan.read(share.groups, ACCOUNT_ROWS.keys, fold.earlier_batch)
    partial = Partial.of(fold.window, fold.accounts, tracked, share.plan.months)
    return _report(fold), partial.buckets(buckets)


def _report(fold: Fold) -> ShareReport:
    candidates = fold.candidates.table()
    accounts = candidates["account"].to_numpy()
    home, check = fold.accounts.fingerprints()
    return ShareReport(
        tally=fold.validator.tally,
        nearly_at_risk=fold.nearly_at_risk,
        candidates=candidates,
        home=home[accounts],
        check=check[accounts],
    )


def narrowed(
    folded: tuple[ShareReport, Partial], candidates: CandidateAccounts, months: int, buckets: int
) -> list[Partial]:
    """Forget the numbers of all accounts but the candidates, and make room for more months."""
    partial = folded[1]
    wanted = np.isin(partial.check, candidates.check) & np.isin(partial.home, candidates.home)
    wider = ((0, 0), (0, months - partial.seen.shape[1]))
    tracked = np.flatnonzero(wanted)
    narrow = replace(
        partial,
        seen=np.pad(partial.seen, wider),
        tracked=tracked,
        newest=np.pad(partial.newest[tracked], wider),
    )
    return narrow.buckets(buckets)


def item(items: Sequence[Any], place: int) -> Any:
    """Return one of many results, so that the others stay where they are."""
    return items[place]


def candidates_of(bucket: Partial) -> tuple[int, Partial]:
    """Return how many cells of a bucket were seen, and of its accounts only the candidates."""
    tracked = bucket.tracked
    return int(np.count_nonzero(bucket.seen)), Partial(
        home=bucket.home[tracked],
        check=bucket.check[tracked],
        seen=np.zeros((tracked.size, 0), np.bool_),
        tracked=np.arange(tracked.size),
        newest=bucket.newest,
    )
