"""The crash matrix with a bot: a kill leaves nothing in doubt where Slack can be asked, and nothing twice."""

import signal
from collections import Counter
from typing import Any, Final

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.domain.tenant import DEFAULT_TENANT
from tests.support.failing import BOT_FAIL_POINTS
from tests.support.house import MARKER_KEY
from tests.support.processes import ASKING, listening, service, started
from tests.support.rows import accounts, write_source
from tests.support.site import AMER, Site, accepted_by, ask, open_runs, post_run, posting
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

COUNT: Final = 12
SENDERS: Final = 4


@pytest.fixture
def source(site: Site) -> str:
    """Write a source whose alerts all go to one channel."""
    return write_source(site.folder / "source.parquet", accounts(COUNT))


def all_shown(site: Site) -> bool:
    """Return whether the ledger says of every message that it shows what has become of its alert."""
    return site.rows("SELECT status, count(*) FROM message_updates GROUP BY status") == [("shown", COUNT)]


def settings(site: Site, slack: RunningMock, policy: str) -> dict[str, str]:
    """Return the settings of a service whose bot waits a short while for the history."""
    return site.env(
        slack_webhook_base_url="",
        slack_bot_token="xoxb-1",
        slack_api_url=slack.api_url,
        marker_key=MARKER_KEY,
        ambiguous_sends=policy,
        slack_timeout_s=4,
        lease_s=8,
        reconcile_after_s=1,
    )


POINTS: Final = [
    *(("after_record", 1), ("after_claim", 1), ("after_claim", 2), ("before_post", 1), ("before_post", 6)),
    *(
        ("after_answer", 1),
        ("after_answer", 6),
        ("before_settle", 1),
        ("before_settle", 2),
        ("after_settle", 1),
        ("before_finish", 1),
        ("after_finish", 1),
    ),
]


@pytest.mark.parametrize("policy", ["resend", "hold"])
@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_a_kill_where_slack_can_be_asked(
    site: Site, slack: RunningMock, source: str, point: str, nth: int, policy: str
) -> None:
    """With `resend` every alert is sent, once; with `hold` what is found is, and only what is not is held."""
    slack.behave(history_lag_s=0.5)
    env = settings(site, slack, policy)
    command = ("-m", "tests.support.failing", point, str(nth), "serve", "--port", "0")
    with started(command, folder=site.folder, env=env) as failing, posting(listening(failing), source):
        assert failing.exit_code() == -signal.SIGKILL
    _check_resumed(site, slack, env, policy)


def test_a_kill_before_anything_is_recorded(site: Site, slack: RunningMock, source: str) -> None:
    """Nothing has left, nothing is resumed, and the next run of the month sends all of it once."""
    env = settings(site, slack, "resend")
    command = ("-m", "tests.support.failing", "before_record", "1", "serve", "--port", "0")
    with started(command, folder=site.folder, env=env) as failing, posting(listening(failing), source):
        assert failing.exit_code() == -signal.SIGKILL
    assert slack.messages(AMER) == []
    site.expire_leases()
    with service(site.folder, env) as restarted:
        assert post_run(restarted, source).status_code == 200
    assert set(accepted_by(slack).values()) == {1}
    assert len(slack.messages(AMER)) == COUNT


@pytest.mark.parametrize("nth", [1, 3])
@pytest.mark.parametrize("point", BOT_FAIL_POINTS)
def test_a_kill_while_messages_change(
    site: Site, slack: RunningMock, source: str, point: str, nth: int
) -> None:
    """Each message ends up with what holds, at most one is changed twice, and no alert is sent again."""
    env = settings(site, slack, "resend")
    command = ("-m", "tests.support.failing", point, str(nth), "serve", "--port", "0")
    with started(command, folder=site.folder, env=env) as failing:
        running = listening(failing)
        assert post_run(running, source).status_code == 200
        listed = ASKING.get(f"{running.url}/alerts", params={"tenant_id": DEFAULT_TENANT})
        ids = [each["id"] for each in listed.json()]
        body = {"ids": ids, "action": "acknowledge", "by": "ann"}
        assert ASKING.post(f"{running.url}/alerts/bulk", json=body).status_code == 200
        assert failing.exit_code() == -signal.SIGKILL
    site.expire_leases()
    with service(site.folder, env) as restarted:
        wait_until(lambda: all_shown(site), what="every message shows what holds")
        wait_until(lambda: not open_runs(restarted), what="no run is open")
    messages = slack.messages(AMER)
    assert len(messages) == COUNT
    assert all("Acknowledged by ann" in each["text"] for each in messages)
    methods = Counter(each.method for each in slack.records())
    assert methods["chat.postMessage"] == COUNT
    assert COUNT <= methods["chat.update"] <= COUNT + 1


@pytest.mark.parametrize("policy", ["resend", "hold"])
def test_a_kill_after_the_bytes_have_left(site: Site, slack: RunningMock, source: str, policy: str) -> None:
    """Slack has the first messages and nobody heard so: each is found, and none is sent twice."""
    env = settings(site, slack, policy)
    slack.script(AMER, Step(delay_s=60, times=SENDERS))
    with service(site.folder, env) as running, posting(running, source):
        wait_until(lambda: slack.stats().total.accepted == SENDERS, what="Slack has the first messages")
        running.kill()
    counts = _check_resumed(site, slack, env, policy)
    assert counts == {"sent": COUNT}


def _check_resumed(site: Site, slack: RunningMock, env: dict[str, str], policy: str) -> Counter[str]:
    """Resume the run, and check that no alert is lost, sent twice, or in doubt without need."""
    site.expire_leases()
    with service(site.folder, env) as restarted:
        wait_until(lambda: not open_runs(restarted), what="no run is open")
        (run,) = ask(restarted, "/runs")["runs"]
        rows: list[dict[str, Any]] = ask(restarted, f"/runs/{run['run_id']}/alerts", limit=1000)["alerts"]
    accepted = accepted_by(slack)
    assert set(accepted.values()) == {1}, "an alert was accepted twice"
    outcomes = {row["alert_id"]: row["outcome"] for row in rows}
    assert len(outcomes) == COUNT
    assert {alert for alert, outcome in outcomes.items() if outcome == "sent"} == accepted.keys()
    counts = Counter(outcomes.values())
    if policy == "resend":
        assert counts == {"sent": COUNT}
    else:
        assert counts["unknown"] <= SENDERS
        assert counts.keys() <= {"sent", "unknown"}
    return counts
