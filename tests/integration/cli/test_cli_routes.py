"""`routes check` against a mock Slack whose webhooks live, are revoked, or do not answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from tests.support.processes import command
from tests.support.rows import MONTH, account, write_source

CHANNELS = ("amer-risk-alerts", "emea-risk-alerts", "apac-risk-alerts")


def webhooks(slack: RunningMock) -> str:
    """Return the setting that leads each channel to a webhook of its own."""
    return json.dumps({channel: f"{slack.webhook_base_url}/{channel}" for channel in CHANNELS})


def checked(folder: Path, slack: RunningMock, expected_exit: int) -> dict[str, Any]:
    """Run the check and return its routes by channel."""
    done = command(folder, "routes", "check", "--json", SLACK_WEBHOOKS=webhooks(slack))
    assert done.returncode == expected_exit, done.stderr
    answer = json.loads(done.stdout)
    assert answer["destination"] == "SLACK_WEBHOOKS"
    assert slack.webhook_base_url not in done.stdout + done.stderr
    return {route["channel"]: route for route in answer["routes"]}


def test_live_webhooks_are_told_from_each_other_without_a_message(tmp_path: Path, slack: RunningMock) -> None:
    """Each is asked once with a body that is no JSON: nobody in a channel sees anything."""
    routes = checked(tmp_path, slack, 0)
    assert {channel: route["status"] for channel, route in routes.items()} == dict.fromkeys(CHANNELS, "live")
    assert routes["emea-risk-alerts"]["regions"] == ["EMEA"]
    assert slack.stats().total.accepted == 0
    assert not list(tmp_path.rglob("*.db"))


@pytest.mark.parametrize(
    ("steps", "statuses"),
    [
        ([Step(status=429, headers={"Retry-After": "30"})], ["live", "live", "live"]),
        ([Step(status=404, body="no_service")], ["dead", "live", "live"]),
        (
            [Step(status=403, body="action_prohibited"), Step(status=410, body="channel_is_archived")],
            ["dead", "dead", "live"],
        ),
        (
            [Step(status=500), Step(status=200, body="<html>"), Step(drop="before")],
            ["unclear", "unclear", "unreachable"],
        ),
    ],
)
def test_a_webhook_that_would_lose_messages_is_named(
    tmp_path: Path, slack: RunningMock, steps: list[Step], statuses: list[str]
) -> None:
    """A revoked webhook or an archived channel is found before a month depends on it."""
    for channel, step in zip(CHANNELS, steps, strict=False):
        slack.script(channel, step)
    routes = checked(tmp_path, slack, 0 if set(statuses) == {"live"} else 2)
    assert [routes[channel]["status"] for channel in CHANNELS] == statuses


def test_a_person_reads_a_table(tmp_path: Path, slack: RunningMock) -> None:
    """The table names the setting in use, and each channel with its regions and the answer.

    Also one to which no region leads: a rule over logs may.
    """
    slack.script("apac-risk-alerts", Step(status=404, body="no_service"))
    slack.script("on-call", Step(status=410, body="channel_is_archived"))
    given = json.dumps({name: f"{slack.webhook_base_url}/{name}" for name in ("apac-risk-alerts", "on-call")})
    regions = json.dumps({"APAC": "apac-risk-alerts"})
    done = command(tmp_path, "routes", "check", SLACK_WEBHOOKS=given, REGION_CHANNELS=regions)
    assert done.returncode == 2
    assert "SLACK_WEBHOOKS" in done.stdout
    first, second = (line for line in done.stdout.splitlines() if "HTTP" in line)
    assert [word in first for word in ("apac-risk-alerts", "APAC", "dead", "no_service")] == [True] * 4
    assert [word in second for word in ("on-call", "dead", "channel_is_archived")] == [True] * 3


def test_a_bot_names_the_channels_that_it_could_not_post_to(tmp_path: Path, slack: RunningMock) -> None:
    """It asks Slack where it is a member, by name and by id; and its token is no answer's part."""
    bot = {"SLACK_BOT_TOKEN": "xoxb-c4nary", "MARKER_KEY": "k" * 16, "SLACK_API_URL": slack.api_url}
    slack.behave(absent_from={"amer-risk-alerts"}, archived={"apac-risk-alerts"})
    regions = json.dumps({name: f"{name.lower()}-risk-alerts" for name in ("AMER", "EMEA", "APAC", "LATAM")})
    done = command(tmp_path, "routes", "check", "--json", REGION_CHANNELS=regions, **bot)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["destination"]) == (2, "SLACK_BOT_TOKEN")
    assert {
        route["channel"]: (route["status"], route["answer"].split(":")[0]) for route in answer["routes"]
    } == {
        "amer-risk-alerts": ("dead", "not_in_channel"),
        "emea-risk-alerts": ("live", "the bot is a member of C0" + answer["routes"][1]["answer"][-8:]),
        "apac-risk-alerts": ("dead", "is_archived"),
        "latam-risk-alerts": ("dead", "channel_not_found"),
    }
    assert slack.stats().total.requests == 0
    slack.script("auth.test", *[Step(body={"ok": False, "error": "token_revoked"})] * 2)
    refused = command(tmp_path, "routes", "check", **bot)
    assert refused.returncode == 2
    assert "token_revoked" in refused.stdout
    assert "c4nary" not in done.stdout + done.stderr + refused.stdout + refused.stderr


def test_without_a_webhook_there_is_nothing_to_check(tmp_path: Path) -> None:
    """The error says which settings lead to Slack."""
    done = command(tmp_path, "routes", "check")
    assert done.returncode != 0
    assert "slack_not_configured: set SLACK_WEBHOOKS" in done.stderr


def test_a_month_goes_out_through_a_webhook_per_channel(tmp_path: Path, slack: RunningMock) -> None:
    """Each region hears in its own channel, and no message has to name its channel."""
    source = write_source(tmp_path / "a.parquet", [account(1), account(2, account_region="EMEA")])
    done = command(tmp_path, "run", source, "--month", MONTH, SLACK_WEBHOOKS=webhooks(slack))
    assert done.returncode == 0, done.stderr
    stats = slack.stats()
    assert {name: each.accepted for name, each in stats.channels.items()} == {
        "amer-risk-alerts": 1,
        "emea-risk-alerts": 1,
    }
