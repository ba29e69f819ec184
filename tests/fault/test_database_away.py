"""PostgreSQL away: connections that break, and a server that restarts, under a run that delivers."""

from pathlib import Path

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.databases import PostgresqlServer
from tests.support.office import open_office
from tests.support.processes import service
from tests.support.site import AMER, PATIENT, Site, accepted_by, alerts_of, ask, posting
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault

BLOWS = {
    "connections_dropped": (PostgresqlServer.drop_connections, (5, 15, 25, 35, 45)),
    "server_restarted": (PostgresqlServer.restart, (10, 35)),
}


@pytest.mark.parametrize("blow", BLOWS)
def test_a_run_outlives_its_connections(
    site: Site, slack: RunningMock, postgresql_server: PostgresqlServer, blow: str
) -> None:
    """Whatever was under way when they broke, the run goes on, with every alert sent once."""
    strike, moments = BLOWS[blow]
    url = postgresql_server.new()
    slack.script(AMER, Step(delay_s=0.1, times=1_000))
    with service(site.folder, site.env(database_url=url, **PATIENT)) as running:
        with posting(running, site.source) as answers:
            for moment in moments:
                wait_until(lambda at=moment: slack.stats().total.requests >= at, what="enough have left")  # type: ignore[misc]
                strike(postgresql_server)
        (run,) = ask(running, "/runs")["runs"]
        assert [answer.json() for answer in answers] == [{"run_id": run["run_id"]}]
        assert run["status"] == "succeeded"
        outcomes = alerts_of(running, run["run_id"])
    assert set(outcomes.values()) == {"sent"}
    assert accepted_by(slack) == dict.fromkeys(outcomes, 1)
    assert len(outcomes) == site.count


def test_a_button_pressed_while_the_database_is_away(
    tmp_path: Path, postgresql_server: PostgresqlServer
) -> None:
    """Slack is answered in time, the person reads that nothing can be said, and may press again later."""
    with open_office(tmp_path, database_url=postgresql_server.new()) as office:
        alert_id = next(office.fresh)
        postgresql_server.stop()
        try:
            said = office.press(alert_id)
        finally:
            postgresql_server.restart()
        assert (said["status"], said["body"], said["error"]) == (200, "", None)
        (answer,) = wait_until(lambda: office.answers_about(alert_id), what="somebody is answered")
        assert answer["answer"]["text"].startswith("The database cannot be used now")
        assert office.status(alert_id) == ("triggered", None)
        office.press(alert_id)
        assert office.status(alert_id) == ("acknowledged", "slack:U0ANN")
