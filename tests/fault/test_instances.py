"""Three service processes on one database: two months, requests that overlap, and one process killed."""

from collections import Counter, defaultdict
from contextlib import ExitStack
from datetime import datetime

import pytest

from mock_slack.log import Record
from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.domain.pace import LATENESS_MADE_UP_S
from tests.support.house import account_of
from tests.support.processes import Running, service
from tests.support.rows import MONTH, account, accounts, write_source
from tests.support.site import AMER, SENDERS, Site, accepted_of, alerts_of, ask, open_runs, posting
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

MONTHS = (MONTH, "2026-02-01")
EACH = 125
"""Alerts of each month and channel."""
PACE = 20
WINDOW_S = 3.0


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, site: Site) -> str:
    """Return the URL of a database for three processes."""
    if request.param == "sqlite":
        return f"sqlite:///{site.database}"
    return str(request.getfixturevalue("postgresql_server").new())


def test_three_processes_two_months_and_one_of_them_killed(
    site: Site, slack: RunningMock, database_url: str
) -> None:
    """Each alert is taken once or in doubt, the pace is kept by all together, and every run ends."""
    source = write_source(site.folder / "two_months.parquet", _rows())
    env = site.env(database_url=database_url, slack_messages_per_second=PACE)
    with ExitStack() as stack:
        services = [stack.enter_context(service(site.folder, env)) for _ in range(3)]
        with ExitStack() as clients:
            answers = [
                clients.enter_context(posting(running, source, month=month))
                for running in services
                for month in MONTHS
            ]
            wait_until(lambda: slack.stats().total.accepted >= 4 * EACH // 3, what="a third has left")
            victim = next(running for running in services if _logged(running, "alert_settled"))
            victim.kill()
        one, *_ = survivors = [running for running in services if running is not victim]
        wait_until(lambda: not open_runs(one), what="all runs have ended")
        runs = [ask(one, "/runs", month=month, status="succeeded")["runs"] for month in MONTHS]
        outcomes = [alerts_of(one, of_month[0]["run_id"]) for of_month in runs]
    codes = [answer.status_code for each in answers for answer in each]
    assert codes == [200] * len(codes)
    assert len(codes) >= len(survivors) * len(MONTHS)
    records = slack.records()
    _assert_each_once(accepted_of(records), outcomes)
    _assert_paced(records)
    _assert_side_by_side(records)


def test_a_pause_that_one_process_heard_of_stops_the_other(
    site: Site, slack: RunningMock, database_url: str
) -> None:
    """A process that starts its run inside another's Retry-After sends nothing before it is over."""
    rows = [account(month, month=month) for month in MONTHS]
    source = write_source(site.folder / "two_months.parquet", rows)
    env = site.env(database_url=database_url)
    slack.script(AMER, Step(status=429, headers={"Retry-After": "8"}))
    with service(site.folder, env) as one, posting(one, source, month=MONTHS[0]) as january:
        wait_until(lambda: _logged(one, "lane_paused"), what="the first is told to wait")
        with service(site.folder, env) as other:
            with posting(other, source, month=MONTHS[1]) as february:
                pass
            assert not _logged(other, "lane_paused")
    assert [answer.status_code for answer in (*january, *february)] == [200, 200]
    stats = slack.stats().channels[AMER]
    assert (stats.accepted, stats.requests, stats.requests_inside_retry_after) == (2, 3, 0)


def _rows() -> list[dict[str, object]]:
    return [
        row
        for month in MONTHS
        for region in ("AMER", "EMEA")
        for row in accounts(EACH, region=region, prefix=f"{region}-{month}-", month=month)
    ]


def _logged(running: Running, what: str) -> bool:
    return any(event["message"] == what for event in running.events())


def _assert_each_once(accepted: Counter[str], outcomes: list[dict[str, str]]) -> None:
    """Check that Slack took each alert once, and that nothing else is said of any but that it is in doubt."""
    fates = {alert: outcome for of_month in outcomes for alert, outcome in of_month.items()}
    assert len(fates) == 2 * len(MONTHS) * EACH
    assert set(fates.values()) <= {"sent", "skipped_replay", "unknown"}
    assert {alert: times for alert, times in accepted.items() if times > 1} == {}
    doubts = {alert for alert, outcome in fates.items() if outcome == "unknown"}
    assert fates.keys() - doubts <= accepted.keys() <= fates.keys()
    assert len(doubts) <= len(MONTHS) * SENDERS


def _assert_paced(records: list[Record]) -> None:
    """Check each channel's arrivals, window by window.

    What arrives in a window left in it, at the pace, or was on its way when it began: no more than all the
    senders of all runs that were alive at some moment of it, the killed ones as well.
    """
    most = PACE * (WINDOW_S + LATENESS_MADE_UP_S) + 1 + 2 * len(MONTHS) * SENDERS
    assert most < 2 * PACE * WINDOW_S, "two runs that share no pace must not pass"
    arrivals: defaultdict[str, list[float]] = defaultdict(list)
    for record in records:
        arrivals[record.channel].append(datetime.fromisoformat(record.ts).timestamp())
    for moments in arrivals.values():
        moments.sort()
        assert len(moments) > 2 * EACH - len(MONTHS) * SENDERS
        busiest = max(sum(at <= moment < at + WINDOW_S for moment in moments) for at in moments)
        assert busiest <= most


def _assert_side_by_side(records: list[Record]) -> None:
    """Check that neither month waited for the other."""
    january = [MONTH in account_of(record.payload) for record in records]
    assert True in january[january.index(False) :]
    assert False in january[january.index(True) :]
