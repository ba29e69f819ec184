"""The engine of an evaluation: what reads and folds its row groups, this process or a cluster."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from service.account_risk.folding.fold import Fold
from service.account_risk.scan_plan import LARGE_GROUP, ScanPlan
from service.account_risk.schema import ACCOUNT_ROWS
from service.sources.parquet.footer import RowGroup
from service.sources.parquet.scan import Scan


class Engine(Protocol):
    """Reads and folds one evaluation's row groups."""

    def fold(self, fold: Fold, on_groups: Callable[[Iterable[RowGroup]], None]) -> int:
        """Fill `fold` with what all row groups of the plan say; returns the number of cells seen.

        Reports the row groups that are done to `on_groups`. Raises SourceError.
        """


def fold_target(
    scan: Scan, groups: Sequence[RowGroup], fold: Fold, on_group: Callable[[RowGroup], None]
) -> None:
    """Fold row groups that may hold the target month, and note where their candidates stand."""
    keys, attributes = ACCOUNT_ROWS.keys, ACCOUNT_ROWS.attributes
    # Too many rows to note where the candidates among them stand: what they show is read along.
    large = [group for group in groups if group.rows > LARGE_GROUP]
    scan.read(large, keys + attributes, fold.target_batch, on_group)
    left = [group for group in groups if group.rows <= LARGE_GROUP]
    while left:
        left = left[scan.read(left, keys, fold.target_batch, on_group, go_on=fold.candidates.has_room) :]
        if left:
            read_attributes(scan, groups, fold)


def read_attributes(scan: Scan, groups: Sequence[RowGroup], fold: Fold) -> None:
    """Read what alerts would show of the candidates that are noted in these row groups."""
    rows = fold.take_noted()
    held = [
        group
        for group in groups
        if group.file in rows and rows[group.file].between(group.first_row, group.end_row).places.size
    ]
    scan.read(held, ACCOUNT_ROWS.attributes, partial(fold.attributes_batch, rows), few_rows=True)


class LocalEngine:
    """This process, on its own threads."""

    def __init__(self, scan: Scan, plan: ScanPlan) -> None:
        self._scan = scan
        self._plan = plan

    def fold(self, fold: Fold, on_groups: Callable[[Iterable[RowGroup]], None]) -> int:
        """Fill `fold` with what all row groups of the plan say; returns the number of cells seen."""
        scan, target, before = self._scan, self._plan.with_target, self._plan.before_target
        fold_target(scan, target, fold, lambda group: on_groups((group,)))
        fold.forget_all_but_candidates()

        def on_earlier(group: RowGroup) -> None:
            fold.finished(group)
            on_groups((group,))

        scan.read(before, ACCOUNT_ROWS.keys, fold.earlier_batch, on_earlier)
        cells = fold.window.account_months()
        fold.close()
        read_attributes(scan, target, fold)
        return cells
