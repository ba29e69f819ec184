"""Pandas, as the reference architecture describes it: filter, prune, sort, drop duplicates, walk back."""

from typing import Any, Final

from benchmarks.side import Answer, Question, Work, alert_row, in_order

FORMULATIONS: Final = ("reference",)
_ATTRIBUTES: Final = ("account_id", "account_name", "account_region", "arr", "renewal_date", "account_owner")


def load(formulation: str) -> Work:
    """Import pandas; there is one formulation."""
    del formulation
    import pandas as pd  # noqa: PLC0415 - importing is what is timed

    def work(question: Question):  # type: ignore[no-untyped-def]  # noqa: ANN202 - see Work
        frame = pd.read_parquet(
            question.source,
            columns=[*_ATTRIBUTES, "month", "status", "updated_at"],
            filters=[("month", ">=", question.first_month), ("month", "<=", question.month)],
            dtype_backend="pyarrow",
        )
        frame = frame[frame["account_id"].notna() & (frame["account_id"] != "")]
        frame["at_risk"] = (frame["status"] == "At Risk").fillna(value=False)
        told = len(frame)
        # Exact ties of made-up files are word-for-word copies, so no further attribute needs to order them.
        frame = frame.sort_values(["updated_at", "at_risk"], na_position="first", kind="stable")
        frame = frame.drop_duplicates(["account_id", "month"], keep="last")
        duplicates = told - len(frame)
        risky = frame[frame["at_risk"]]
        by_month = {month: set(rows["account_id"]) for month, rows in risky.groupby("month")}
        target = risky[risky["month"] == question.month]
        target = target[(target["arr"] >= question.threshold).fillna(value=False)]
        months = dict.fromkeys(target["account_id"], 1)
        walking, month = set(months), question.month
        while walking:
            month = (month.replace(day=1) - pd.Timedelta(days=1)).replace(day=1)
            walking &= by_month.get(month, set())
            for account_id in walking:
                months[account_id] += 1

        def answer() -> Answer:
            rows = target[list(_ATTRIBUTES)].itertuples(index=False, name=None)
            alerts = (alert_row(question, map(_plain, row), months[row[0]]) for row in rows)
            return Answer(alerts=in_order(alerts), duplicates=duplicates)

        def _plain(value: Any) -> Any:
            return None if value is pd.NA or value is pd.NaT or value is None else value

        return answer

    return work
