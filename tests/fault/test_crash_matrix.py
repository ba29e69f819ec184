"""The crash matrix: SIGKILL at every boundary of a run; what is left is read from the API and the mock."""

import signal
from collections import Counter
from typing import Any, Final

import httpx2
import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.domain.tenant import DEFAULT_TENANT
from tests.support.failing import FAIL_POINTS
from tests.support.processes import Running, listening, service, started
from tests.support.rows import account, accounts, write_source
from tests.support.site import AMER, PATIENT, SENDERS, Site, accepted_by, ask, open_runs, post_run, posting
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

COUNT: Final = 30
UNROUTED: Final = "z-nowhere"
MONTHS_ALERTS: Final = {row["account_id"] for row in accounts(COUNT)} | {UNROUTED}
BEFORE_RECORDING: Final = (
    "before_footers",
    "after_footers",
    "mid_fold",
    "before_record",
    "before_alert_event",
)


@pytest.fixture
def source(site: Site) -> str:
    """Write a source whose alerts all go to one channel, but for one that has none."""
    rows = [*accounts(COUNT), account(UNROUTED, account_region="MARS", arr=20_000)]
    return write_source(site.folder / "source.parquet", rows)


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        *((point, 1) for point in FAIL_POINTS if not point.endswith("_summary")),
        # In the middle of the deliveries, too.
        *((point, 3) for point in ("after_claim", "before_settle", "after_settle")),
        *((point, 10) for point in ("before_post", "after_answer")),
    ],
)
def test_a_kill_at_every_boundary(site: Site, slack: RunningMock, source: str, point: str, nth: int) -> None:
    """No alert is accepted twice or forgotten, no run stays running, and a replay does the rest."""
    _die_at(site, source, point, nth)
    site.expire_leases()
    _check_alerts(site, 0 if point in BEFORE_RECORDING else COUNT + 1)
    with service(site.folder, site.env(**PATIENT)) as restarted:
        (first,) = _at_rest(restarted)
        if point in BEFORE_RECORDING:
            assert (first["status"], first["error"]["code"]) == ("failed", "interrupted")
            assert _alerts(restarted, first) == {}
            assert slack.stats().total.requests == 0
        else:
            assert (first["status"], first["error"]) == ("succeeded", None)
            _check_fates(_alerts(restarted, first), slack)
        _check_replay(restarted, source, slack)


def test_a_kill_after_the_bytes_have_left(site: Site, slack: RunningMock, source: str) -> None:
    """What Slack took and nobody wrote down is in doubt and held: never sent twice."""
    slack.script(AMER, Step(delay_s=60, times=SENDERS))
    with service(site.folder, site.env(**PATIENT)) as running, posting(running, source):
        wait_until(lambda: slack.stats().total.accepted == SENDERS, what="Slack has the first messages")
        running.kill()
    site.expire_leases()
    with service(site.folder, site.env(**PATIENT)) as restarted:
        (first,) = _at_rest(restarted)
        assert (first["status"], first["counts"]["unknown"]) == ("succeeded", SENDERS)
        _check_fates(_alerts(restarted, first), slack)
        _check_replay(restarted, source, slack)


def test_a_kill_between_a_step_and_its_event(site: Site) -> None:
    """Neither is there: the alert is as nobody had acknowledged it, and can be."""
    command = ("-m", "tests.support.failing", "before_alert_event", "2", "serve", "--port", "0")
    body = {"tenant_id": DEFAULT_TENANT, "rule_name": "errors", "message": "too many"}
    with started(command, folder=site.folder, env=site.env()) as failing:
        url = f"{listening(failing).url}/alerts"
        created = httpx2.post(url, json=body).json()
        with pytest.raises(httpx2.HTTPError):
            httpx2.put(f"{url}/{created['id']}/acknowledge", json={"by": "ann"})
        assert failing.exit_code() == -signal.SIGKILL
    _check_alerts(site, 1)
    with service(site.folder, site.env()) as restarted:
        assert ask(restarted, f"/alerts/{created['id']}") == created
        answer = httpx2.put(f"{restarted.url}/alerts/{created['id']}/acknowledge", json={"by": "bob"})
        assert answer.json()["acknowledged_by"] == "bob"
    _check_alerts(site, 1)


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        *((point, 1) for point in ("before_finish", "before_summary", "after_summary", "after_finish")),
        # When the alerts are through: of the run that sends the summary.
        *((point, COUNT + 1) for point in ("before_post", "after_answer")),
    ],
)
def test_a_kill_around_a_summary(site: Site, slack: RunningMock, source: str, point: str, nth: int) -> None:
    """What the run changed is said once, or in doubt: never lost, never twice, and not by a replay."""
    _die_at(site, source, point, nth, summary=True)
    site.expire_leases()
    with service(site.folder, site.env(**PATIENT, summary=True)) as restarted:
        statuses = "SELECT status FROM outbox WHERE alert_type = 'summary'"
        settled = [("sent",)], [("unknown",)]
        wait_until(lambda: site.rows(statuses) in settled, what="the summary has a fate")
        assert post_run(restarted, source).status_code == 200
        _at_rest(restarted)
        ((fate,),) = site.rows(statuses)
    said = [record for record in slack.records() if "📋" in str((record.payload or {})["text"])]
    assert (fate, len(said)) in {("sent", 1), ("unknown", 0), ("unknown", 1)}
    assert (fate == "unknown") <= (point in {"before_post", "after_answer"})


