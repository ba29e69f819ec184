"""The command line's own parts: help, exit codes, sources, tables."""

import inspect
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from service.api.examples import examples
from service.api.schemas.alert import AlertsOut
from service.api.schemas.managed_alert import AlertEventOut, ManagedAlertOut
from service.api.schemas.preview import PreviewOut
from service.api.schemas.run import RunOut, RunsOut
from service.cli.command import parsed_source
from service.cli.commands import commands
from service.cli.exit_codes import EXIT_CODES_HELP
from service.cli.lifecycle.tables import print_list, print_one
from service.cli.tables import print_tables

RUN = examples()["run"]
PREVIEW = examples()["preview"]
[RESTATED] = examples()["restated"]["alerts"]
WITHDRAWN = examples()["withdrawn"]["withdrawn"][0]
HEAVY = (
    "aiohttp",
    "fastapi",
    "aiobotocore",
    "google",
    "numpy",
    "pyarrow",
    "pydantic",
    "rich",
    "service.domain.run",
    "sqlalchemy",
    "structlog",
)


def _said(*arguments: str) -> str:
    done = CliRunner().invoke(commands, arguments, prog_name="risk-alerts")
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), ("serve", "run", "preview", "runs", "sample-data")),
        (("serve",), ("--host", "127.0.0.1", "--port", "8000")),
        (("run",), ("SOURCE", "--month", "--dry-run", "--json")),
        (("preview",), ("SOURCE", "--month", "--limit", "500", "--json")),
        (("runs",), ("show", "--limit", "--cursor", "--month", "--status", "--json")),
        (("runs", "show"), ("ID", "--json")),
        (("runs", "alerts"), ("ID", "--outcome", "--csv", "--limit", "--cursor", "--json")),
        (("alerts", "show"), ("ID", "--json")),
        (("db", "upgrade"), ("--json",)),
        (("reconcile",), ("--json",)),
        (("settle",), ("ALERT_ID", "--run", "--as", "sent", "resend", "--note", "--by", "--json")),
        (
            ("sample-data",),
            ("PATH", "--kind", "--accounts", "--months", "--month", "--rows", "--day", "--seed"),
        ),
        (("rules",), ("check", "test", "backtest")),
        (("rules", "backtest"), ("SOURCE", "--rules", "--from", "--until", "--json")),
    ],
)
def test_help_names_every_argument(arguments: tuple[str, ...], named: tuple[str, ...]) -> None:
    """A person finds out everything from the command itself."""
    text = _said(*arguments, "--help")
    for name in named:
        assert name in text


def test_the_usual_short_ways_in_work() -> None:
    """`-h` is help everywhere, and `--version` the version that is installed."""
    assert _said("-h") == _said("--help")
    assert _said("runs", "-h") == _said("runs", "--help")
    done = subprocess.run(
        [sys.executable, "-m", "service", "--version"], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (f"risk-alerts {version('risk-alerts')}\n", "")


def test_help_lists_the_exit_codes() -> None:
    """A scheduler's author needs them, and 64 is not what one expects."""
    assert " ".join(EXIT_CODES_HELP.split()) in " ".join(_said("--help").split())


def test_help_loads_nothing_heavy() -> None:
    """The cold start of a process is for its work."""
    program = f"import sys, service.cli.commands; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def _declared(group: typer.Typer) -> Iterator[Callable[..., Any]]:
    for command in group.registered_commands:
        if command.callback is not None and "fixed" in inspect.getclosurevars(command.callback).nonlocals:
            yield command.callback
    for inner in group.registered_groups:
        yield from _declared(inner.typer_instance or typer.Typer())


@pytest.mark.parametrize("command", list(_declared(commands)), ids=lambda command: command.__qualname__)
def test_what_does_a_command_takes_its_options(command: Callable[..., Any]) -> None:
    """An option that is renamed on one side only would end the command with a stack."""
    doer = inspect.getclosurevars(command).nonlocals
    work = getattr(import_module("service.cli." + doer["module"]), doer["name"])
    taken = inspect.signature(work)
    given = [*inspect.signature(command).parameters, *doer["fixed"]]
    taken.bind(*({"settings", "_"} & taken.parameters.keys()), **dict.fromkeys(given))


@pytest.mark.parametrize("uri", ["gs://bucket/x", "s3://bucket/x/*.parquet", "file:///a%20b"])
def test_a_uri_is_passed_on_as_it_is(uri: str) -> None:
    """What is written as a URI stays as it is."""
    assert parsed_source(uri).text == uri


def test_a_path_becomes_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to where the command was called, with what a URI reserves encoded."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd %#[1].parquet").touch()
    assert parsed_source("odd %#[1].parquet").text == f"{tmp_path.as_uri()}/odd%20%25%23%5B1%5D.parquet"
    assert parsed_source("../x.parquet").text == f"{tmp_path.parent.as_uri()}/x.parquet"
    assert parsed_source(str(tmp_path / "*.parquet")).text == f"{tmp_path.as_uri()}/*.parquet"
    assert parsed_source(f"{tmp_path}/").text == f"{tmp_path.as_uri()}/"


