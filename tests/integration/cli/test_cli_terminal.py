"""A terminal: bars while a run works, quiet logs, and no bars where nobody is looking."""

import os
import pty
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import environment, unpaced
from tests.support.rows import MONTH, account, accounts, write_source


def _at_a_terminal(folder: Path, *arguments: str, **values: str) -> tuple[str, str, int]:
    """Run `risk-alerts` with stderr on a terminal; return stdout, what was shown, the exit code."""
    ours, theirs = pty.openpty()
    shown: list[bytes] = []

    def read() -> None:
        try:
            while chunk := os.read(ours, 4096):
                shown.append(chunk)
        except OSError:
            return  # how Linux says that the other side was closed

    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", *arguments],
            cwd=folder,
            env=environment(**unpaced(folder, TERM="xterm", COLUMNS="120", **values)),
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
        )
        os.close(theirs)
        reading = threading.Thread(target=read)
        reading.start()
        out, _ = process.communicate(timeout=60)
        reading.join()
    finally:
        os.close(ours)
    return out, b"".join(shown).decode(), process.returncode


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