@pytest.mark.parametrize("point", ["after_claim", "after_settle", "before_finish"])
def test_a_kill_of_whoever_resumes(site: Site, slack: RunningMock, source: str, point: str) -> None:
    """A run that dies again and again is resumed again and again, and comes to its end."""
    _die_at(site, source, point, 1)
    for _ in range(2):
        site.expire_leases()
        command = ("-m", "tests.support.failing", point, "1", "serve", "--port", "0")
        with started(command, folder=site.folder, env=site.env(**PATIENT)) as resuming:
            assert resuming.exit_code() == -signal.SIGKILL
    site.expire_leases()
    with service(site.folder, site.env(**PATIENT)) as restarted:
        (first,) = _at_rest(restarted)
        assert first["status"] == "succeeded"
        _check_fates(_alerts(restarted, first), slack, deaths=3)
        _check_replay(restarted, source, slack, deaths=3)


def _die_at(site: Site, source: str, point: str, nth: int, **changes: object) -> None:
    """Have a service begin a run and die at a fail point of it; its log says only what is committed."""
    command = ("-m", "tests.support.failing", point, str(nth), "serve", "--port", "0")
    with (
        started(command, folder=site.folder, env=site.env(**PATIENT, **changes)) as failing,
        posting(listening(failing), source),
    ):
        assert failing.exit_code() == -signal.SIGKILL
    logged = {event["alert_id"]: event["outcome"] for event in failing.events() if "outcome" in event}
    assert logged.items() <= site.statuses().items()


def _check_alerts(site: Site, count: int) -> None:
    """Check that there are so many alerts, each with as many events as it has seen changes."""
    events = "SELECT count(*) FROM alert_events e WHERE e.alert_id = a.id"
    found = site.rows(f"SELECT a.version, ({events}) FROM alerts a")  # noqa: S608  # our own words
    assert len(found) == count
    assert all(version == number for version, number in found)


def _at_rest(running: Running) -> list[dict[str, Any]]:
    """Return all runs, newest first, once none is running any more."""
    wait_until(lambda: not open_runs(running), what="no run is open")
    runs: list[dict[str, Any]] = ask(running, "/runs")["runs"]
    return runs


def _alerts(running: Running, run: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the alerts of a run by account."""
    rows = ask(running, f"/runs/{run['run_id']}/alerts", limit=1000)["alerts"]
    return {row["account_id"]: row for row in rows}


def _check_fates(alerts: dict[str, dict[str, Any]], slack: RunningMock, *, deaths: int = 1) -> None:
    """Check that every alert of the month has one fate, and that Slack says the same."""
    assert alerts.keys() == MONTHS_ALERTS
    outcomes = Counter(row["outcome"] for row in alerts.values())
    assert outcomes.keys() <= {"sent", "skipped_replay", "unknown", "failed"}
    assert outcomes["unknown"] <= deaths * SENDERS
    failed = {name: row["reason"] for name, row in alerts.items() if row["outcome"] == "failed"}
    assert failed == {UNROUTED: "unknown_region"}
    accepted = accepted_by(slack)
    assert set(accepted.values()) <= {1}, "an alert was accepted twice"
    sent = {row["alert_id"] for row in alerts.values() if row["outcome"] in {"sent", "skipped_replay"}}
    in_doubt = {row["alert_id"] for row in alerts.values() if row["outcome"] == "unknown"}
    assert sent <= accepted.keys() <= sent | in_doubt


def _check_replay(running: Running, source: str, slack: RunningMock, *, deaths: int = 1) -> None:
    """Check that running the month again finishes what is left, and leaves alone what is not."""
    answer = post_run(running, source)
    assert answer.status_code == 200, answer.text
    replay = ask(running, f"/runs/{answer.json()['run_id']}")
    assert replay["status"] == "succeeded"
    _check_fates(_alerts(running, replay), slack, deaths=deaths)
    assert {run["status"] for run in _at_rest(running)} <= {"succeeded", "failed"}
