"""Rules over logs on the command line: checked, tested and tried, without a database or a Slack."""

import json
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.cli.exit_codes import NOT_ALL_SENT
from tests.support.log_files import write_csv
from tests.support.log_runs import RULES as LOG_RULES
from tests.support.log_runs import burst
from tests.support.processes import command, environment

ROOT = Path(__file__).parents[3]
RULES = str(ROOT / "log_rules.toml")


def test_a_sample_of_two_days_and_what_the_rules_say_of_it(tmp_path: Path) -> None:
    """The burst over midnight is one, which neither day alone has; nothing is written."""
    for day in ("2026-01-01", "2026-01-02"):
        done = command(
            tmp_path, "sample-data", "--kind", "logs", f"{day}.csv.gz", "--rows", "20000", "--day", day
        )
        assert done.returncode == 0, done.stderr
    told = command(tmp_path, "rules", "backtest", str(tmp_path), "--rules", RULES)
    assert told.returncode == 0, told.stderr
    assert re.search(r"^fatal_burst +10 +1m +\d+ .*<-$", told.stdout, re.MULTILINE)
    assert re.search(r"^fatal_burst +21 +2m +\d+", told.stdout, re.MULTILINE)
    assert "fatal_per_bundle  com.example.game7  2026-01-02T00:00" in told.stdout
    alone = command(tmp_path, "rules", "backtest", "2026-01-02.csv.gz", "--rules", RULES, "--json")
    answer = json.loads(alone.stdout)
    assert [one["start"][:13] for one in answer["episodes"] if one["rule"] == "fatal_per_bundle"] == [
        "2026-01-02T12"
    ]
    assert answer["rows"]["rows_in_source"] == 20_076
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2026-01-01.csv.gz", "2026-01-02.csv.gz"]


def test_the_messages_of_a_backtest_are_those_of_daily_runs(tmp_path: Path, slack: RunningMock) -> None:
    """A day with more alerts than MAX_ALERTS_PER_RULE is one message; no line is there twice."""
    groups = [(1, "a"), (2, "b"), (3, "c"), (25, "a"), (26, "b")]
    write_csv(tmp_path / "log.csv", [row for hours, name in groups for row in burst(hours, 3, bundle=name)])
    (tmp_path / "mobile.toml").write_text(LOG_RULES)
    given = {"MAX_ALERTS_PER_RULE": "2", "SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
    done = command(tmp_path, "rules", "backtest", "log.csv", "--rules", "mobile.toml", "--json", **given)
    answer = json.loads(done.stdout)
    (itself,) = [one for one in answer["rules"] if one["is_itself"]]
    said = [itself[name] for name in ("episodes", "digests", "messages", "most_on_a_day")]
    assert said == [5, 1, 3, 2]
    assert sorted((one["more_than"], one["window"]) for one in answer["rules"]) == [
        (more_than, window) for more_than in (0, 2, 5) for window in ("10m", "20m", "5m")
    ]
    routed = LOG_RULES.replace('channel = "on-call"', 'route = "bundle_id"')
    (tmp_path / "mobile.toml").write_text(routed)
    done = command(tmp_path, "rules", "backtest", "log.csv", "--rules", "mobile.toml", "--json", **given)
    (routes,) = [one for one in json.loads(done.stdout)["rules"] if one["is_itself"]]
    assert [routes[name] for name in ("episodes", "digests", "messages", "most_on_a_day")] == [5, 3, 5, 3]
    (tmp_path / "mobile.toml").write_text(LOG_RULES.replace("gt = 2", "gte = 1"))
    lowest = command(tmp_path, "rules", "backtest", "log.csv", "--rules", "mobile.toml", "--json")
    assert [one["more_than"] for one in json.loads(lowest.stdout)["rules"]] == [0, 0, 0, 1, 1, 1]
    (tmp_path / "mobile.toml").write_text(LOG_RULES)
    for day in (1, 2):
        asked = ("log.csv", "--rules", "mobile.toml", "--from", f"2026-01-0{day}")
        run = command(tmp_path, "logs", "run", *asked, "--until", f"2026-01-0{day + 1}", **given)
        assert run.returncode == 0, run.stderr
    assert len(slack.records()) == itself["messages"]


def test_other_windows_of_a_backtest_are_what_the_file_would_say(tmp_path: Path) -> None:
    """Where it leaves `quiet` out, that goes with the window; where it names it, that stays."""
    rows = [row for minutes in (0, 12, 36) for row in burst(1 + minutes / 60, 3)]
    write_csv(tmp_path / "log.csv", rows)
    for quiet in ("", 'quiet = "10m"\n'):
        found = {}
        for window in ("10m", "20m"):
            rules = LOG_RULES.replace('window = "10m"', f'window = "{window}"\n{quiet}')
            (tmp_path / "mobile.toml").write_text(rules)
            done = command(tmp_path, "rules", "backtest", "log.csv", "--rules", "mobile.toml", "--json")
            tried = {(one["more_than"], one["window"]): one for one in json.loads(done.stdout)["rules"]}
            found[window] = tried[2, "20m"]["episodes"]
        assert found == dict.fromkeys(("10m", "20m"), 3 if quiet else 2)


def test_a_backtest_of_more_than_there_is_memory_for_is_refused(tmp_path: Path) -> None:
    """Those of other thresholds and windows take memory as well; the number that is needed is named."""
    write_csv(tmp_path / "log.csv", [row for name in range(400) for row in burst(1, 3, bundle=f"{name}")])
    (tmp_path / "mobile.toml").write_text(LOG_RULES)
    asked = ("rules", "backtest", "log.csv", "--rules", "mobile.toml")
    refused = command(tmp_path, *asked, MEMORY_LIMIT_MB="1")
    assert (refused.returncode, refused.stdout) == (1, "")
    needed = "memory_limit_exceeded: 2,400 episodes and reminders of the period take 2 MB, more than"
    assert needed in refused.stderr
    assert command(tmp_path, *asked, MEMORY_LIMIT_MB="2").returncode == 0


def test_nobody_reads_what_is_printed(tmp_path: Path) -> None:
    """As after `| head`: the command ends without a word, also where all it prints is flushed at its end."""
    read, written = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "service", "rules", "check", RULES],
            cwd=tmp_path,
            env=environment(PYTHONUNBUFFERED=""),
            stdout=written,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(written)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_period_of_a_log(tmp_path: Path) -> None:
    """Rows outside are counted as such; that nothing is known of before is said."""
    assert command(tmp_path, "sample-data", "--kind", "logs", "log.parquet", "--rows", "5000").returncode == 0
    period = ("--from", "2026-01-01T06:00", "--until", "2026-01-01T18:00:00Z")
    done = command(tmp_path, "rules", "backtest", "log.parquet", "--rules", RULES, "--json", *period)
    answer = json.loads(done.stdout)
    assert answer["rows"]["rules"]["fatal_burst"]["outside_period"] >= 16
    assert [one["code"] for one in answer["warnings"]] == ["cold_start"]
    from_then = ("rules", "backtest", "log.parquet", "--rules", RULES, "--from")
    other = command(tmp_path, *from_then, "2027-01-01")
    assert other.returncode == 3
    assert "period_not_in_source" in other.stderr
    assert (
        command(tmp_path, "rules", "backtest", "log.parquet", "--rules", RULES, "--from", "x").returncode
        == 64
    )