def _run(**changes: Any) -> RunOut:
    return RunOut.model_validate(RUN | changes)


def _printed(capsys: pytest.CaptureFixture[str], print_it: Callable[[], None]) -> str:
    print_it()
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


BOTH_RESTATED = {
    "counts": RUN["counts"] | {"withdrawn": 12, "restated": 1},
    "sample_withdrawn": [WITHDRAWN | {"account_id": "gone", "status": "sent"}],
    "sample_restated": [RESTATED | {"restated": {"arr": [None, 10_211], "duration_months": [2, 3]}}],
}
PREVIEW_RESTATED = {
    "counts": PREVIEW["counts"] | {"withdrawn": 1, "restated": 1},
    "alerts": [PREVIEW["alerts"][0] | {"action": "skip_replay", "restated": RESTATED["restated"]}],
    "withdrawn": [WITHDRAWN],
}
FAILED = {"status": "failed", "error": {"code": "source_not_found", "detail": "nothing"}, "ledger": None}
SEEN = examples()["progress"]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (
            # What it was asked, the counts, the ledger, the warnings, what did not arrive, what did.
            _run(),
            (
                f"Run {RUN['run_id']}: succeeded, 2026-01-01, ",
                "10,587 rows = 0 outside the window + 10,587 scanned",
                "141 alerts = 137 sent + 4 failed",
                "warning: unknown_region (4)",
                "none for region null",
                "a00669",
            ),
        ),
        (_run(**FAILED), ("source_not_found: nothing",)),
        (
            _run(status="running", finished_at=None, progress=SEEN),
            (
                "not finished",
                f"delivering: rows {SEEN['rows_done']:,} of {SEEN['rows_total']:,}, alerts ",
            ),
        ),
        (
            _run(**BOTH_RESTATED),
            (
                *("Withdrawn", "Restated", "No longer in the data (the first 1 of 12)", "gone"),
                *("Sent, and restated since", "unknown ARR, 2 months"),
            ),
        ),
        (
            PreviewOut.model_validate(PREVIEW),
            ("Preview of 2026-01-01: 141 alerts", "96,778", "… and 139 more", "about 2 s"),
        ),
        (
            PreviewOut.model_validate(PREVIEW | PREVIEW_RESTATED),
            ("sent as ARR 96,778", "No longer in the data", "failed"),
        ),
        (RunsOut.of({"runs": [_run()], "next_cursor": "next"}), (RUN["run_id"], "--cursor next")),
    ],
    ids=["run", "failed run", "running", "restated run", "preview", "restated preview", "runs"],
)
def test_tables_have_what_a_person_looks_for(
    capsys: pytest.CaptureFixture[str], shown: Any, expected: tuple[str, ...]
) -> None:
    """A run, how far it is or why it failed, what was restated, a preview, a list and where it goes on."""
    text = _printed(capsys, lambda: print_tables(shown))
    assert [part for part in expected if part not in text] == []


