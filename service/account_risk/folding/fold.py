"""The fold: what is known of a source so far, to which every batch adds, in any order and from any thread."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from service.account_risk.alerting import Selection, is_at_risk, is_nearly_at_risk
from service.account_risk.folding.account_index import AccountIndex
from service.account_risk.folding.candidate_rows import CandidateRows
from service.account_risk.folding.candidates import Candidates
from service.account_risk.folding.row_validation import RowValidator, UsableRows
from service.account_risk.folding.window import TARGET, MonthWindow
from service.account_risk.row_ledger import InvalidRow, MonthlyRows
from service.account_risk.scan_plan import PROCESS_BYTES, ScanPlan
from service.account_risk.schema import ACCOUNT_ID, NAME, STATUS, UPDATED_AT
from service.domain.errors import MemoryLimitExceededError
from service.sources.parquet.batch import Batch
from service.sources.parquet.columns import (
    Halved,
    Ints,
    Mask,
    Packed,
)
from service.sources.parquet.footer import RowGroup
from service.sources.parquet.instants import instants, whole_seconds, widened
from service.sources.parquet.text import as_bytes, encoded, identified

_MEGABYTE: Final = 1 << 20
_ADDED_ROWS: Final = 8_192
"""So many texts are made of a dictionary at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Closing:
    """What is left of all cells when they are complete: a little for each candidate."""

    accounts: Ints
    """Ascending."""
    newest: Packed
    """The winning number of the target month."""
    durations: Ints
    watched_seen: Mask
    """Which of the accounts that are watched have a row of the target month."""

    def places(self, accounts: Ints) -> Ints:
        return np.searchsorted(self.accounts, accounts)


