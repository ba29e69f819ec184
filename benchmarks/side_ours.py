"""Our side: the evaluate flow, as `risk-alerts preview` runs it."""

from typing import Final

from benchmarks.side import Answer, Question, Work
from benchmarks.without_pandas import hide_pandas

FORMULATIONS: Final = ("fold",)


def load(formulation: str) -> Work:
    """Import the flow; there is one formulation."""
    del formulation
    hide_pandas()
    import asyncio  # noqa: PLC0415 - importing is what is timed

    from service.account_risk.account_at_risk import Criteria  # noqa: PLC0415
    from service.account_risk.evaluate import MonthEvaluation, evaluate  # noqa: PLC0415
    from service.account_risk.options import EvaluationOptions  # noqa: PLC0415
    from service.domain.month import Month  # noqa: PLC0415
    from service.domain.progress import Progress  # noqa: PLC0415
    from service.domain.source_uri import SourceUri  # noqa: PLC0415
    from service.runtime.garbage import rare_collections  # noqa: PLC0415
    from service.sources.opening import open_source  # noqa: PLC0415
    from service.sources.source import StorageAccess  # noqa: PLC0415

    def answer(evaluation: MonthEvaluation) -> Answer:
        alerts = [
            (
                alert.account_id,
                alert.account_name,
                alert.account_region,
                alert.duration_months,
                alert.duration_is_minimum,
                str(alert.risk_start_month),
                alert.arr,
                None if alert.renewal_date is None else alert.renewal_date.isoformat(),
                alert.account_owner,
            )
            for alert in evaluation.alerts
        ]
        return Answer(alerts=alerts, duplicates=evaluation.rows.duplicates)

    def work(question: Question):  # type: ignore[no-untyped-def]  # noqa: ANN202 - see Work
        criteria = Criteria(
            month=Month.of(question.month),
            arr_threshold=question.threshold,
            history_months=question.history_months,
        )
        uri = SourceUri.parse(question.source.resolve().as_uri())
        with rare_collections(), open_source(uri, StorageAccess()) as source:
            options = EvaluationOptions(threads=question.threads)
            evaluation = asyncio.run(evaluate(source, criteria, options=options, progress=Progress()))
        return lambda: answer(evaluation)

    return work
