"""Load: thousands of alerts through the real outbox and a real mock Slack, each process on its own."""

import sys
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from sqlite3 import connect
from typing import Any, Final

import orjson
import pytest

from mock_slack.faults import Faults
from mock_slack.message import Message
from mock_slack.settings import GivenSettings
from service.account_risk.account_at_risk import AccountAtRisk
from service.domain.month import Month
from tests.support.processes import mock_process, run_command
from tests.support.rows import MONTH, account, write_source

pytestmark = pytest.mark.load

ALERTS: Final = 5_000
SENDERS: Final = 32
REGIONS: Final = ("AMER", "AMER", "EMEA", "EMEA", "APAC")
BAD_DAY: Final = {
    "fail_rate_429": 0.10,
    "fail_rate_500": 0.05,
    "min_retry_after": 0.02,
    "max_retry_after": 0.1,
    # Under this one two alerts meet four 500s each.
    "seed": 68,
}
RETRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What a run and its Slack say afterwards."""

    finished: dict[str, Any]
    # Every answer an alert got, in order.
    answers: dict[str, list[int]]
    # (status, reason, POSTs) of every alert in the ledger.
    ledger: dict[str, tuple[str, str | None, int]]


def test_five_thousand_alerts_unpaced(tmp_path: Path) -> None:
    """Every alert arrives exactly once, as fast as 32 senders can."""
    seen = _run("unpaced", tmp_path)
    assert seen.finished["alerts_sent"] == ALERTS
    assert set(map(tuple, seen.answers.values())) == {(200,)}
    assert len(seen.answers) == ALERTS
    assert Counter(seen.ledger.values()) == {("sent", None, 1): ALERTS}


def test_five_thousand_alerts_on_a_bad_day(tmp_path: Path) -> None:
    """With 429s and 500s each alert arrives once, or has failed after four attempts; twice the same."""
    expected = _fates()
    assert "failed" in expected.values()
    for attempt in ("first", "second"):
        folder = tmp_path / attempt
        folder.mkdir()
        seen = _run(f"bad day, {attempt} time", folder, **BAD_DAY)
        assert {alert: fate for alert, (fate, _, _) in seen.ledger.items()} == expected
        for alert, (fate, reason, posts) in seen.ledger.items():
            answers = Counter(seen.answers[alert])
            assert posts == answers.total()
            if fate == "sent":
                assert answers[200] == 1
                assert answers[500] <= RETRIES
            else:
                assert (reason, answers[200], answers[500]) == ("server_error", 0, RETRIES + 1)
        assert seen.finished["failed_deliveries"] == list(expected.values()).count("failed")


def _rows() -> list[dict[str, Any]]:
    return [
        account(f"a{number:05d}", account_region=REGIONS[number % len(REGIONS)], arr=1_000_000 - number)
        for number in range(ALERTS)
    ]


def _fates() -> dict[str, str]:
    """Work out what becomes of each alert, from the mock's faults alone."""
    settings = GivenSettings.model_validate(BAD_DAY)
    faults = Faults(settings, int(BAD_DAY["seed"]))
    fates = {}
    for row in _rows():
        alert = _alert_id(row["account_id"])
        failures = 0
        while (answer := faults.draw(alert)) is not None and failures <= RETRIES:
            failures += answer.status == 500
            if failures > RETRIES:
                break
        fates[alert] = "sent" if answer is None else "failed"
    return fates


def _alert_id(account_id: str) -> str:
    month = Month.parse(MONTH)
    return AccountAtRisk(
        account_id=account_id,
        account_name="",
        account_region=None,
        month=month,
        duration_months=1,
        duration_is_minimum=False,
        risk_start_month=month,
        arr=None,
        renewal_date=None,
        account_owner=None,
    ).alert_id


def _run(title: str, folder: Path, **faults: object) -> _Seen:
    """Run the month once, from an empty database, and print how fast it went."""
    source = write_source(folder / "source.parquet", _rows())
    with mock_process(folder, **faults) as (slack, _):
        env = {
            "DATABASE_URL": f"sqlite:///{folder / 'ledger.db'}",
            "SLACK_WEBHOOK_BASE_URL": slack.webhook_base_url,
            "SLACK_MESSAGES_PER_SECOND": "0",
            "SLACK_CONCURRENCY": str(SENDERS),
            "SLACK_MAX_RETRIES": str(RETRIES),
        }
        with run_command(source, folder=folder, env=env) as run:
            code = run.exit_code()
            assert code in {0, 2}, run.log.read_text()[-5_000:]
            (finished,) = [event for event in run.events() if event["message"] == "run_finished"]
        stats = slack.stats()
    assert stats.total.duplicates == {}
    assert stats.total.accepted == finished["alerts_sent"]
    answers: defaultdict[str, list[int]] = defaultdict(list)
    moments = []
    for line in (folder / "mock.jsonl").read_bytes().splitlines():
        record = orjson.loads(line)
        answers[Message(orjson.dumps(record["payload"])).alert].append(record["status_code"])
        moments.append(datetime.fromisoformat(record["ts"]))
    took = (max(moments) - min(moments)).total_seconds()
    sys.stdout.write(
        f"\n{title}: {finished['alerts_sent']:,} of {ALERTS:,} alerts in {took:.1f} s: "
        f"{finished['alerts_sent'] / took:,.0f} alerts/s, {stats.total.requests:,} requests, "
        f"refused {stats.total.refused}, whole run {finished['duration_s']:.1f} s\n"
    )
    return _Seen(
        finished=finished,
        answers=dict(answers),
        ledger=_ledger(folder / "ledger.db"),
    )


def _ledger(database: Path) -> dict[str, tuple[str, str | None, int]]:
    query = """
        SELECT o.id, o.status, o.error, (SELECT count(*) FROM attempts a WHERE a.alert_id = o.id)
        FROM alert_outcomes o
    """
    with closing(connect(database)) as ledger:
        return {alert: (status, error, posts) for alert, status, error, posts in ledger.execute(query)}
