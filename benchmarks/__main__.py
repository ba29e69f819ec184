"""`python -m benchmarks --size small|full [--only NAME …]`: run, print what was found, write the document.

Only the full size is worth writing down: its sections take the place of those that docs/benchmarks.md has, as
soon as each benchmark has ended. All targets are printed together at the end; they are for the full size, and
at the small one they only show the way.
"""

import argparse
import importlib
import time
from pathlib import Path
from typing import Final

from benchmarks import report

BENCHMARKS: Final = (
    "evaluate",
    "scale",
    "logs",
    "logs_day",
    "memory",
    "storage",
    "deliver",
    "start",
    "asking",
    "scoring",
    "alerts",
)
DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--only", nargs="*", choices=BENCHMARKS, default=())
    arguments = parser.parse_args()
    targets: list[str] = []
    for name in arguments.only or BENCHMARKS:
        started = time.perf_counter()
        sections = importlib.import_module(f"benchmarks.{name}").bench(arguments.size)
        for section in sections:
            print(section.markdown(), flush=True)
        print(f"({name} took {time.perf_counter() - started:.0f} s)\n", flush=True)
        targets += [f"{section.title}: {target}" for section in sections for target in section.targets]
        if arguments.size == "full":
            report.write(sections, DOCUMENT, size=arguments.size)
    print("\n".join(targets))


if __name__ == "__main__":
    main()