def test_a_period_is_planned_previewed_run_and_replayed(tmp_path: Path, slack: RunningMock) -> None:
    """A plan is executed as it was shown; nothing is said of regions, nor of channels that get nothing."""
    write_csv(tmp_path / "log.csv", burst(1, 4))
    (tmp_path / "mobile.toml").write_text(LOG_RULES)
    asked = ("log.csv", "--from", "2026-01-01", "--until", "2026-01-02", "--rules", "mobile.toml")
    given = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
    planned = command(tmp_path, "logs", "plan", "log.csv", "--rules", "mobile.toml", "--json")
    assert json.loads(planned.stdout)["files"] == {"csv": 1}
    shown = command(tmp_path, "logs", "preview", *asked, SLACK_MESSAGES_PER_SECOND="1", **given)
    assert "burst: 1 episodes = 0 continued + 1 alerts" in shown.stdout
    assert [line for line in shown.stdout.splitlines() if line.endswith("configured pace")] == [
        "on-call: about 1 s at the configured pace"
    ]
    assert slack.records() == []
    (digest,) = re.findall("plan digest: ([0-9a-f]{64})", shown.stdout)
    other = command(tmp_path, "logs", "run", *asked, "--plan-digest", "0" * 64, **given)
    assert (other.returncode, "plan_changed" in other.stderr) == (1, True)
    done = command(tmp_path, "logs", "run", *asked, "--plan-digest", digest, **given)
    assert done.returncode == 0, done.stderr
    assert "1 alerts = 1 episodes + 0 reminders + 0 digests = 1 sent" in done.stdout
    assert "What changed" in done.stdout
    assert "Region" not in done.stdout
    again = command(tmp_path, "logs", "run", *asked, "--json", **given)
    assert json.loads(again.stdout)["counts"]["skipped_replay"] == 1
    assert len(slack.records()) == 1


