"""A terminal: bars while a run works, quiet logs, and no bars where nobody is looking."""

import asyncio
import io
import os
import pty
import re
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.cli.drawing import drawn
from service.domain.progress import Phase, Progress
from tests.support.forked import start_forked
from tests.support.processes import environment, unpaced
from tests.support.rows import MONTH, account, accounts, write_source
from tests.support.waiting import PATIENCE_S, wait_until


def _at_a_terminal(folder: Path, *arguments: str, **values: str) -> tuple[str, str, int]:
    """Run `risk-alerts` with stderr on a terminal; return stdout, what was shown, the exit code."""
    return _interrupted(folder, arguments, values, when=lambda: False)


def _interrupted(
    folder: Path, arguments: Sequence[str], values: Mapping[str, str], *, when: Callable[[], bool]
) -> tuple[str, str, int]:
    """Do the same, and interrupt it as Ctrl-C does once `when` says so."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []
    out = folder / "stdout"
    out.write_text("")

    def read() -> None:
        try:
            while chunk := os.read(ours, 4096):
                shown.append(chunk)
        except OSError:
            return  # how Linux says that the other side was closed

    try:
        process = start_forked(
            arguments,
            folder=folder,
            env=environment(**unpaced(folder, **{"TERM": "xterm", "COLUMNS": "120", **values})),
            streams=(os.devnull, out, os.ttyname(theirs)),
        )
        reading = threading.Thread(target=read)
        reading.start()
        wait_until(lambda: process.poll() is not None or when(), what="it has ended, or is to be interrupted")
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        code = process.wait(PATIENCE_S)
        os.close(theirs)
        reading.join()
    finally:
        os.close(ours)
    return out.read_text(), b"".join(shown).decode(), code


def test_bars_show_the_delivery(tmp_path: Path, slack: RunningMock) -> None:
    """On stderr, so that stdout can go into a file; the logs say only what deserves attention."""
    slack.script("amer-risk-alerts", Step(delay_s=0.8))
    source = write_source(tmp_path / "a.parquet", [*accounts(4), account(9, account_region="LATAM")])
    variables = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
    out, shown, code = _at_a_terminal(tmp_path, "run", source, "--month", MONTH, **variables)
    assert code == 2
    assert "delivering" in shown
    assert "/4" in shown
    assert "run_started" not in shown
    assert "run_finished" in shown
    assert "5 alerts = 4 sent + 1 failed" in out
    assert "delivering" not in out


def test_a_log_level_that_was_asked_for_is_kept(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """LOG_LEVEL=INFO at a terminal means INFO."""
    values = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url, "LOG_LEVEL": "INFO"}
    _, shown, code = _at_a_terminal(tmp_path, "run", source, "--month", MONTH, **values)
    assert code == 0
    assert "run_started" in shown


def test_data_and_names_cannot_play_with_the_terminal(tmp_path: Path, slack: RunningMock) -> None:
    """An account's id, a file's name, a channel and who settled: on stdout, in the log, and in errors."""
    attack = "\x1b]0;owned\x07\x9b2J\u202eevil\u2066"
    (folder := tmp_path / attack).mkdir()
    source = write_source(
        folder / "a.parquet", [account(attack, account_name=attack, account_region="LATAM")]
    )
    slack.script("amer-risk-alerts", Step(drop="after"))
    write_source(tmp_path / "b.parquet", [account(f"b{attack}", account_name=attack)])
    values = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url, "LOG_LEVEL": "INFO"}
    said = []
    for arguments in (
        ("run", str(folder / "a.parquet"), "--month", MONTH),
        ("run", str(tmp_path / "b.parquet"), "--month", MONTH),
        ("preview", source, "--month", MONTH, "--json"),
        ("runs",),
        ("run", f"{attack}://x", "--month", MONTH),
        ("runs", "show", attack),
        (f"--{attack}",),
        ("sample-data", f"{attack}/none/x.parquet"),
    ):
        out, shown, _ = _at_a_terminal(tmp_path, *arguments, **values)
        assert out + shown
        said.append(out + shown)
    with sqlite3.connect(tmp_path / "risk_alerts.db") as ledger:
        [run_id] = ledger.execute("SELECT run_id FROM run_outcomes WHERE outcome = 'unknown'").fetchone()
    said += _at_a_terminal(tmp_path, "settle", "--run", run_id, "--as", "sent", "--by", attack, **values)[:2]
    text = "".join(said)
    assert text.count("owned") > 10
    for character in ("\x1b]", "\x07", "\x9b", "\u202e", "\u2066"):
        assert character not in text, repr(character)


def _screen(shown: str) -> list[str]:
    """Return the lines that a terminal would have in the end."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", shown):
        if part == "\r":
            column = 0
        elif part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[2K":
            lines[row] = ""
        elif part.endswith("A"):
            row = max(0, row - int(part[2:-1] or 1))
        elif not part.startswith("\x1b"):
            lines[row] = lines[row][:column].ljust(column) + part + lines[row][column + len(part) :]
            column += len(part)
    return [line.rstrip() for line in lines if line.strip()]


def test_nothing_is_left_over_on_the_terminal_after_ctrl_c(tmp_path: Path, slack: RunningMock) -> None:
    """No bar and no hidden cursor: what stands there in the end is what was said."""
    slack.script("amer-risk-alerts", Step(delay_s=0.2, times=100))
    source = write_source(tmp_path / "a.parquet", accounts(20))
    values = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url, "SLACK_CONCURRENCY": "1", "COLUMNS": "400"}
    run = ("run", source, "--month", MONTH)
    _, shown, code = _interrupted(tmp_path, run, values, when=lambda: slack.stats().total.accepted > 1)
    assert code == 1
    assert "delivering" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l") > -1
    lines = _screen(shown)
    assert lines[0].startswith("risk-alerts: stopping")
    assert lines[-1].startswith("risk-alerts: interrupted: ")
    assert not [line for line in lines if "\u2501" in line or "/20" in line]


async def test_a_phase_ends_at_its_total(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar that was left behind between two looks is full, and its rows are those of the ledger."""
    progress = Progress(phase=Phase.SCANNING, rows_done=1, rows_total=90)
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    async with drawn(progress):
        await asyncio.sleep(0)
        progress.rows_done = progress.rows_total = 80
        progress.phase = Phase.DELIVERING
        progress.alerts_queued = progress.alerts_settled = 4
    last = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", screen.getvalue())
    assert "80/80" in last
    assert "4/4" in last
    assert "/90" not in last[last.rfind("80/80") :]
