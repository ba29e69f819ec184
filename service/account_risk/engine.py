"""The engine of an evaluation: what reads and folds its row groups, this process or a cluster."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from service.account_risk.attributes import Attributes
from service.account_risk.candidate_rows import CandidateRows
from service.account_risk.fold import Fold
from service.account_risk.scan_plan import ScanPlan
from service.account_risk.schema import ACCOUNT_ROWS
from service.sources.parquet.footer import RowGroup
from service.sources.parquet.scan import Scan
from service.sources.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOptions:
    """What an evaluation may use of the machine, and of others."""

    threads: int = 2
    memory_limit_mb: int | None = None
    cluster: str | None = None
    """Address of a Dask scheduler that evaluates, such as tcp://scheduler:8786; None: this process."""
    reopen: Callable[[], Source] | None = None
    """How the workers of a cluster open the same source; must be picklable, and holds its credentials."""


class Engine(Protocol):
    """Does the reading of one evaluation; each call reports the row groups that are done to `on_groups`."""

    def fold(self, fold: Fold, on_groups: Callable[[Iterable[RowGroup]], None]) -> int:
        """Fill `fold` with what all row groups of the plan say; returns the number of cells seen."""

    def attributes(
        self,
        groups: Sequence[RowGroup],
        rows: dict[tuple[int, int], CandidateRows],
        on_groups: Callable[[Iterable[RowGroup]], None],
    ) -> list[Attributes]:
        """Read the attributes of `rows`, given by file and row group, in these row groups."""


class LocalEngine:
    """This process, on its own threads."""

    def __init__(self, scan: Scan, plan: ScanPlan) -> None:
        self._scan = scan
        self._plan = plan

    def fold(self, fold: Fold, on_groups: Callable[[Iterable[RowGroup]], None]) -> int:
        """Fill `fold` with what all row groups of the plan say; returns the number of cells seen."""
        self._scan.read(
            self._plan.with_target, ACCOUNT_ROWS.keys, fold.target_batch, lambda group: on_groups((group,))
        )
        fold.forget_all_but_candidates()

        def on_earlier(group: RowGroup) -> None:
            fold.finished(group)
            on_groups((group,))

        self._scan.read(self._plan.before_target, ACCOUNT_ROWS.keys, fold.earlier_batch, on_earlier)
        return fold.window.account_months()

    def attributes(
        self,
        groups: Sequence[RowGroup],
        rows: dict[tuple[int, int], CandidateRows],
        on_groups: Callable[[Iterable[RowGroup]], None],
    ) -> list[Attributes]:
        """Read the attributes of these rows."""
        found: list[Attributes] = []
        threshold = self._plan.criteria.arr_threshold
        self._scan.read(
            groups,
            ACCOUNT_ROWS.attributes,
            lambda batch: found.append(Attributes.of_batch(batch, rows, threshold)),
            lambda group: on_groups((group,)),
        )
        return found
