"""Scoring: companies a second by the table, by a file, and the way of a DataFrame for each row."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.measure import SERVICE, median_of, run
from benchmarks.report import Section, Target

ROWS: Final = {"small": 200_000, "full": 1_000_000}
ROUNDS: Final = 3


def bench(size: str) -> list[Section]:
    """Return the section."""
    rows = ROWS[size]
    table = [
        float(run([sys.executable, "-m", "benchmarks.scoring_table", str(rows)]).output)
        for _ in range(ROUNDS)
    ]
    frame = [float(run([sys.executable, "-m", "benchmarks.scoring_frames"]).output) for _ in range(ROUNDS)]
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "companies.csv", Path(folder) / "scores.parquet"
        subprocess.run(
            [*SERVICE, "sample-data", "--kind", "companies", source, "--companies", str(rows)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        file = median_of([run([*SERVICE, "score", str(source), "--out", str(out)]) for _ in range(ROUNDS)])
    section = Section(
        title="Scoring companies",
        about=(
            f"{rows:,} companies, five ratios, the annual model that comes with it; the median of {ROUNDS} "
            "rounds, by CPU. The table: probabilities, contributions, flags and the order of the reasons, "
            "from arrays. The file: `risk-alerts score` of CSV to Parquet, the whole process. A DataFrame a "
            "row: scikit-learn's own estimator asked company by company, as the reference does."
        ),
        header=("", "companies a second of CPU", "peak RSS, MB"),
    )
    median_table, median_frame = sorted(table)[ROUNDS // 2], sorted(frame)[ROUNDS // 2]
    section.rows = [
        ("the table", f"{median_table:,.0f}", ""),
        ("a file", f"{rows / file.cpu_s:,.0f}", f"{file.rss_mb:.0f}"),
        ("a DataFrame a row", f"{median_frame:,.0f}", ""),
    ]
    section.targets = [
        Target("the table, millions a second", median_table / 1e6, 2, at_least=True, unit="M/s"),
        Target("a file, thousands a second", rows / file.cpu_s / 1e3, 30, at_least=True, unit="k/s"),
    ]
    return [section]
