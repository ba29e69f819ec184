"""The documents, and the commands in their console blocks.

A page is written for a person, and so are its conventions: a line that begins with `$ ` is a command (which
goes on after a backslash and until the end of a here-document), what follows is what it prints. A command
succeeds, unless a comment behind it says `exit code N`. A page that says that its commands "go on where
[X](page#section) ends" is read after that section.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.processes import ROOT

DOCUMENTS: Final = [
    *(path for each in (".", "docs", "deploy", "mock_slack") for path in sorted((ROOT / each).glob("*.md"))),
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]
ELSEWHERE: Final = ("aws", "docker", "gcloud", "git", "kubectl")
"""Programs for which a test has no account, no engine, or no network."""
ALREADY_DONE: Final = re.compile(r"make (install|test|fault|load|bench|lint|types|lock|serve)\b")
"""What stands ready before the test, is the test itself, or takes too long for one; CI does these."""
_BLOCK: Final = re.compile(r"^( *)```(console|json)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_GOES_ON: Final = re.compile(r"go(?:es)?\s+on\s+where\s+\[[^\]]+\]\(([^)#]*)#([^)]+)\)\s+ends")
_EXIT_CODE: Final = re.compile(r"#.*\bexit code (\d+)")


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, what the page shows it to print (nothing is shown: empty), and its exit code."""

    where: str
    command: str
    shown: str = ""
    exit_code: int = 0

    @property
    def is_carried_out(self) -> bool:
        """Whether a test can do it."""
        return self.command.split()[0] not in ELSEWHERE and not ALREADY_DONE.match(self.command)


def steps_of(page: Path, *, with_what_it_goes_on: bool = True) -> list[Step]:
    """Return the commands of a page, after those of the section on which it goes on."""
    text = page.read_text(encoding="utf-8")
    before: list[Step] = []
    if with_what_it_goes_on and (found := _GOES_ON.search(text)):
        earlier = (page.parent / found[1]).resolve()
        before = list(_steps(earlier, section(earlier.read_text(encoding="utf-8"), found[2])))
    return before + list(_steps(page, text))


def section(text: str, anchor: str) -> str:
    """Return the text under a heading, up to the next one of its level; nothing if there is none."""
    for found in re.finditer(r"^(#+) (.+)$", text, re.MULTILINE):
        if anchor_of(found[2]) == anchor:
            rest = text[found.end() :]
            end = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
            return rest[: end.start()] if end else rest
    return ""


def anchor_of(heading: str) -> str:
    """Return what a link to a heading has after `#`."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def _steps(page: Path, text: str) -> Iterator[Step]:
    last: Step | None = None
    end = 0
    for block in _BLOCK.finditer(text):
        lines = [line.removeprefix(block[1]) for line in block[3].splitlines()]
        if block[2] == "json":
            # Right behind a command it is what the command prints.
            if last is not None and not last.shown and not text[end : block.start()].strip():
                last = Step(last.where, last.command, "\n".join(lines), last.exit_code)
        else:
            if last is not None:
                yield last
            *complete, last = _commands(page.name, lines)
            yield from complete
        end = block.end()
    if last is not None:
        yield last


def _commands(page: str, lines: Iterable[str]) -> Iterator[Step]:
    rest = iter(lines)
    command, shown = "", []
    for line in rest:
        if not line.startswith("$ "):
            assert command, f"{page}: a console block begins with a command, not with {line!r}"
            shown.append(line)
            continue
        if command:
            yield _step(page, command, shown)
        command, shown = line.removeprefix("$ "), []
        here = re.search(r"<<'?(\w+)'?", line)
        while (here and command.rpartition("\n")[2] != here[1]) or command.endswith("\\"):
            command += "\n" + next(rest)
    if command:
        yield _step(page, command, shown)


def _step(page: str, command: str, shown: list[str]) -> Step:
    said = _EXIT_CODE.search(command)
    return Step(page, command, "\n".join(shown), int(said[1]) if said else 0)
