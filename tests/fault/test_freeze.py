"""SIGSTOP: a process that was frozen past its lease must not post when it wakes."""

import random
import time
from pathlib import Path

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import mock_process, run_command, service, started
from tests.support.site import AMER, PATIENT, SENDERS, Site, accepted_by
from tests.support.waiting import wait_until

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_frozen_run_is_overtaken_and_posts_nothing_afterwards(
    site: Site, slack: RunningMock, seed: int
) -> None:
    """Another run does the rest while it is frozen; thawed, it finds out and leaves everything alone."""
    chance = random.Random(seed)  # noqa: S311  # picks a moment
    slack.script(AMER, Step(delay_s=0.03, times=1_000))
    with run_command(site.source, folder=site.folder, env=site.env()) as frozen:
        target = chance.randrange(1, site.count // 2)
        wait_until(lambda: slack.stats().total.requests >= target, what="enough have left")
        time.sleep(chance.uniform(0, 0.03))
        frozen.freeze_between_transactions(site.database)
        finished = site.run()
        assert finished["status"] == "succeeded"
        assert finished["unknown"] <= SENDERS
        requests = slack.stats().total.requests
        assert site.runs()[0] == ("failed", "interrupted")
        frozen.thaw()
        assert frozen.exit_code() == 1
        assert "interrupted" in frozen.log.read_text()
    assert slack.stats().total.requests == requests
    # What Slack had answered in the meantime still counts: a late `ok` settles a doubt.
    site.assert_sound(accepted_by(slack), doubts=SENDERS)
    assert site.runs() == [("failed", "interrupted"), ("succeeded", None)]


def test_a_frozen_run_that_was_resumed_elsewhere_posts_nothing_afterwards(
    site: Site, slack: RunningMock
) -> None:
    """A service takes the run itself over; thawed, the first process finds out and leaves all alone."""
    slack.script(AMER, Step(delay_s=0.03, times=1_000))
    with run_command(site.source, folder=site.folder, env=site.env()) as frozen:
        wait_until(lambda: slack.stats().total.requests >= 10, what="some have left")
        frozen.freeze_between_transactions(site.database)
        with service(site.folder, site.env()):
            wait_until(lambda: site.runs() == [("succeeded", None)], what="the run is resumed and finished")
            requests = slack.stats().total.requests
            frozen.thaw()
            assert frozen.exit_code() == 1
            assert "interrupted" in frozen.log.read_text()
    assert slack.stats().total.requests == requests
    site.assert_sound(accepted_by(slack), doubts=SENDERS)
    assert site.runs() == [("succeeded", None)]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_claimed_before_a_freeze_is_not_posted_after_it(tmp_path: Path, seed: int) -> None:
    """Frozen with 64 claims in hand, its doubts resent by another run meanwhile, it posts none of them."""
    chance = random.Random(seed)  # noqa: S311  # picks a moment
    with mock_process(tmp_path) as (slack, _):
        site = Site(folder=tmp_path, webhook_base_url=slack.webhook_base_url, count=2_000)
        env = site.env(slack_concurrency=64)
        with run_command(site.source, folder=site.folder, env=env) as frozen:
            target = chance.randrange(1, site.count // 2)
            wait_until(lambda: slack.stats().total.requests >= target, what="enough have left")
            time.sleep(chance.uniform(0, 0.03))
            frozen.freeze_between_transactions(site.database)
            overtaking = site.run(slack_concurrency=64)
            settle = ("-m", "service", "settle", "--run", overtaking["run_id"], "--as", "resend")
            with started(settle, folder=site.folder, env=env) as settling:
                assert settling.exit_code() == 0, settling.log.read_text()
            assert site.run()["alerts_sent"] == overtaking["unknown"] <= 64
            requests = slack.stats().total.requests
            frozen.thaw()
            assert frozen.exit_code() == 1
        assert slack.stats().total.requests == requests
    assert set(site.statuses().values()) == {"sent"}


def test_a_short_freeze_is_nobodys_business(site: Site, slack: RunningMock) -> None:
    """Within its lease a run that stood still simply goes on."""
    slack.script(AMER, Step(delay_s=0.03, times=1_000))
    with run_command(site.source, folder=site.folder, env=site.env(**PATIENT)) as run:
        wait_until(lambda: slack.stats().total.requests >= 10, what="some have left")
        run.freeze()
        time.sleep(1)
        run.thaw()
        assert run.exit_code() == 0
    site.assert_sound(accepted_by(slack), doubts=0)
