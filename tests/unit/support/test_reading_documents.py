"""What the documents' runner takes for a command, and for the output that a page shows."""

import re
from pathlib import Path

import pytest

from tests.support.documents import DOCUMENTS, Step, anchor_of, steps_of
from tests.support.shown_output import ids_as_shown

RUN = "20261121T170408Z-8b2ed901"
OTHER_RUN = "20270101T000000Z-00000001"


def page(folder: Path, text: str, name: str = "page.md") -> Path:
    """Write a page."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_commands_and_what_they_print(tmp_path: Path) -> None:
    """A command goes on after a backslash and until the end of a here-document; the rest is output."""
    text = "```console\n$ cat > a <<'END'\n$ 1\nEND\n$ b \\\n    c   # exit code 2\nprinted\n…\n```\n"
    assert steps_of(page(tmp_path, text)) == [
        Step("page.md", "cat > a <<'END'\n$ 1\nEND"),
        Step("page.md", "b \\\n    c   # exit code 2", "printed\n…", 2),
    ]


def test_json_behind_a_command_is_what_it_prints(tmp_path: Path) -> None:
    """And json anywhere else is only read."""
    text = '```console\n$ a\n```\n```json\n{"b": 1}\n```\nAlso:\n\n```json\n{}\n```\n'
    assert steps_of(page(tmp_path, text)) == [Step("page.md", "a", '{"b": 1}')]


def test_a_page_goes_on_where_a_section_ends(tmp_path: Path) -> None:
    """The commands of that section come first, those of others do not."""
    page(
        tmp_path,
        "## Try it\n```console\n$ a\n```\n### More\n```console\n$ b\n```\n## C\n```console\n$ c\n```\n",
        "R.md",
    )
    text = "These go on\nwhere [Try it](R.md#try-it)\nends.\n```console\n$ d\n```\n"
    assert [step.command for step in steps_of(page(tmp_path, text))] == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("command", "is_carried_out"),
    [("make demo", True), ("make test", False), ("docker build .", False), ("risk-alerts runs", True)],
)
def test_what_a_test_cannot_do_is_left_out(command: str, *, is_carried_out: bool) -> None:
    """Other people's programs, and the tests themselves; nothing of the service's own."""
    assert Step("page.md", command).is_carried_out is is_carried_out


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("55 alerts", "55 alerts"),
        ("Run …: succeeded, 1.8 s", "Run x: succeeded, 12 s"),
        ("a\n…\nd", "a\nb\nc\nd"),
        ("a\n…", "a"),
        ("│ a │ b │", "│ a    │   b │"),
        ("at 2026-11-21 17:04:08Z", "at 2027-01-01 00:00:00Z"),
        ('{"a": 1, "…": "…"}', '{"a": 1, "b": 2}'),
        ('{"a": ["x", "…"]}', '{"a": ["x", "y"]}'),
        ('{"a": "x…"}', '{"a": "x\\ny"}'),
    ],
)
def test_output_as_shown(shown: str, printed: str) -> None:
    """What differs each time is let differ, and so is what the page leaves out."""
    assert ids_as_shown(shown, printed) == {}


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("55 alerts", "54 alerts"),
        ("55 alerts", "55 alerts\nand more"),
        ("a\n…\nd", "a\nb\nc"),
        ("│ a │ b │", "│ a │ c │"),
        ('{"a": 1}', '{"a": 1, "b": 2}'),
        ('{"a": 1, "…": "…"}', '{"b": 2}'),
        ('{"a": ["x"]}', '{"a": ["x", "y"]}'),
        ('{"a": ["x", "y", "…"]}', '{"a": ["x"]}'),
        ('{"a": 1}', '{"a": true}'),
        (f"{RUN} {RUN}", f"{RUN} {OTHER_RUN}"),
    ],
)
def test_output_other_than_shown(shown: str, printed: str) -> None:
    """A figure, a line, a key or an item too many, too few, or another one."""
    assert ids_as_shown(shown, printed) is None


@pytest.mark.parametrize("shown", [f"Run {RUN}: …", f'{{"run_id": "{RUN}"}}'])
def test_ids_are_learned(shown: str) -> None:
    """The id that a page shows stands for the one that was printed, as it does for a reader."""
    printed = shown.replace(RUN, OTHER_RUN)
    assert ids_as_shown(shown, printed) == {RUN: OTHER_RUN}


def test_headings_lead_where_links_say() -> None:
    """As GitHub makes anchors."""
    assert anchor_of('What "exactly once" can mean here') == "what-exactly-once-can-mean-here"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_command_is_hidden_from_the_runner(document: Path) -> None:
    """Commands stand in console blocks: no other kind of block holds them, and no indented one."""
    text = document.read_text(encoding="utf-8")
    assert not re.search(r"^ *```(sh|bash|shell)", text, re.MULTILINE)
    without_blocks = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert not re.search(r"^    +(\$|risk-alerts|make|python|curl) ", without_blocks, re.MULTILINE)
