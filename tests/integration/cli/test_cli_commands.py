"""The commands as a person or a scheduler calls them: real processes, a mock Slack, a real database."""

import csv
import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import command, environment, forked, listening, run_command, unpaced
from tests.support.rows import MONTH, accounts, write_source
from tests.support.waiting import wait_until


def _json(text: str) -> Any:
    # Nothing but the answer is on stdout.
    return json.loads(text)


def test_a_run_shows_a_person_what_it_did(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """A plain path is a source, tables go to stdout, logs to stderr, and 0 says that all is done."""
    path = source.removeprefix("file://")
    done = command(tmp_path, "run", path, "--month", MONTH, SLACK_WEBHOOK_BASE_URL=slack.webhook_base_url)
    assert done.returncode == 0, done.stderr
    assert "3 alerts = 3 sent" in done.stdout
    assert slack.stats().total.accepted == 3
    opened, *lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (opened["message"], opened["slack"]) == ("opened", "SLACK_WEBHOOK_BASE_URL")
    assert opened["database"] == str(tmp_path / "risk_alerts.db")
    assert [line["message"] for line in lines].count("alert_settled") == 3
    assert lines[-1]["message"] == "run_finished"
    assert {line["run_id"] for line in lines} == {lines[0]["run_id"]}


def test_json_is_the_api_s_own_answer(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """`run`, `runs`, `runs show` and `preview` print what the API would."""
    variables = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
    run = _json(command(tmp_path, "run", source, "--month", MONTH, "--json", **variables).stdout)
    assert (run["status"], run["counts"]["alerts_sent"]) == ("succeeded", 3)
    assert _json(command(tmp_path, "runs", "show", run["run_id"], "--json").stdout) == run
    listed = _json(command(tmp_path, "runs", "--json", "--status", "succeeded").stdout)
    assert [one["run_id"] for one in listed["runs"]] == [run["run_id"]]
    assert listed["next_cursor"] is None
    preview = _json(command(tmp_path, "preview", source, "--month", MONTH, "--json", "--limit", "2").stdout)
    assert (preview["total"], len(preview["alerts"])) == (3, 2)
    assert {alert["action"] for alert in preview["alerts"]} == {"skip_replay"}


def test_2_says_that_some_alerts_did_not_go_out(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """The run succeeded, and somebody should look."""
    slack.script("amer-risk-alerts", Step(status=404, body="no_service"))
    done = command(tmp_path, "run", source, "--month", MONTH, SLACK_WEBHOOK_BASE_URL=slack.webhook_base_url)
    assert done.returncode == 2
    assert "succeeded" in done.stdout
    assert "not_found" in done.stdout


def test_the_alerts_of_a_run_are_listed_and_found_again(
    tmp_path: Path, source: str, slack: RunningMock
) -> None:
    """The tables print the ids that the next command asks for; CSV has all of them."""
    slack.script("amer-risk-alerts", Step(status=404, body="no_service"))
    done = command(tmp_path, "run", source, "--month", MONTH, SLACK_WEBHOOK_BASE_URL=slack.webhook_base_url)
    run_id = done.stdout.split()[1].rstrip(":")
    listed = _json(command(tmp_path, "runs", "alerts", run_id, "--json").stdout)["alerts"]
    [failed] = [alert["alert_id"] for alert in listed if alert["outcome"] == "failed"]
    assert done.stdout.count(failed) == 3  # not delivered, in the list, and among what changed
    table = command(tmp_path, "runs", "alerts", run_id, "--outcome", "failed").stdout
    assert [alert["alert_id"] in table for alert in listed] == [
        alert["alert_id"] == failed for alert in listed
    ]
    shown = command(tmp_path, "alerts", "show", failed).stdout
    assert f"Alert         {failed}\n" in shown
    assert "not_found" in shown
    rows = list(csv.DictReader(command(tmp_path, "runs", "alerts", run_id, "--csv").stdout.splitlines()))
    assert [row["alert_id"] for row in rows] == [alert["alert_id"] for alert in listed]
    unknown = command(tmp_path, "alerts", "show", "nobody")
    assert unknown.returncode == 1
    assert "alert_not_found" in unknown.stderr


def test_a_run_sends_its_summary_and_lists_its_changes(
    tmp_path: Path, source: str, slack: RunningMock
) -> None:
    """No `serve` is needed; a summary that cannot be sent is an exit code, and waits."""
    slack.script("amer-risk-alerts", Step(times=3), Step(status=404, body="no_service"))
    variables = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url, "SUMMARY": "true"}
    done = command(tmp_path, "run", source, "--month", MONTH, "--json", **variables)
    assert done.returncode == 2
    assert _json(done.stdout)["counts"]["alerts_sent"] == 3
    assert [record.status_code for record in slack.records()] == [200, 200, 200, 404]
    run_id = _json(done.stdout)["run_id"]
    changes = _json(command(tmp_path, "runs", "changes", run_id, "--limit", "2", "--json").stdout)
    assert [one["change"] for one in changes["changes"]] == ["new", "new"]
    assert changes["totals"][0]["accounts"] == 3
    assert "For whom" in command(tmp_path, "runs", "changes", run_id).stdout


def test_that_nothing_was_delivered_is_said_first(tmp_path: Path, source: str, slack: RunningMock) -> None:
    """A dead webhook: the run succeeded, exit code 2, and the first line says that nobody got anything."""
    slack.script("amer-risk-alerts", Step(status=404, body="no_service", times=10))
    variables = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
    done = command(tmp_path, "run", source, "--month", MONTH, **variables)
    assert done.returncode == 2
    first, headline, *rest = done.stdout.splitlines()
    assert first == (
        "warning: all_deliveries_failed (3): none of the 3 alerts that this run had to deliver was delivered"
    )
    assert "succeeded" in headline
    assert "all_deliveries_failed" not in "".join(rest)
    again = command(tmp_path, "run", source, "--month", MONTH, "--json", **variables)
    assert again.returncode == 2
    assert _json(again.stdout)["warnings"][0]["code"] == "all_deliveries_failed"


def test_a_dry_run_needs_no_slack(tmp_path: Path, source: str) -> None:
    """It is recorded, and nothing was meant to go out, so that its exit code is 0."""
    done = command(tmp_path, "run", source, "--month", MONTH, "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "(dry run)" in done.stdout
    assert "3 alerts = 3 would_send" in done.stdout


def test_the_plan_is_shown_from_the_footers_alone(tmp_path: Path, source: str) -> None:
    """`plan` says what would be read, for people and machines, and makes no database; a run records it."""
    said = command(tmp_path, "plan", source, "--month", MONTH)
    assert said.returncode == 0, said.stderr
    assert "account_id, month, status, updated_at" in said.stdout
    plan = _json(command(tmp_path, "plan", source, "--month", MONTH, "--json").stdout)
    assert plan["files"] == 1
    assert plan["rows"] >= 3
    memory = plan["memory_bytes"]
    assert set(memory) == {"process", "reading", "each_account", "each_account_at_risk"}
    assert min(memory.values()) > 0
    assert not list(tmp_path.rglob("*.db"))
    run = _json(command(tmp_path, "run", source, "--month", MONTH, "--dry-run", "--json").stdout)
    assert run["plan"] == plan


def test_1_says_that_the_run_failed(tmp_path: Path, slack: RunningMock) -> None:
    """Stderr names the code and the run; with --json stdout has the API's error."""
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    arguments = ("run", "broken.parquet", "--month", MONTH)
    variables = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
    done = command(tmp_path, *arguments, **variables)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "risk-alerts: source_not_parquet: " in done.stderr
    error = _json(command(tmp_path, *arguments, "--json", **variables).stdout)
    assert error["error"] == "source_not_parquet"
    shown = command(tmp_path, "runs", "show", error["run_id"])
    assert shown.returncode == 0
    assert "failed" in shown.stdout
    assert "source_not_parquet" in shown.stdout


@pytest.mark.parametrize("name", ["run", "preview"])
def test_3_says_that_the_data_is_not_there_yet(tmp_path: Path, source: str, name: str) -> None:
    """No file, or no row of the month: a job runner may try again, as it must not after 1."""
    slack = {"SLACK_WEBHOOK_BASE_URL": "http://127.0.0.1:9"}
    late = command(tmp_path, name, source, "--month", "2031-01-01", **slack)
    missing = command(tmp_path, name, "missing.parquet", "--month", MONTH, **slack)
    assert (late.returncode, missing.returncode) == (3, 3)
    assert "risk-alerts: month_not_in_source: " in late.stderr
    assert "risk-alerts: source_not_found: " in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "values", "named"),
    [
        (("run",), {}, "SOURCE"),
        (("run", "x"), {}, "--month"),
        (("bogus",), {}, "bogus"),
        ((), {}, "command"),
        (("alerts",), {}, "command"),
        (("runs", "alerts", "x", "--csv", "--json"), {}, "--csv"),
        (("preview", "x", "--month", MONTH, "--limit", "-1"), {}, "--limit"),
        (("run", "x", "--month", "2026-1-1"), {}, "bad_month"),
        (("run", "ftp://x/y", "--month", MONTH), {}, "bad_source_uri"),
        (("runs", "--status", "done"), {}, "done"),
        (("runs", "--cursor", "x"), {}, "bad_cursor"),
        (("run", "x", "--month", MONTH), {}, "slack_not_configured"),
        (("runs",), {"ARR_THRESHOLD": "canary-much"}, "ARR_THRESHOLD"),
        (("runs",), {"REGION_CHANNELS": "{canary"}, "REGION_CHANNELS"),
        (("runs",), {"SLACK_WEBHOOK_URL": "canary-no-url"}, "SLACK_WEBHOOK_URL"),
        (("serve", "--port", "0"), {"LEASE_S": "1"}, "LEASE_S"),
    ],
)
def test_64_says_that_the_command_or_the_settings_are_wrong(
    tmp_path: Path, arguments: tuple[str, ...], values: dict[str, str], named: str
) -> None:
    """The message names what is wrong without repeating a setting's value, and there is no traceback."""
    done = command(tmp_path, *arguments, **values)
    assert done.returncode == 64, done.stderr
    assert named in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr


def test_settings_that_are_wrong_are_a_line_each_and_json_where_it_is_asked_for(tmp_path: Path) -> None:
    """Each line names the file and the key; `--json` has the same in the shape of every error."""
    (tmp_path / ".env").write_text("# ours\nNONSENSE=1\n")
    variables = {"ARR_TRESHOLD": "50000", "SLACK_CONCURRENCY": "canary"}
    done = command(tmp_path, "runs", "--json", **variables)
    assert done.returncode == 64
    lines = [line.removeprefix("risk-alerts: invalid settings: ") for line in done.stderr.splitlines()]
    answer = _json(done.stdout)
    assert (answer["error"], answer["run_id"]) == ("invalid_settings", None)
    assert answer["detail"] == "; ".join(lines)
    assert lines == [": ".join(problem.values()) for problem in answer["problems"]]
    assert [(problem["file"], problem["key"]) for problem in answer["problems"]] == [
        (".env line 2", "NONSENSE"),
        ("environment", "ARR_TRESHOLD"),
        ("environment", "SLACK_CONCURRENCY"),
    ]
    assert "canary" not in done.stderr + done.stdout


def test_a_database_that_cannot_be_used_is_said_plainly(tmp_path: Path) -> None:
    """For a command and for the service, at once and without a traceback."""
    (tmp_path / "file").touch()
    for arguments in (("runs",), ("serve", "--port", "0")):
        done = command(tmp_path, *arguments, DATABASE_URL=f"sqlite:///{tmp_path / 'file' / 'x.db'}")
        assert done.returncode == 1
        assert "database_unusable" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_cluster_needs_its_extra(tmp_path: Path, source: str) -> None:
    """One line with the remedy, at start: for a run, a preview and the service, and no database is made."""
    program = "import sys; sys.modules['distributed'] = None; from service.cli.main import main; main()"
    for arguments in (
        ("run", source, "--month", MONTH, "--dry-run"),
        ("preview", source, "--month", MONTH),
        ("serve", "--port", "0"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=tmp_path,
            env=environment(**unpaced(tmp_path, EVALUATE_ON="tcp://127.0.0.1:1")),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert done.stderr == (
            "risk-alerts: cluster_unreachable: EVALUATE_ON needs the extra `dask`: "
            "pip install 'risk-alerts[dask]'\n"
        )
    assert not list(tmp_path.rglob("*.db"))


def test_a_port_that_is_taken_is_said(tmp_path: Path, slack: RunningMock) -> None:
    """The service exits with 1, having closed what it opened."""
    done = command(tmp_path, "serve", "--port", slack.url.rsplit(":", 1)[1])
    assert done.returncode == 1
    assert "address already in use" in done.stdout


@pytest.mark.parametrize(("host", "is_open"), [("127.0.0.1", False), ("0.0.0.0", True)])  # noqa: S104  # the point of it
def test_serving_others_than_this_machine_is_warned_of(tmp_path: Path, host: str, *, is_open: bool) -> None:
    """Whoever binds to more than loopback hears at the start what anybody who reaches the port can do."""
    arguments = ("serve", "--host", host, "--port", "0")
    with forked(arguments, folder=tmp_path, env=unpaced(tmp_path)) as running:
        warnings = [line for line in listening(running).events() if line["message"] == "open_to_all"]
    assert len(warnings) == is_open
    for line in warnings:
        assert line["severity"] == "WARNING"
        assert "start and cancel runs, read every alert and settle doubts" in line["detail"]


def test_sample_data_can_be_previewed(tmp_path: Path) -> None:
    """The first two commands of a newcomer work together."""
    made = command(tmp_path, "sample-data", "data/sample.parquet", "--month", MONTH, "--accounts", "50")
    assert made.returncode == 0, made.stderr
    assert "50 accounts, 2024-12-01 to 2026-01-01" in made.stdout
    preview = _json(command(tmp_path, "preview", "data/sample.parquet", "--month", MONTH, "--json").stdout)
    assert preview["total"] > 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("sample-data", "x", "--month", "January"), 64),
        (("sample-data", "x", "--month", "0001-01-01"), 64),
        (("sample-data", "/proc/none/x"), 1),
    ],
)
def test_sample_data_that_cannot_be_written_is_said(
    tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    """Without a traceback."""
    done = command(tmp_path, *arguments)
    assert done.returncode == code
    assert done.stderr.startswith("risk-alerts: ")
    assert "Traceback" not in done.stderr


def test_a_signal_ends_a_run_early_and_in_order(tmp_path: Path, slack: RunningMock) -> None:
    """What is on its way is settled, the rest waits for the next run, and the error says so."""
    source = tmp_path / "many.parquet"
    write_source(source, accounts(20))
    slack.script("amer-risk-alerts", Step(delay_s=0.5, times=20))
    variables = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url, "SLACK_CONCURRENCY": "1"}
    with run_command(str(source), folder=tmp_path, env=unpaced(tmp_path, **variables)) as running:
        wait_until(lambda: slack.stats().total.requests > 0)
        running.terminate()
        assert running.exit_code() == 1
    # The answer comes last, after the log, and goes over several lines.
    error = _json("{" + running.log.read_text().rpartition("\n{")[2])
    assert error["error"] == "interrupted"
    sent = slack.stats().total.accepted
    assert 1 <= sent < 20
    slack.reset()
    again = _json(command(tmp_path, "run", str(source), "--month", MONTH, "--json", **variables).stdout)
    assert (again["counts"]["skipped_replay"], again["counts"]["alerts_sent"]) == (sent, 20 - sent)
    shown = _json(command(tmp_path, "runs", "show", error["run_id"], "--json", **variables).stdout)
    assert (shown["status"], shown["error"]["code"]) == ("failed", "interrupted")
    assert (shown["counts"]["alerts_sent"], shown["counts"]["unsent"]) == (sent, 20 - sent)
    with sqlite3.connect(tmp_path / "risk_alerts.db") as database:
        assert database.execute("SELECT count(*) FROM runs WHERE status = 'running'").fetchone() == (0,)
    database.close()
