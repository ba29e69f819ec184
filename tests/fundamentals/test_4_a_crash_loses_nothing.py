"""Lesson 4: a process is killed in the middle of a run; the rest is sent once, and what is in doubt is held.

All alerts of a run are recorded before the first is sent, each claim before its POST, each answer after it. A
kill therefore leaves in doubt only what was being posted at that moment: as many alerts as there are senders.
"""

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.domain.delivery_status import SettleAs
from service.runs.interventions import settle_alert
from tests.support.house import House
from tests.support.processes import run_command, service
from tests.support.rows import account
from tests.support.site import AMER, SENDERS, Site, accepted_by, posting
from tests.support.waiting import wait_until


def test_the_next_run_sends_the_rest(site: Site, slack: RunningMock) -> None:
    """It waits until the dead run's lease has expired, closes that run, and sends what is still pending."""
    slack.script(AMER, Step(delay_s=0.1, times=site.count))
    with run_command(site.source, folder=site.folder, env=site.env()) as first:
        wait_until(lambda: slack.stats().total.accepted >= 10, what="some alerts have been sent")
        first.kill()
    finished = site.run()
    assert site.runs() == [("failed", "interrupted"), ("succeeded", None)]
    assert finished["alerts_sent"] + finished["skipped_replay"] + finished["unknown"] == site.count
    assert finished["unknown"] <= SENDERS
    assert set(accepted_by(slack).values()) == {1}


def test_a_service_resumes_a_run_that_died(site: Site, slack: RunningMock) -> None:
    """Nobody has to ask: a service that starts looks for such runs and executes them to the end."""
    slack.script(AMER, Step(delay_s=0.1, times=site.count))
    with service(site.folder, site.env()) as first, posting(first, site.source):
        wait_until(lambda: slack.stats().total.accepted >= 10, what="some alerts have been sent")
        first.kill()
    with service(site.folder, site.env()):
        wait_until(lambda: site.runs() == [("succeeded", None)], what="the run is resumed and finished")
    site.assert_sound(accepted_by(slack), doubts=SENDERS)


async def test_a_person_settles_what_is_in_doubt(house: House) -> None:
    """Somebody looks into the channel and says `sent` or `resend`; only then is it sent again."""
    house.slack.script(AMER, Step(drop="after"))
    source = house.source([account("acme")])
    async with house.open() as desk:
        first = await desk.run(source)
        (alert,) = await desk.alerts(first)
        await settle_alert(desk.app, alert.alert.alert_id, SettleAs.RESEND, by="ann", note=None)
        again = await desk.run(source)
    assert (first.counts.unknown, again.counts.alerts_sent) == (1, 1)
