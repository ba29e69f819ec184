"""The evaluate flow: source → record batches → month window → rules → alerts.

Three walks over parts of the source, each as narrow as can be: the keys of the row groups that may hold the
target month, which tell the candidates; the keys of earlier months; and the attributes, only of row groups
with a row that counts.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from service.accounts import AccountIndex
from service.alert import Criteria
from service.columns import (
    ARR,
    ATTRIBUTES,
    KEYS,
    MONTH,
    NAME,
    OWNER,
    REGION,
    RENEWAL,
    STATUS,
    UPDATED_AT,
    Ints,
    Mask,
    Packed,
    as_bytes,
    dates,
    days,
    encoded,
    identifiers,
    instants,
    texts,
    valid,
)
from service.daemon_thread import run_in_daemon_thread
from service.errors import MonthNotInSourceError
from service.evaluation import Evaluation
from service.judgement import RowJudge
from service.ledger import InvalidRow, RowLedger
from service.month import Month
from service.plan import RowGroup, ScanPlan, plan_scan
from service.progress import Phase, Progress
from service.rules import (
    AtRiskRow,
    is_at_risk,
    is_nearly_at_risk,
    judge,
    near_miss_warnings,
    winners,
)
from service.scan import Batch, Scan, ScanOptions
from service.source_reader import Source
from service.window import TARGET, MonthWindow

_EPOCH_MONTH: Final = 1970 * 12


async def evaluate(
    source: Source, criteria: Criteria, *, options: ScanOptions, progress: Progress
) -> Evaluation:
    """Answer which accounts are At Risk in the month, since when, and what became of every row.

    Reads in daemon threads, so that the event loop goes on. Raises SourceError.
    """
    stop = threading.Event()
    try:
        return await run_in_daemon_thread(_evaluate, source, criteria, options, progress, stop)
    finally:
        # Cancelled: the threads see it before their next batch.
        stop.set()


def _evaluate(
    source: Source, criteria: Criteria, options: ScanOptions, progress: Progress, stop: threading.Event
) -> Evaluation:
    scan = Scan(source, options=options, stop=stop)
    progress.phase = Phase.PLANNING
    plan = plan_scan(scan.footers(), criteria)
    progress.row_groups_total = len(plan.with_target) + len(plan.before_target)
    progress.rows_total = plan.rows - plan.rows_skipped
    progress.phase = Phase.SCANNING
    fold = _Fold(criteria, plan)

    def on_group(group: RowGroup) -> None:
        with fold.counting:
            progress.row_groups_done += 1
            progress.rows_done += group.rows

    scan.read(plan.with_target, KEYS, fold.target_batch, on_group)
    fold.forget_all_but_candidates()
    scan.read(plan.before_target, KEYS, fold.earlier_batch, on_group)
    if not fold.judge.of_target_month:
        raise _month_not_in_source(scan, plan, criteria)

    contenders = fold.contenders()
    rows: list[AtRiskRow] = []
    groups = contenders.groups(plan)
    progress.row_groups_total += len(groups)
    progress.rows_total += sum(group.rows for group in groups)
    scan.read(groups, ATTRIBUTES, lambda batch: rows.extend(contenders.rows(batch)), on_group)
    at_risk = winners(rows)
    durations = fold.window.durations(np.array([row.account for row in at_risk], np.int64))
    judged = judge(at_risk, durations.tolist(), criteria)
    near_misses = near_miss_warnings(fold.nearly_at_risk, fold.candidate_ids())
    evaluation = Evaluation(
        criteria=criteria,
        alerts=judged.alerts,
        rows=_ledger(
            fold, plan, len(at_risk), judged.below_threshold, judged.unknown_arr, len(judged.alerts)
        ),
        warnings=(*near_misses, *judged.warnings),
        invalid_samples=fold.judge.samples,
    )
    evaluation.rows.check()
    return evaluation


def _ledger(
    fold: "_Fold", plan: ScanPlan, at_risk: int, below_threshold: int, unknown_arr: int, alerts: int
) -> RowLedger:
    outside = fold.judge.outside + plan.rows_skipped
    occupied = fold.window.occupied()
    return RowLedger(
        rows_in_source=plan.rows,
        outside_window=outside,
        rows_scanned=plan.rows - outside,
        invalid={reason: fold.judge.invalid[reason] for reason in InvalidRow if fold.judge.invalid[reason]},
        duplicates=fold.judge.usable - occupied,
        account_months=occupied,
        at_risk=at_risk,
        below_threshold=below_threshold,
        unknown_arr=unknown_arr,
        alerts=alerts,
    )


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
        Month(int(np.datetime64(day, "D").astype("M8[M]").astype(np.int64)) + _EPOCH_MONTH)
        for day in (min(found), max(found))
    )
    return MonthNotInSourceError(
        f"no usable row of {criteria.month} in the source, which has months from {first} to {last}"
    )


@dataclass(frozen=True, slots=True)
class _Contenders:
    """At Risk rows of the target month: whose they are, where they stand, and how new they are."""

    accounts: Ints
    packed: Packed
    files: Ints
    row_groups: Ints
    places: Ints
    """In their row groups, from 0."""
    ids: Any
    """Binary."""

    def of(self, rows: Ints | Mask) -> "_Contenders":
        return _Contenders(
            self.accounts[rows],
            self.packed[rows],
            self.files[rows],
            self.row_groups[rows],
            self.places[rows],
            self.ids.take(pa.array(np.arange(self.accounts.size)[rows])),
        )

    def groups(self, plan: ScanPlan) -> list[RowGroup]:
        """Return the row groups in which these rows are."""
        holding = set(zip(self.files.tolist(), self.row_groups.tolist(), strict=True))
        return [group for group in plan.with_target if (group.file, group.index) in holding]

    def rows(self, batch: Batch) -> Iterator[AtRiskRow]:
        """Pick these rows from a batch of attributes."""
        last = batch.first_row + batch.columns.num_rows
        here = np.flatnonzero(
            (self.files == batch.file)
            & (self.row_groups == batch.row_group)
            & (self.places >= batch.first_row)
            & (self.places < last)
        )
        mine = self.of(here)
        picked = batch.columns.take(pa.array(mine.places - batch.first_row))
        for account, account_id, arr, name, region, owner, renewal in zip(
            mine.accounts.tolist(),
            identifiers(mine.ids),
            picked.column(ARR).to_pylist(),
            texts(picked.column(NAME)),
            texts(picked.column(REGION)),
            texts(picked.column(OWNER)) if OWNER in picked.schema.names else [None] * here.size,
            dates(picked.column(RENEWAL)),
            strict=True,
        ):
            yield AtRiskRow(
                account=account,
                account_id=account_id,
                arr=arr,
                name=name,
                region=region,
                owner=owner,
                renewal_date=renewal,
            )


class _Fold:
    """What is known so far: every batch adds to it, from several threads and in any order."""

    def __init__(self, criteria: Criteria, plan: ScanPlan) -> None:
        self.judge = RowJudge(criteria)
        self.window = MonthWindow(plan.months)
        self.counting = threading.Lock()
        self.nearly_at_risk = 0
        self._accounts = AccountIndex()
        self._contenders: list[_Contenders] = []

    def target_batch(self, batch: Batch) -> None:
        """Take in rows that may be of the target month: every account may be a candidate."""
        self._take_in(batch, self._note_contenders)

    def earlier_batch(self, batch: Batch) -> None:
        """Take in rows of earlier months: only candidates' status matters."""
        self._take_in(batch, None)

    def _take_in(self, batch: Batch, note: Any) -> None:
        usable = self.judge.judge(batch.columns, batch.file_name)
        if usable is None:
            return
        at_risk = self._at_risk(usable.of(batch.columns.column(STATUS)))
        accounts, back = self._accounts.numbers(usable.account_ids), usable.back
        updated = instants(usable.of(batch.columns.column(UPDATED_AT)))
        if note:
            note(batch, usable, accounts, updated, at_risk)
        rows = self.window.see(accounts, back)
        if rows is not None:
            accounts, back, updated, at_risk = accounts[rows], back[rows], updated[rows], at_risk[rows]
        self.window.fold(accounts, back, updated, at_risk)

    def _at_risk(self, statuses: Any) -> Mask:
        distinct, places = encoded(statuses)
        # One more for null, which is not At Risk, and is found at the end by its place, -1.
        lookup = np.append(is_at_risk(distinct).to_numpy(zero_copy_only=False), False).astype(bool)
        nearly = is_nearly_at_risk(distinct).to_numpy(zero_copy_only=False).astype(bool)
        if nearly.any():
            count = int(np.count_nonzero(np.append(nearly, False)[places]))
            with self.counting:
                self.nearly_at_risk += count
        mask: Mask = lookup[places]
        return mask

    def _note_contenders(
        self, batch: Batch, usable: Any, accounts: Ints, updated: Packed, at_risk: Mask
    ) -> None:
        rows = np.flatnonzero(at_risk & (usable.back == TARGET))
        if not rows.size:
            return
        in_batch = rows if usable.rows is None else usable.rows[rows]
        noted = _Contenders(
            accounts=accounts[rows],
            packed=updated[rows] << np.uint64(1) | np.uint64(1),
            files=np.full(rows.size, batch.file),
            row_groups=np.full(rows.size, batch.row_group),
            places=in_batch + batch.first_row,
            ids=usable.account_ids.take(pa.array(rows)).cast(pa.large_binary()),
        )
        with self.counting:
            self._contenders.append(noted)

    def forget_all_but_candidates(self) -> None:
        """Once all rows of the target month are in: nobody else can alert."""
        self._all = _joined(self._contenders)
        self._contenders.clear()
        self.window.track_only(np.unique(self._all.accounts))

    def contenders(self) -> _Contenders:
        """Return the At Risk rows that no later row of the target month overrules."""
        won = self.window.newest(self._all.accounts, TARGET) == self._all.packed
        return self._all.of(won)

    def candidate_ids(self) -> Iterable[str]:
        """Yield the ids of all accounts with an At Risk row of the target month."""
        return identifiers(as_bytes(self._all.ids))


def _joined(parts: list[_Contenders]) -> _Contenders:
    def joined(name: str, dtype: Any) -> Any:
        return np.concatenate([np.zeros(0, dtype), *(getattr(part, name) for part in parts)])

    return _Contenders(
        accounts=joined("accounts", np.int64),
        packed=joined("packed", np.uint64),
        files=joined("files", np.int64),
        row_groups=joined("row_groups", np.int64),
        places=joined("places", np.int64),
        ids=pa.concat_arrays([pa.array([], pa.large_binary()), *(part.ids for part in parts)]),
    )
