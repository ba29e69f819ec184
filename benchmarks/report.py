"""The report: sections of measured figures, printed for a person and written as docs/benchmarks.md."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

TIMES: Final = "\N{MULTIPLICATION SIGN}"
ORDER: Final = (
    "Evaluate, ",
    "Row groups",
    "Accounts",
    "Logs",
    "Memory",
    "Wide files",
    "Evaluations at once",
    "Object storage",
    "Deliver",
    "Start",
    "Asking",
    "Scoring",
    "One statement",
    "Alerts",
)
"""How the sections of the document begin."""
_ORIGIN: Final = """\
Written by `make bench SIZE=full`; nothing here is typed. Trust ratios, not seconds. Each section is what the
last run of its part found."""
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
        what, measured, limit, verdict = self.row()
        return f"{what}: {measured} ({limit}) {verdict}"

    def row(self) -> Sequence[str]:
        """Return it as a row of a table."""
        sign = "≥" if self.at_least else "≤"
        verdict = "met" if self.met else "**missed**"
        return self.what, f"{self.measured:.3g} {self.unit}", f"{sign} {self.limit:g} {self.unit}", verdict


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
        targets = _table(("target", "measured", "limit", ""), [target.row() for target in self.targets])
        return "\n".join(
            [
                f"## {self.title}\n",
                f"{self.about}\n",
                *_table(self.header, self.rows),
                *(["", *(f"- {note}" for note in self.notes)] if self.notes else []),
                *(["", *targets] if self.targets else []),
                "",
            ]
        )


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]


def document(sections: Iterable[str], *, size: str) -> str:
    """Return the whole document, with the machine, the versions and the command."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {platform.system()} {platform.release()}"
    )
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return "\n".join(
        [
            "# Benchmarks\n",
            f"{_ORIGIN}\n",
            f"- Machine: {machine}",
            f"- Versions: Python {platform.python_version()}, {libraries}",
            f"- Command: `make bench SIZE={size}`; one part alone: `make bench SIZE={size} ONLY=evaluate`\n",
            *sections,
        ]
    )


def write(sections: Iterable[Section], path: Path, *, size: str) -> None:
    """Write the document; of what was not measured now, it keeps what it says."""
    pieces = path.read_text().split("\n## ")[1:] if path.exists() else []
    texts = {piece.partition("\n")[0]: f"## {piece.rstrip()}\n" for piece in pieces}
    texts |= {section.title: section.markdown() for section in sections}
    ordered = [texts[title] for title in sorted(texts, key=_place)]
    path.write_text(document(ordered, size=size).rstrip() + "\n")


def _place(title: str) -> int:
    """Return which place a section has in the document; unknown ones are last."""
    places = (place for place, start in enumerate(ORDER) if title.startswith(start))
    return next(places, len(ORDER))


def _processor() -> str:
    names = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()
