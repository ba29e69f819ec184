"""The crash matrix: SIGKILL at every boundary of a run; what is left is read from the API and the mock."""

import asyncio
import signal
from collections import Counter
from typing import Any, Final

import httpx2
import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.managed_alert import NewAlert
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import open_store
from tests.support.failing import FAIL_POINTS
from tests.support.processes import ASKING, Running, listening, service, started
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
        *((point, 1) for point in FAIL_POINTS if not point.endswith(("_summary", "_waiting"))),
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


@pytest.mark.parametrize(
    ("step", "nth"),
    # Behind the three events of their creation; of many at once, in the middle of them.
    [("acknowledge", 4), ("resolve", 4), ("bulk", 5)],
)
def test_a_kill_between_a_step_and_its_event(site: Site, step: str, nth: int) -> None:
    """Neither is there: the alerts are as if nobody had asked, and can take the step."""
    body = {"tenant_id": DEFAULT_TENANT, "rule_name": "errors", "message": "too many"}
    with started(_failing("before_alert_event", nth), folder=site.folder, env=site.env()) as failing:
        url = listening(failing).url
        created = [ASKING.post(f"{url}/alerts", json=body).json() for _ in range(3)]
        with pytest.raises(httpx2.HTTPError):
            _take(url, step, [alert["id"] for alert in created], by="ann")
        assert failing.exit_code() == -signal.SIGKILL
    _check_alerts(site, 3)
    with service(site.folder, site.env()) as restarted:
        for alert in created:
            assert ask(restarted, f"/alerts/{alert['id']}") == alert
        answer = _take(restarted.url, step, [alert["id"] for alert in created], by="bob")
        assert answer.status_code == 200, answer.text
    _check_alerts(site, 3)
    assert set(site.rows("SELECT by FROM alert_events WHERE number = 2")) == {("bob",)}


def test_a_kill_between_an_alert_and_its_message(site: Site, slack: RunningMock) -> None:
    """Neither is there: whoever repeats the request has one alert, and Slack one message."""
    body = {"tenant_id": DEFAULT_TENANT, "rule_name": "errors", "message": "too many", "channel": "war-room"}
    with started(_failing("before_waiting", 1), folder=site.folder, env=site.env()) as failing:
        with pytest.raises(httpx2.HTTPError):
            ASKING.post(f"{listening(failing).url}/alerts", json=body)
        assert failing.exit_code() == -signal.SIGKILL
    _check_alerts(site, 0)
    with service(site.folder, site.env(**PATIENT)) as restarted:
        assert ASKING.post(f"{restarted.url}/alerts", json=body).status_code == 201
        wait_until(lambda: site.rows("SELECT status FROM outbox") == [("sent",)], what="it is sent")
    _check_alerts(site, 1)
    assert len(slack.records()) == 1


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        *((point, 1) for point in ("before_record", "after_record", "after_claim", "before_settle")),
        *((point, 1) for point in ("after_settle", "before_finish", "after_finish")),
        *((point, 3) for point in ("before_post", "after_answer")),
    ],
)
def test_a_kill_of_what_sends_created_alerts(site: Site, slack: RunningMock, point: str, nth: int) -> None:
    """Each is sent once, or in doubt: whatever died, none is lost, and none is there twice."""
    created = asyncio.run(_created(site, 8))
    with started(_failing(point, nth), folder=site.folder, env=site.env(**PATIENT)) as failing:
        assert failing.exit_code() == -signal.SIGKILL
    site.expire_leases()
    with service(site.folder, site.env(**PATIENT)) as restarted:
        wait_until(lambda: set(site.statuses().values()) <= {"sent", "unknown"}, what="each has a fate")
        _at_rest(restarted)
    statuses = site.statuses()
    accepted = Counter(
        str((record.payload or {})["text"]).rpartition("Alert: ")[2] for record in slack.records()
    )
    assert statuses.keys() == created
    assert set(accepted.values()) <= {1}
    sent = {alert_id for alert_id, status in statuses.items() if status == "sent"}
    assert sent <= accepted.keys() <= statuses.keys()
    assert len(statuses) - len(sent) <= SENDERS
    _check_alerts(site, 8)


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
        with started(_failing(point, 1), folder=site.folder, env=site.env(**PATIENT)) as resuming:
            assert resuming.exit_code() == -signal.SIGKILL
    site.expire_leases()
    with service(site.folder, site.env(**PATIENT)) as restarted:
        (first,) = _at_rest(restarted)
        assert first["status"] == "succeeded"
        _check_fates(_alerts(restarted, first), slack, deaths=3)
        _check_replay(restarted, source, slack, deaths=3)


def _failing(point: str, nth: int) -> tuple[str, ...]:
    return ("-m", "tests.support.failing", point, str(nth), "serve", "--port", "0")


def _take(url: str, step: str, ids: list[str], *, by: str) -> httpx2.Response:
    """Take a step for the first alert, or acknowledge all at once."""
    if step == "bulk":
        body = {"action": "acknowledge", "ids": ids, "by": by}
        return ASKING.post(f"{url}/alerts/bulk", json=body)
    return ASKING.put(f"{url}/alerts/{ids[0]}/{step}", json={"by": by})


async def _created(site: Site, count: int) -> set[str]:
    """Create alerts for one channel, which nothing sends yet, and return their ids."""
    async with open_store(f"sqlite:///{site.database}") as store:
        found = [
            await store.alert_work.create(
                NewAlert(rule_name="e", message=str(each), severity=Severity.HIGH, channel="war-room"),
                by="ann",
            )
            for each in range(count)
        ]
    return {alert.alert_id for alert, _ in found}


def _die_at(site: Site, source: str, point: str, nth: int, **changes: object) -> None:
    """Have a service begin a run and die at a fail point of it; its log says only what is committed."""
    with (
        started(_failing(point, nth), folder=site.folder, env=site.env(**PATIENT, **changes)) as failing,
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
