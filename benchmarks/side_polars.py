"""Polars's side, streaming; the benchmark keeps the faster formulation on each file.

- `unique`: candidates first, the history of the candidates alone (a semi-join), duplicates as rows less
  unique accounts and months.
- `masks`: one scan folds every account into rows, months told At Risk and months told otherwise, as DuckDB's.
"""

import os
from typing import Any, Final

from benchmarks.side import Answer, Question, Work, alert_row, in_order, streak

FORMULATIONS: Final = ("unique", "masks")
_ATTRIBUTES: Final = ("account_id", "account_name", "account_region", "arr", "renewal_date", "account_owner")

_TIES: Final = ("account_name", "account_region", "account_owner", "renewal_date")


def load(formulation: str) -> Work:
    """Import Polars, with as many threads as the benchmark gives everyone."""
    os.environ.setdefault("POLARS_MAX_THREADS", "2")
    import polars as pl  # noqa: PLC0415 - importing is what is timed

    at_risk = pl.col("status").eq_missing("At Risk")
    packed = pl.col("updated_at").to_physical().fill_null(-(2**61)) * 2 + at_risk.cast(pl.Int64)

    def in_window(question: Question) -> Any:
        pattern = "/**/*.parquet" if question.source.is_dir() else ""
        return pl.scan_parquet(f"{question.source}{pattern}").filter(
            pl.col("month").is_between(question.first_month, question.month),
            pl.col("month").dt.day() == 1,
            pl.col("account_id").is_not_null() & (pl.col("account_id") != ""),
        )

    def back(question: Question) -> Any:
        of_target = question.month.year * 12 + question.month.month
        return of_target - (pl.col("month").dt.year() * 12 + pl.col("month").dt.month().cast(pl.Int32))

    def candidates(question: Question, risky: Any) -> Any:
        """Return the accounts that alert, of the target month's rows of those that may."""
        told = (
            in_window(question)
            .filter(pl.col("month") == question.month)
            .join(risky, on="account_id", how="semi")
        )
        columns = [*_ATTRIBUTES, "status", "updated_at"]
        latest = (
            told.select(columns)
            .collect(engine="streaming")
            .sort(
                ["updated_at", at_risk.alias("first"), "arr", *_TIES],
                descending=[True, True, True, False, False, False, False],
                nulls_last=True,
            )
            .unique("account_id", keep="first", maintain_order=True)
        )
        return latest.filter(pl.col("status") == "At Risk", pl.col("arr") >= question.threshold).select(
            _ATTRIBUTES
        )

    def unique(question: Question) -> tuple[Any, int]:
        rows = in_window(question)
        risky = rows.filter(pl.col("month") == question.month, pl.col("status") == "At Risk").select(
            "account_id"
        )
        found = candidates(question, risky.unique())
        masks = (
            rows.join(found.lazy().select("account_id"), on="account_id", how="semi")
            .group_by("account_id", back(question).alias("back"))
            .agg(packed.max() & 1)
            .collect(engine="streaming")
            .rename({"updated_at": "at_risk"})
            .with_columns(pl.col("at_risk") * pl.lit(2, pl.Int64).pow(pl.col("back")))
            .group_by("account_id")
            .agg(pl.col("at_risk").sum())
        )
        told = rows.select(pl.len()).collect(engine="streaming").item()
        distinct = (
            rows.select("account_id", "month").unique().select(pl.len()).collect(engine="streaming").item()
        )
        return found.join(masks, on="account_id"), told - distinct

    def by_masks(question: Question) -> tuple[Any, int]:
        rows = in_window(question)
        bit = pl.lit(2, pl.Int64).pow(back(question))
        masks = (
            rows.group_by("account_id")
            .agg(
                pl.len().alias("rows"),
                pl.when(at_risk).then(bit).otherwise(0).bitwise_or().alias("at_risk"),
                pl.when(at_risk).then(0).otherwise(bit).bitwise_or().alias("other"),
            )
            .collect(engine="streaming")
        )
        seen = (pl.col("at_risk") | pl.col("other")).bitwise_count_ones()
        duplicates = masks.select(pl.col("rows").sum().cast(pl.Int64) - seen.sum().cast(pl.Int64)).item()
        leading = pl.col("at_risk") & ~(pl.col("at_risk") + 1)
        risky = masks.filter((pl.col("at_risk") & 1) == 1).select(
            "account_id", "at_risk", (pl.col("at_risk") & pl.col("other") & leading).alias("doubtful")
        )
        found = candidates(question, risky.lazy().select("account_id"))
        doubtful = risky.filter(pl.col("doubtful") > 1).join(found, on="account_id", how="semi")
        overruled = (
            rows.filter(pl.col("month") < question.month)
            .join(doubtful.lazy().select("account_id", "doubtful"), on="account_id")
            .filter((pl.col("doubtful") & bit) != 0)
            .group_by("account_id", bit.alias("bit"))
            .agg(packed.max().alias("packed"))
            .collect(engine="streaming")
            .filter((pl.col("packed") & 1) == 0)
            .group_by("account_id")
            .agg(pl.col("bit").sum().alias("lost"))
        )
        masked = found.join(risky, on="account_id").join(overruled, on="account_id", how="left")
        return masked.with_columns(pl.col("at_risk") & ~pl.col("lost").fill_null(0)), duplicates

    def work(question: Question):  # type: ignore[no-untyped-def]  # noqa: ANN202 - see Work
        found, duplicates = (unique if formulation == "unique" else by_masks)(question)

        def answer() -> Answer:
            rows = found.select("at_risk", *_ATTRIBUTES).iter_rows()
            alerts = (alert_row(question, row[1:], streak(row[0])) for row in rows)
            return Answer(alerts=in_order(alerts), duplicates=duplicates)

        return answer

    return work
