"""Scoring: companies a second by the table, by a file, and the way of a DataFrame for each row."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import orjson

from benchmarks.measure import SERVICE, Used, median_of, run
from benchmarks.report import Section, Target
from benchmarks.serving import serving

ROWS: Final = {"small": 200_000, "full": 1_000_000}
ROUNDS: Final = 3
POSTS: Final = {"small": 500, "full": 3_000}
WARM: Final = 20
"""Requests before those that are measured: the first ones load what a start does without."""
STATEMENT: Final = {
    "reporting_year": 2025,
    "long_term_debt_to_total_capital": 64.5,
    "total_debt_to_ebitda": -3.2,
    "net_income_margin": -12.3,
    "ebit_to_interest_expense": -1.1,
    "return_on_assets": "NM",
}


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
        job = median_of([_job(source, Path(folder) / f"{number}.db") for number in range(ROUNDS)])
    section = Section(
        title="Scoring companies",
        about=(
            f"{rows:,} companies, five ratios, the annual model that comes with it; the median of {ROUNDS} "
            "rounds, by CPU. The table: probabilities, contributions, flags and the order of the reasons, "
            "from arrays. The file: `risk-alerts score` of CSV to Parquet, the whole process. A bulk job: "
            "the same into predictions, companies and what became of each row, in durable transactions of "
            "4,096; the whole process with its start. A DataFrame a row: scikit-learn's own estimator asked "
            "company by company, as the reference does."
        ),
        header=("", "companies a second of CPU", "by the clock", "peak RSS, MB"),
    )
    median_table, median_frame = sorted(table)[ROUNDS // 2], sorted(frame)[ROUNDS // 2]
    section.rows = [
        ("the table", f"{median_table:,.0f}", "", ""),
        ("a file", *_rates(rows, file)),
        ("a bulk job into SQLite", *_rates(rows, job)),
        ("a DataFrame a row", f"{median_frame:,.0f}", "", ""),
    ]
    section.targets = [
        Target("the table, millions a second", median_table / 1e6, 2, at_least=True, unit="M/s"),
        Target("a file, thousands a second", rows / file.cpu_s / 1e3, 30, at_least=True, unit="k/s"),
        Target("a bulk job, thousands a second", rows / job.cpu_s / 1e3, 30, at_least=True, unit="k/s"),
        Target("a bulk job, peak RSS", job.rss_mb, 300, unit="MB"),
    ]
    return [section, _posting(POSTS[size])]


def _job(source: Path, ledger: Path) -> Used:
    """Score a file as a bulk job does, in a process of its own with a ledger of its own."""
    used = run([sys.executable, "-m", "benchmarks.scoring_job", str(source), str(ledger)])
    ledger.unlink()
    return used


def _rates(rows: int, used: Used) -> tuple[str, str, str]:
    return f"{rows / used.cpu_s:,.0f}", f"{rows / used.wall_s:,.0f}", f"{used.rss_mb:.0f}"


def _posting(count: int) -> Section:
    """Measure single statements over HTTP, one after the other: scored only, and kept."""
    section = Section(
        title="One statement over HTTP",
        about=(
            f"{count:,} POSTs over one connection to a service beside this process, SQLite, each of another "
            "company: scored only, and kept with the company that it adds (a transaction, durable)."
        ),
        header=("", "median, ms", "p99, ms", "the service's CPU, ms"),
    )
    with serving({"LIMIT_CHANGES": "1000000/second"}) as service:
        service.until_healthy()
        connection = service.connect()
        for name, path, target in (
            ("scored", "/api/v1/predictions/annual/score", None),
            ("kept", "/api/v1/predictions/annual", 20),
        ):
            taken: list[float] = []
            before = 0.0
            for number in range(WARM + count):
                if number == WARM:
                    before = service.cpu_s()
                body = orjson.dumps(STATEMENT | {"company_symbol": f"C{number}"})
                began = time.perf_counter()
                connection.request("POST", path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                taken.append((time.perf_counter() - began) * 1000)
                if answer.status not in {200, 201}:
                    raise RuntimeError(text.decode())
            cpu_ms = (service.cpu_s() - before) * 1000 / count
            taken = sorted(taken[WARM:])
            middle, late = taken[len(taken) // 2], taken[len(taken) * 99 // 100]
            section.rows.append((name, f"{middle:.1f}", f"{late:.1f}", f"{cpu_ms:.1f}"))
            if target is not None:
                section.targets.append(Target("a POST that is kept, p99", late, target, unit="ms"))
    return section