class Fold:
    """Validates rows, numbers their accounts, fills the month window, and remembers who may alert."""

    def __init__(
        self,
        plan: ScanPlan,
        *,
        memory_limit_mb: int | None = None,
        seed: int | None = None,
        watched: Sequence[str] = (),
    ) -> None:
        self.validator = RowValidator(plan.criteria)
        self.window = MonthWindow(plan.months_with_target)
        self.nearly_at_risk = 0
        self._plan = plan
        self._watched = pa.array([identified(account_id) for account_id in watched], pa.large_binary())
        self.accounts = AccountIndex(seed)
        self.candidates = Candidates()
        self._counting = threading.Lock()
        self._of_this_thread = threading.local()
        self._in_seconds = True
        self._unfinished = list(plan.before_target)
        self._closed = TARGET
        self._closing: _Closing | None = None
        self._accounts_seen = 0
        self._limit = None if memory_limit_mb is None else memory_limit_mb * _MEGABYTE

    def target_batch(self, batch: Batch) -> None:
        """Take in rows that may be of the target month: any account may turn out a candidate."""
        self._take_in(batch, may_hold_target=True)

    def take_noted(self) -> dict[int, CandidateRows]:
        """Return by file, and forget, the rows whose attributes are to be read."""
        return self.candidates.take_noted(self._newest)

    def attributes_batch(self, rows: dict[int, CandidateRows], batch: Batch) -> None:
        """Take in the attributes of those of `rows` that stand in a batch."""
        here = rows[batch.file]
        self._add(batch, here.between(batch.first_row, batch.first_row + batch.columns.num_rows))

    def earlier_batch(self, batch: Batch) -> None:
        """Take in rows of earlier months: what they say matters for candidates only."""
        self._take_in(batch, may_hold_target=False)

    def forget_all_but_candidates(self) -> None:
        """Once all rows of the target month are in: nobody else can alert."""
        if self._plan.before_target:
            self.window.track_only(self.candidates.accounts(), self._plan.months)

    def finished(self, group: RowGroup) -> None:
        """Close the months that are complete now that a row group of earlier months is wholly taken in."""
        with self._counting:
            self._unfinished.remove(group)
            last = self._unfinished[0].last_day if self._unfinished else None
            # They are in the order of their last days, newest first.
            while last is not None and self._plan.criteria.month.minus(self._closed + 1).first_day > last:
                self._closed += 1
                self.window.close(self._closed)

    def close(self) -> _Closing:
        """Once all rows are in: keep of all cells what candidates need, to make room for their attributes."""
        if self._closing is None:
            accounts = self.candidates.accounts()
            newest, durations = self.window.newest(accounts, TARGET), self.window.durations(accounts)
            self._accounts_seen = self.accounts.count
            self._closing = _Closing(
                accounts=accounts,
                newest=newest,
                durations=durations,
                watched_seen=self.window.seen(self.watched_accounts(), TARGET),
            )
            self.window, self.accounts = MonthWindow(1), AccountIndex(self.accounts.seed)
        return self._closing

    def watched_accounts(self) -> Ints:
        """Return the numbers of the accounts that are watched, in their order, whether seen or not."""
        return self.accounts.numbers(self._watched)

    def watched_seen(self) -> Mask:
        """Return which of the accounts that are watched have a row of the target month."""
        return self.close().watched_seen

    def at_risk(self) -> tuple[pa.Table, Ints]:
        """Return the candidates that no later row overrules, and for how many months each is At Risk."""
        closing, table = self.close(), self.candidates.table()
        counts = self._newest(table["account"].to_numpy()) == table["packed"].to_numpy()
        table = table if counts.all() else table.filter(pa.array(counts))
        return table, closing.durations[closing.places(table["account"].to_numpy())]

    def ledger(self, selected: Selection, account_months: int) -> MonthlyRows:
        """Account for every row, given how many cells any was seen in; raises LedgerImbalanceError."""
        tally = self.validator.tally
        outside = tally.outside + self._plan.rows_skipped
        ledger = MonthlyRows(
            rows_in_source=self._plan.rows,
            outside_window=outside,
            rows_scanned=self._plan.rows - outside,
            invalid={reason: tally.invalid[reason] for reason in InvalidRow if tally.invalid[reason]},
            duplicates=tally.usable - account_months,
            account_months=account_months,
            at_risk=selected.at_risk,
            below_threshold=selected.below_threshold,
            unknown_arr=selected.unknown_arr,
            alerts=len(selected.alerts),
        )
        ledger.check()
        return ledger

    def _newest(self, accounts: Ints) -> Packed:
        if self._closing is None:
            return self.window.newest(accounts, TARGET)
        return self._closing.newest[self._closing.places(accounts)]

    def _take_in(self, batch: Batch, *, may_hold_target: bool) -> None:
        usable = self.validator.validate(batch.columns, batch.file_name)
        if usable is None:
            return
        accounts = self._numbers(usable.account_ids)
        back = usable.back
        at_risk = self._at_risk(usable.of(batch.columns.column(STATUS)))
        updated = usable.of(batch.columns.column(UPDATED_AT))
        rows = self.window.see(accounts, back)
        if rows is not None:
            accounts, back, at_risk = accounts[rows], back[rows], at_risk[rows]
            updated = updated.take(pa.array(rows))
        packed = self._instants(updated)
        if may_hold_target:
            self._note(batch, usable, accounts, packed, at_risk)
        self.window.fold(accounts, back, packed, at_risk)
        self._stay_within_limit()

    def _stay_within_limit(self) -> None:
        """Raise MemoryLimitExceededError as soon as it is certain that the limit cannot be held."""
        if self._limit is None:
            return
        known = self.accounts.count or self._accounts_seen
        state = self.accounts.nbytes + self.window.nbytes + self.candidates.nbytes
        needed = PROCESS_BYTES + self._plan.reading_bytes + state
        if needed > self._limit:
            raise MemoryLimitExceededError(
                f"the evaluation needs {-(-needed // _MEGABYTE):,} MB or more for the {known:,} accounts "
                f"it has seen so far; MEMORY_LIMIT_MB is {self._limit // _MEGABYTE:,}"
            )

    def _numbers(self, ids: Any) -> Ints:
        """Return the numbers of these rows' accounts; batches that share a dictionary look it up once."""
        if not pa.types.is_dictionary(ids.type) or len(ids.dictionary) > len(ids):
            return self.accounts.numbers(as_bytes(ids))
        looked_up: tuple[Any, Ints] | None = getattr(self._of_this_thread, "looked_up", None)
        if looked_up is None or not ids.dictionary.equals(looked_up[0]):
            looked_up = ids.dictionary, self.accounts.numbers(as_bytes(ids.dictionary))
            self._of_this_thread.looked_up = looked_up
        numbers: Ints = looked_up[1].take(ids.indices.to_numpy())
        return numbers

    def _instants(self, column: Any) -> Packed | Halved:
        if self._in_seconds:
            seconds = whole_seconds(column)
            if seconds is not None:
                return seconds
            # A source that has other instants once will have them again.
            self._in_seconds = False
        return instants(column)

    def _at_risk(self, statuses: Any) -> Mask:
        distinct, places = encoded(statuses)
        known: tuple[Any, Mask, Mask] | None = getattr(self._of_this_thread, "statuses", None)
        if known is None or not distinct.equals(known[0]):
            # The value for null comes last, so that its place, -1, finds it: not At Risk, nor nearly.
            masks = (
                np.append(mask.to_numpy(zero_copy_only=False), [False]).astype(bool)
                for mask in (is_at_risk(distinct), is_nearly_at_risk(distinct))
            )
            known = self._of_this_thread.statuses = (distinct, *masks)
        _, at_risk, nearly = known
        if nearly.any():
            count = int(np.count_nonzero(nearly[places]))
            with self._counting:
                self.nearly_at_risk += count
        spellings = np.flatnonzero(at_risk)
        # As a rule there is one, and comparing is far cheaper than looking up.
        mask: Mask = places == spellings[0] if spellings.size == 1 else at_risk[places]
        return mask

    def _note(
        self, batch: Batch, usable: UsableRows, accounts: Ints, updated: Packed | Halved, at_risk: Mask
    ) -> None:
        """Keep what alerts would show of the rows At Risk in the target month, or where it stands."""
        rows = np.flatnonzero(at_risk & (usable.back == TARGET))
        if not rows.size:
            return
        in_batch = rows if usable.rows is None else usable.rows[rows]
        one = updated.dtype.type(1)
        noted = CandidateRows(
            accounts=accounts[rows],
            packed=widened(updated[rows] << one | one),
            places=in_batch + batch.first_row,
        )
        ids = as_bytes(batch.columns.column(ACCOUNT_ID).take(pa.array(in_batch))).cast(pa.large_binary())
        self.candidates.identify(noted.accounts, ids)
        if NAME in batch.columns.schema.names:
            self._add(batch, noted)
        else:
            self.candidates.note(batch.file, noted)

    def _add(self, batch: Batch, rows: CandidateRows) -> None:
        for first in range(0, rows.places.size, _ADDED_ROWS):
            some = rows.of(slice(first, first + _ADDED_ROWS))
            self.candidates.add(some, batch.rows(some.places - batch.first_row))
            self._stay_within_limit()
