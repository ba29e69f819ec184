"""The shape of a made-up source: a plain value, so that a parent can name one without loading NumPy."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FIRST_EXTRA: Final = "extra_"
LAYOUTS: Final = ("by-month", "shuffled", "by-account")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How many accounts and months there are, and how their rows lie in files."""

    accounts: int
    months: int = 36
    month: str = "2026-01-01"
    """The last month, and the one to evaluate."""
    layout: str = "by-month"
    row_group_size: int = 1_048_576
    """PyArrow's and so pandas' own default, as most files have it."""
    extra_columns: int = 0
    files: int = 1
    hive: bool = False
    """One folder a month, whose files have no month column."""
    compression: str = "snappy"
    seed: int = 7

    @property
    def name(self) -> str:
        """A folder name that tells shapes apart."""
        parts = [f"{self.accounts}x{self.months}", self.layout, f"rg{self.row_group_size}", self.compression]
        parts += [f"extra{self.extra_columns}"] if self.extra_columns else []
        parts += [f"files{self.files}"] if self.files > 1 else []
        parts += ["hive"] if self.hive else []
        return "-".join([*parts, f"to{self.month}", f"seed{self.seed}"])


def cache_directory() -> Path:
    """Return where made-up files are kept between benchmarks: `BENCH_DATA`, or a folder of the temp dir."""
    return Path(os.environ.get("BENCH_DATA") or Path(tempfile.gettempdir()) / "risk-alerts-benchmarks")
