"""The report: sections of measured figures, printed for a person and written as docs/benchmarks.md."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

TIMES: Final = "\N{MULTIPLICATION SIGN}"
LIBRARIES: Final = (
    "pyarrow",
    "numpy",
    "duckdb",
    "polars",
    "pandas",
    "aiohttp",
    "sqlalchemy",
    "fastapi",
    "uvicorn",
)


@dataclass(frozen=True, slots=True)
class Target:
    """One promise and what became of it."""

    what: str
    measured: float
    limit: float
    at_least: bool = False
    unit: str = TIMES

    @property
    def met(self) -> bool:
        """Whether it holds."""
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "**not met**"
        return f"{self.what}: {self.measured:.3g} {self.unit} ({sign} {self.limit:g} {self.unit}) {verdict}"


@dataclass(slots=True)
class Section:
    """What one benchmark found."""

    title: str
    about: str
    """One paragraph: what was done, and how it was measured."""
    header: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the section as the document has it."""
        table = [self.header, ["---"] * len(self.header), *self.rows]
        return "\n".join(
            [
                f"## {self.title}\n",
                f"{self.about}\n",
                *(f"| {' | '.join(row)} |" for row in table),
                *(["", *(f"- {note}" for note in self.notes)] if self.notes else []),
                *(["", "Targets:\n", *(f"- {target}" for target in self.targets)] if self.targets else []),
                "",
            ]
        )


def document(sections: Iterable[Section], *, size: str) -> str:
    """Return the whole document, with the machine, the versions and the command."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {platform.system()} {platform.release()}"
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return "\n".join(
        [
            "# Benchmarks\n",
            "Written by `make bench SIZE=full`; nothing here is typed. Trust ratios, not seconds.\n",
            f"- Machine: {machine}",
            f"- Versions: Python {platform.python_version()}, {libraries}",
            f"- Command: `make bench SIZE={size}`; one part alone: `make bench SIZE={size} ONLY=evaluate`\n",
            *(section.markdown() for section in sections),
        ]
    )


def write(sections: Iterable[Section], path: Path, *, size: str) -> None:
    """Write the document."""
    path.write_text(document(sections, size=size).rstrip() + "\n")


def _processor() -> str:
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()