def test_a_run_says_nothing_of_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing was restated, nothing is said of it."""
    quiet = _printed(capsys, lambda: print_tables(_run()))
    assert "Withdrawn" not in quiet
    assert "Restated" not in quiet


def test_an_alert_of_a_log_has_no_region(capsys: pytest.CaptureFixture[str]) -> None:
    """Where none of its columns leads to a channel it says so, and no more."""
    nothing = dict.fromkeys(("account_id", "account_name", "account_region", "channel"))
    facts = dict.fromkeys(("rule", "group", "start", "last", "peak", "events", "repeat"), "x")
    failed = RUN["sample_errors"][0] | nothing | {"alert_type": "log_rule", "facts": facts}
    text = _printed(capsys, lambda: print_tables(_run(sample_errors=[failed], sample_alerts=[])))
    assert "region null" not in text.partition("Not delivered")[2]


def test_names_cannot_play_with_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escape sequences and markup in data are shown, not obeyed; long names do not push the rest away."""
    alert = RUN["sample_alerts"][0] | {"account_name": "\x1b[31m[bold]x[/bold]\r\n" + "y" * 70_000}
    text = _printed(capsys, lambda: print_tables(_run(sample_alerts=[alert])))
    assert "\x1b" not in text
    assert "[bold]x[/bold]" in text
    assert len(text) < 10_000


@pytest.mark.parametrize("columns", [30, 80, 120])
def test_a_narrow_window_costs_columns_and_no_id(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other commands ask for is never cut short; what is left out is named."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    runs = RunsOut.model_validate(examples()["runs"])
    text = _printed(capsys, lambda: print_tables(runs))
    assert all(run.run_id in text for run in runs.runs)
    assert "not shown in a window" in text
    alerts = AlertsOut.model_validate(examples()["alerts"])
    if columns > 60:
        text = _printed(capsys, lambda: print_tables(alerts))
        assert all(alert.alert_id in text for alert in alerts.alerts)
        assert all(alert.outcome in text for alert in alerts.alerts)


def test_an_alert_is_shown_with_what_happened_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    """All that is known of it, line by line; what is unknown has no line."""
    alert = ManagedAlertOut.model_validate(examples()["managed_alert"])
    events = [AlertEventOut.model_validate(each) for each in examples()["alert_events"]]
    text = _printed(capsys, lambda: print_one(alert, events))
    assert f"Alert         {alert.id}\n" in text
    assert f"Status        {alert.status}\n" in text
    assert "Acknowledged  by ann: I call them today\n" in text
    assert "None" not in text
    (occurrence,) = alert.occurrences
    for shown in (occurrence.id, occurrence.period, "sent", "as sent by ann", "triggered", "acknowledged"):
        assert shown in text
    assert "In Slack" not in text
    text = _printed(capsys, lambda: print_list([alert], "next"))
    assert alert.id in text
    assert "More: --cursor next" in text


def test_an_alert_says_where_a_bots_message_stands(capsys: pytest.CaptureFixture[str]) -> None:
    """By the channel's id and the timestamp; and why it does not show what has become of the alert."""
    example = examples()["managed_alert"]
    place = {"slack_channel": "C0AMER", "slack_ts": "1700000000.000100", "slack_update_error": "not_found"}
    (occurrence,) = example["occurrences"]
    occurrences = [occurrence | {"delivery": occurrence["delivery"] | place}]
    alert = ManagedAlertOut.model_validate(example | {"occurrences": occurrences})
    text = _printed(capsys, lambda: print_one(alert, []))
    for shown in ("In Slack", "C0AMER 1700000000.000100", "Not changed", "not_found"):
        assert shown in text
    assert "None" not in text