def test_tables_of_alerts_of_logs_have_no_accounts(tmp_path: Path, slack: RunningMock) -> None:
    """What was settled, and what would recover, is named by rule and group; nothing is said of regions."""
    write_csv(tmp_path / "log.csv", [*burst(23.99, 4), *burst(30, 1)])
    (tmp_path / "mobile.toml").write_text(LOG_RULES)
    given = {"SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url}
    slack.script("on-call", Step(drop="after"))
    days = ("2026-01-01", "2026-01-02", "2026-01-03")
    first, second = (
        ("log.csv", "--from", since, "--until", until, "--rules", "mobile.toml")
        for since, until in pairwise(days)
    )
    done = command(tmp_path, "logs", "run", *first, "--json", **given)
    assert done.returncode == NOT_ALL_SENT, done.stderr
    run_id = json.loads(done.stdout)["run_id"]
    settled = command(tmp_path, "settle", "--run", run_id, "--as", "sent", **given).stdout
    shown = command(tmp_path, "logs", "preview", *second, **given).stdout
    assert ("burst" in settled, "com.a" in settled, "Would recover" in shown) == (True, True, True)
    assert "mobile/burst/com.a" in shown
    for word in ("Account", "Region", "ARR"):
        assert word not in settled + shown


def test_rules_are_checked(tmp_path: Path) -> None:
    """Every problem is on stderr; a channel that no webhook leads to is one."""
    done = command(tmp_path, "rules", "check", RULES)
    assert (done.returncode, "fatal_burst" in done.stdout) == (0, True)
    webhooks = json.dumps(dict.fromkeys(("a", "b", "c"), "https://hooks.example.com/x"))
    regions = json.dumps({"AMER": "a"})
    unknown = command(
        tmp_path,
        "rules",
        "check",
        RULES,
        SLACK_WEBHOOKS=webhooks,
        REGION_CHANNELS=regions,
        SLACK_WEBHOOK_BASE_URL="",
    )
    assert unknown.returncode == 64
    assert "rules.1.channel: SLACK_WEBHOOKS has no webhook for mobile-fatal" in unknown.stderr
    (tmp_path / "bad.toml").write_text("[[rules]]\nid = 'A'\n")
    bad = command(tmp_path, "rules", "check", "bad.toml")
    assert bad.returncode == 64
    assert bad.stderr.count("rules.0.") == 5


def test_rules_are_tested(tmp_path: Path) -> None:
    """The tests that ship pass; one that fails says what it found."""
    shipped = command(tmp_path, "rules", "test", str(ROOT / "log_rules.test.toml"))
    assert (shipped.returncode, shipped.stdout.splitlines()[-1]) == (0, "5 passed, 0 failed")
    (tmp_path / "log_rules.toml").write_text((ROOT / "log_rules.toml").read_text())
    text = (ROOT / "log_rules.test.toml").read_text().replace("peak = 11", "peak = 12")
    (tmp_path / "some.toml").write_text(text)
    failing = command(tmp_path, "rules", "test", "some.toml")
    assert failing.returncode == 1
    assert "FAILED eleven fatal errors within a minute are too many" in failing.stdout
    assert "peak 11" in failing.stdout
    (tmp_path / "some.toml").write_text(text.replace('"fatal_burst"', '"fatal_bust"'))
    assert "log_rules.toml has no rule fatal_bust" in command(tmp_path, "rules", "test", "some.toml").stderr
    test = 'rules = "log_rules.toml"\n[[tests]]\nname = "x"\nrule = "fatal_burst"\nepisodes = []\n'
    for rows in ('count = 600000}, {at = "0s", count = 600000', 'count = 1000000, every = "3660d"'):
        (tmp_path / "some.toml").write_text(f'{test}rows = [{{at = "0s", {rows}}}]')
        refused = command(tmp_path, "rules", "test", "some.toml")
        assert (refused.returncode, "bad_rules: some.toml: tests.0.rows" in refused.stderr) == (64, True)
    rows = 'rows = [{at = "0s", count = 11, values = {severity = "fatal", bundle_id = "a"}}]'
    for rule, group in (("fatal_burst", "[]"), ("fatal_per_bundle", '["a"]')):
        for facts in ('start = "0s", peak_at = "0s", violations = 1', f"group = {group}"):
            expected = f'name = "x"\nrule = "{rule}"\nepisodes = [{{{facts}}}]\n{rows}'
            (tmp_path / "some.toml").write_text(f'rules = "log_rules.toml"\n[[tests]]\n{expected}')
            passing = command(tmp_path, "rules", "test", "some.toml")
            assert passing.returncode == 0, passing.stdout
    (tmp_path / "some.toml").write_text(f"{test}{rows}".replace("severity", "severty"))
    slip = command(tmp_path, "rules", "test", "some.toml")
    assert (slip.returncode, "tests.0.rows.0.values: severty is no column" in slip.stderr) == (64, True)
    endless = command(tmp_path, "rules", "test", "/dev/zero")
    assert (endless.returncode, "zero is larger than 1 MB" in endless.stderr) == (64, True)
    for broken in ("rules = 1", "]", f"{test}rows = []".replace("log_rules.toml", "\\u0000")):
        (tmp_path / "some.toml").write_text(broken)
        assert command(tmp_path, "rules", "test", "some.toml").returncode == 64
