"""`python -m benchmarks --size small|full [--only NAME …]`: run, print what was found, write the document.

Only the full size is worth writing down: it replaces docs/benchmarks.md, keeping what an earlier call found
where a benchmark was not run. The targets are for the full size; at the small one they only show the way.
"""

import argparse
import importlib
import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks import report
from benchmarks.data_shape import cache_directory
from benchmarks.report import Section, Target

BENCHMARKS: Final = ("evaluate", "logs", "memory", "storage", "deliver", "start")
DOCUMENT: Final = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--size", choices=("small", "full"), default="small")
    parser.add_argument("--only", nargs="*", choices=BENCHMARKS, default=())
    arguments = parser.parse_args()
    found = _load(arguments.size)
    for name in arguments.only or BENCHMARKS:
        started = time.perf_counter()
        found[name] = importlib.import_module(f"benchmarks.{name}").bench(arguments.size)
        for section in found[name]:
            print(section.markdown(), flush=True)
        print(f"({name} took {time.perf_counter() - started:.0f} s)\n", flush=True)
        _save(arguments.size, found)
    if arguments.size == "full":
        sections = [section for name in BENCHMARKS for section in found.get(name, [])]
        report.write(sections, DOCUMENT, size=arguments.size)
        print(f"written: {DOCUMENT.name}")


def _results(size: str) -> Path:
    return cache_directory() / f"results-{size}.json"


def _load(size: str) -> dict[str, list[Section]]:
    """Return what earlier calls found on this machine."""
    if not _results(size).exists():
        return {}
    kept = json.loads(_results(size).read_text())
    return {
        name: [
            Section(**{**one, "targets": [Target(**target) for target in one["targets"]]}) for one in sections
        ]
        for name, sections in kept.items()
    }


def _save(size: str, found: dict[str, list[Section]]) -> None:
    _results(size).parent.mkdir(parents=True, exist_ok=True)
    kept = {name: [asdict(section) for section in sections] for name, sections in found.items()}
    _results(size).write_text(json.dumps(kept))


if __name__ == "__main__":
    main()
