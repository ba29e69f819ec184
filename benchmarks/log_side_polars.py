"""Polars's side: windows by `rolling`, or by an as-of join on the running number of events."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.log_side import RULES, Asked, Found, Work


def load(formulation: str, threads: int) -> Work:
    """Import Polars, with as many threads as the benchmark gives everyone."""
    os.environ.setdefault("POLARS_MAX_THREADS", str(threads))
    import polars as pl  # noqa: PLC0415 - importing is what is timed

    def matched(path: Path) -> Any:
        if path.suffix == ".parquet":
            rows, date = pl.scan_parquet(path), pl.col("date")
        else:
            rows = pl.scan_csv(path, infer_schema=False)
            date = pl.col("date").str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us")
        fatal = rows.filter(pl.col("severity") == "fatal")
        return fatal.select(g="bundle_id", t=date.dt.epoch("us")).collect(engine="streaming")

    def rolling(events: Any, rule: Asked) -> Any:
        windows = events.sort("g", "t").rolling("t", period=f"{rule.window}i", group_by="g", closed="right")
        return windows.agg(c=pl.len())

    def asof(events: Any, rule: Asked) -> Any:
        upto = events.group_by("g", "t").len().sort("t").with_columns(n=pl.col("len").cum_sum().over("g"))
        now = upto.with_columns(start=pl.col("t") - rule.window)
        before = upto.select("g", before_t="t", before="n")
        joined = now.join_asof(
            before, left_on="start", right_on="before_t", by="g", strategy="backward", check_sortedness=False
        )
        return joined.select("g", "t", c=pl.col("n") - pl.col("before").fill_null(0))

    def episodes(events: Any, rule: Asked) -> Any:
        counted = (rolling if formulation == "rolling" else asof)(events, rule)
        violating = counted.filter(pl.col("c") > rule.more_than).unique(["g", "t"]).sort("g", "t")
        begins = (pl.col("t").diff().over("g") >= rule.quiet).fill_null(value=True)
        numbered = violating.with_columns(episode=begins.cum_sum())
        return numbered.group_by("g", "episode").agg(
            start=pl.col("t").min(), last=pl.col("t").max(), peak=pl.col("c").max()
        )

    def work(path: Path) -> Sequence[Found]:
        events = matched(path)
        found: list[Found] = []
        for number, rule in enumerate(RULES):
            grouped = events if rule.by_bundle else events.with_columns(g=pl.lit(""))
            found += [
                (number, *row)
                for row in episodes(grouped, rule).select("g", "start", "last", "peak").iter_rows()
            ]
        return found

    return work
