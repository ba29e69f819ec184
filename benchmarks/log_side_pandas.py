"""pandas's side in the fastest form found: pyarrow's reader, the needed columns, an as-of merge."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.log_side import RULES, Asked, Found, Work


def load(formulation: str, threads: int) -> Work:
    """Import pandas."""
    del formulation
    import pandas as pd  # noqa: PLC0415 - importing is what is timed
    import pyarrow as pa  # noqa: PLC0415

    pa.set_cpu_count(threads)

    def matched(path: Path) -> Any:
        columns = ["severity", "bundle_id", "date"]
        if path.suffix == ".parquet":
            rows = pd.read_parquet(path, columns=columns, filters=[("severity", "==", "fatal")])
        else:
            rows = pd.read_csv(path, usecols=columns, engine="pyarrow")
            rows = rows[rows["severity"] == "fatal"]
        times = pd.to_datetime(rows["date"], format="ISO8601").astype("datetime64[us]").astype("int64")
        return pd.DataFrame({"g": rows["bundle_id"].astype(str), "t": times})

    def episodes(events: Any, rule: Asked) -> Any:
        upto = events.groupby(["g", "t"], sort=False).size().rename("len").reset_index()
        upto = upto.sort_values("t", ignore_index=True)
        upto["n"] = upto.groupby("g", sort=False)["len"].cumsum()
        upto["start"] = upto["t"] - rule.window
        before = upto[["g", "t", "n"]].rename(columns={"t": "before_t", "n": "before"})
        joined = pd.merge_asof(upto, before, left_on="start", right_on="before_t", by="g")
        joined["c"] = joined["n"] - joined["before"].fillna(0).astype("int64")
        violating = joined[joined["c"] > rule.more_than].sort_values(["g", "t"])
        violating["episode"] = (~(violating.groupby("g")["t"].diff() < rule.quiet)).cumsum()
        return violating.groupby(["g", "episode"]).agg(
            start=("t", "min"), last=("t", "max"), peak=("c", "max")
        )

    def work(path: Path) -> Sequence[Found]:
        events = matched(path)
        found: list[Found] = []
        for number, rule in enumerate(RULES):
            grouped = events if rule.by_bundle else events.assign(g="")
            found += [
                (number, row.Index[0], row.start, row.last, row.peak)
                for row in episodes(grouped, rule).itertuples()
            ]
        return found

    return work
