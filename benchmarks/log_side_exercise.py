"""The reference's way, in pandas: every column is read, every row is counted, and may become an alert."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.log_side import RULES, Asked, Found, Work


def load(formulation: str, threads: int) -> Work:
    """Import pandas; it has no threads to be given. Columns are text, or what pandas takes them for."""
    del threads
    import pandas as pd  # noqa: PLC0415 - importing is what is timed

    kind = str if formulation == "text" else None

    def work(path: Path) -> Sequence[Found]:
        rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=kind)
        rows["date"] = pd.to_datetime(rows["date"], format="ISO8601")
        fatal = rows[rows["severity"] == "fatal"].sort_values("date").set_index("date")
        alerts = [alert for rule in RULES for alert in _alerts(fatal, rule)]
        # Its answer are alerts of rows, which cannot be compared with episodes.
        del alerts
        return []

    return work


def _alerts(fatal: Any, rule: Asked) -> Sequence[Any]:
    """Return what is known of each row whose window holds too many: when, of whom, and how many."""
    column = fatal.assign(one=1)["one"]
    windows = (column.groupby(fatal["bundle_id"]) if rule.by_bundle else column).rolling(f"{rule.window}us")
    counts = windows.count()
    return list(counts[counts > rule.more_than].items())
