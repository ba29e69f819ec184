"""Measuring: children in processes of their own, with what they used; this process itself stays small.

A child's `ru_maxrss` begins with what its parent held when it was started, so nothing here may import Arrow.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.data_shape import Shape
from benchmarks.report import Target

THREADS: Final = 2
TIME_LIMIT_S: Final = 1_800
SERVICE: Final = (sys.executable, "-m", "benchmarks.without_pandas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one child took."""

    wall_s: float
    cpu_s: float
    rss_mb: float
    """At its peak."""
    import_s: float = 0.0
    """Of loading its libraries, not part of `wall_s` and `cpu_s`; 0 where it was not told apart."""
    counting_s: float = 0.0
    """CPU of counting the matched rows of a log, part of `cpu_s`; 0 where it was not told apart."""
    output: str = ""


def median_of(runs: Sequence[Used]) -> Used:
    """Return the median of each figure by itself."""
    return Used(
        wall_s=median(run.wall_s for run in runs),
        cpu_s=median(run.cpu_s for run in runs),
        rss_mb=median(run.rss_mb for run in runs),
        import_s=median(run.import_s for run in runs),
        counting_s=median(run.counting_s for run in runs),
    )


def ratio(figure: str, runs: Sequence[Used], others: Sequence[Used]) -> float:
    """Return the median of the ratios of two contestants' figures, round by round, as many as both have."""
    pairs = zip(runs, others, strict=False)
    return median(float(getattr(one, figure)) / float(getattr(other, figure)) for one, other in pairs)


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None, ok: Sequence[int] = (0,)) -> Used:
    """Run a child to its end, whole; raises RuntimeError with its last words if it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=errors, env=clean_environment(env))
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        text = output.read()
        if child.returncode not in ok:
            last_words = (errors.read() + text)[-3_000:]
            raise RuntimeError(f"{' '.join(command)} ended with {child.returncode}:\n{last_words}")
    return Used(
        wall_s=wall, cpu_s=usage.ru_utime + usage.ru_stime, rss_mb=usage.ru_maxrss / 1024, output=text
    )


def clean_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child of the service: nobody's settings, and a database of nobody."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "BENCH_DATA", "TZDIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return environment | {"POLARS_MAX_THREADS": str(THREADS), "SCAN_THREADS": str(THREADS)} | dict(more or {})


def run_side(side: str, formulation: str, source: Path, *, month: str, answer: Path) -> Used:
    """Run one side of the comparison; its own import time is told apart."""
    command = [sys.executable, "-m", "benchmarks.side", side, str(source)]
    command += ["--month", month, "--formulation", formulation]
    command += ["--threads", str(THREADS), "--answer", str(answer)]
    return Used(**json.loads(run(command).output))


def preview(source: str, *, month: str, env: Mapping[str, str] | None = None) -> Used:
    """Run `risk-alerts preview --json`, whole process, import and all."""
    with tempfile.TemporaryDirectory() as folder:
        database = {"DATABASE_URL": f"sqlite:///{folder}/preview.db"}
        command = [*SERVICE, "preview", source, "--month", month, "--json", "--limit", "1"]
        return run(command, env=database | dict(env or {}))


def bound(shape: Shape, runs: Sequence[Used]) -> Target:
    """Hold previews of a shape to the memory that `plan` states for it."""
    at_risk = json.loads(runs[0].output)["ledger"]["at_risk"]
    stated = stated_mb(made(shape).as_uri(), month=shape.month, accounts=shape.accounts, at_risk=at_risk)
    largest = max(one.rss_mb for one in runs)
    return Target(f"peak RSS, {shape.layout}, against `plan`'s bound of {stated:.0f} MB", largest / stated, 1)


def stated_mb(source: str, *, month: str, accounts: int, at_risk: int) -> float:
    """Return the memory that `risk-alerts plan` bounds a run by, for so many accounts."""
    said = json.loads(run([*SERVICE, "plan", source, "--month", month, "--json"]).output)["memory_bytes"]
    each = accounts * said["each_account"] + at_risk * said["each_account_at_risk"]
    return float(said["process"] + said["reading"] + each) / 2**20


def made(shape: Shape) -> Path:
    """Return the file or folder of `shape`, made by a child when there is none yet, and in the page cache."""
    command = [sys.executable, "-m", "benchmarks.make_data"]
    for name, value in asdict(shape).items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            command.append(flag)
        elif value is not False:
            command += [flag, str(value)]
    source = Path(run(command).output.strip())
    for path in [source] if source.is_file() else source.glob("**/*.parquet"):
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
    return source
