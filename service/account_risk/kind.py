"""The kind of run `account_risk`: the monthly rows of a source become alerts about accounts At Risk."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from service.account_risk.account_at_risk import RISK_ALERT, Criteria
from service.account_risk.options import EvaluationOptions
from service.account_risk.risk_alert import RiskAlert
from service.account_risk.risk_summary import RiskSummary
from service.domain.month import Month
from service.domain.progress import Progress
from service.domain.run import RunRequest
from service.domain.source_uri import SourceUri
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.garbage import load
from service.runtime.room import Turn
from service.sources.source import Source

if TYPE_CHECKING:
    from service.account_risk.evaluate import MonthEvaluation

ACCOUNT_RISK: Final = "account_risk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to a source, as this process's settings put it."""

    criteria: Criteria
    options: EvaluationOptions
    reopen: Callable[[], Source]
    """Opens the source; picklable, so that the workers of a cluster can do the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRisk:
    """What a run of this kind does."""

    alert_type: RiskAlert
    question: Callable[[SourceUri, Month], Question]

    name: ClassVar[str] = ACCOUNT_RISK
    summary: ClassVar[RiskSummary] = RiskSummary()
    needs_regions: ClassVar[bool] = True

    async def load(self) -> None:
        """Load what evaluates, away from the event loop: NumPy and PyArrow were a fifth of a start."""
        await run_in_daemon_thread(load, "service.account_risk.evaluate")

    async def evaluate(
        self, request: RunRequest, progress: Progress, turn: Turn, watched: Collection[str] = ()
    ) -> "MonthEvaluation":
        """Evaluate one month of a source, when it is its turn; raises SourceError.

        The accounts that are `watched` need no columns and no row groups beyond those that are read anyway.
        """
        await self.load()
        from service.account_risk.evaluate import evaluate  # noqa: PLC0415  # loaded by now

        question = self.question(request.source, Month.parse(request.period or ""))
        with question.reopen() as source:
            return await evaluate(
                source,
                question.criteria,
                options=question.options,
                progress=progress,
                turn=turn,
                watched=watched,
            )


def month_request(
    source: SourceUri,
    month: Month,
    *,
    dry_run: bool = False,
    plan_digest: str | None = None,
    idempotency_key: str | None = None,
) -> RunRequest:
    """Ask for one month of a source: only one run at a time sends a month's alerts."""
    return RunRequest(
        kind=ACCOUNT_RISK,
        scope=f"{RISK_ALERT}:{month}",
        source=source,
        period=str(month),
        dry_run=dry_run,
        plan_digest=plan_digest,
        idempotency_key=idempotency_key,
    )
