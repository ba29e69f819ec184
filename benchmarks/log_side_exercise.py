"""The reference's way, in pandas: every column is read, and every row gets the count of its window."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.log_side import RULES, Found, Work


def load(formulation: str, threads: int) -> Work:
    """Import pandas; it has no threads to be given."""
    del formulation, threads
    import pandas as pd  # noqa: PLC0415 - importing is what is timed

    def work(path: Path) -> Sequence[Found]:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)
        rows["date"] = pd.to_datetime(rows["date"], format="ISO8601")
        rows = rows.sort_values("date")
        fatal = rows[rows["severity"] == "fatal"].set_index("date")
        ones = fatal.assign(one=1)
        everything, by_bundle = RULES
        all_counts = ones["one"].rolling(f"{everything.window}us").count()
        bundle_counts = ones.groupby("bundle_id")["one"].rolling(f"{by_bundle.window}us").count()
        # One alert for each row, which is not what is compared.
        (all_counts > everything.more_than).sum()
        (bundle_counts > by_bundle.more_than).sum()
        return []

    return work
