"""A region leads to one channel or nowhere, and a channel to one lane."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.channels import SINGLE_LANE, Channels, Destination
from service.delivery.lane_queue import outgoing_lanes
from tests.support.alerts import any_text

MAP = {"AMER": "amer-risk-alerts", "EMEA": "emea-risk-alerts", "APAC": "apac-risk-alerts"}
BASE = "https://hooks.example.com/services/s3cr3t"
API = "https://slack.example.com/api"
SINGLE = "https://hooks.example.com/services/T0/B0/s3cr3t"


@pytest.mark.parametrize("region", [*MAP, None, "", " ", "\t\n", "amer", "AMER ", " AMER", "AMER,EMEA"])
def test_there_is_no_default_channel(region: str | None) -> None:
    """Null, blank, unmapped and misspelled regions lead nowhere; a map cannot make blanks a region."""
    blanks = {"": "x", " ": "x", "\t\n": "x"}
    assert Channels(by_region=MAP | blanks).of(region) == MAP.get(region or "")


@given(any_text(), st.dictionaries(any_text(), st.just("channel"), max_size=5))
def test_only_an_exact_match_counts(region: str, by_region: dict[str, str]) -> None:
    """A region has a channel only if it stands in the map as it is; a near miss is one that does not."""
    channels = Channels(by_region=by_region)
    assert (channels.of(region) is not None) == (region in by_region and region.strip() != "")
    assert not (channels.near_miss(region) and region in by_region)


@pytest.mark.parametrize(
    ("region", "near"),
    [("amer", True), (" AMER", True), ("Emea\n", True), ("AMER", False), ("AMERICA", False), (None, False)],
)
def test_near_misses_differ_in_case_or_spaces_only(region: str | None, *, near: bool) -> None:
    """What a person would call the same region is told apart from an unknown one."""
    assert Channels(by_region=MAP).near_miss(region) is near


def test_every_channel_is_named_once() -> None:
    """Regions may share a channel; its lane must not be doubled."""
    channels = Channels(by_region={"A": "one", "B": "two", "C": "one"})
    assert channels.names == ("one", "two")


def test_all_that_has_a_webhook_of_its_own_can_be_checked() -> None:
    """Log rules name channels that no region leads to; behind one webhook for all no others are known."""
    webhooks = {"a": "http://slack/1", "on-call": "http://slack/2"}
    assert Channels(by_region={"X": "a"}, webhooks=webhooks).checkable == ("a", "on-call")
    assert Channels(by_region={}, webhooks=webhooks).checkable == ("a", "on-call")
    assert Channels(by_region={"X": "a"}, webhook_url="http://slack").checkable == ("a",)


def test_a_channel_that_is_named_itself_is_reached_where_a_webhook_leads_there() -> None:
    """With one webhook a channel the channel needs its own; one without gets no lane."""
    one_each = Channels(by_region=MAP, webhooks=dict.fromkeys([*MAP.values(), "on-call"], BASE))
    assert (one_each.named("on-call"), one_each.named("elsewhere")) == ("on-call", None)
    lanes = outgoing_lanes(one_each, ["on-call", "elsewhere"], messages_per_second=1)
    assert list(lanes) == [*MAP.values(), "on-call"]
    for anywhere in (Channels(by_region={}, webhook_base_url=BASE), Channels(by_region={}, webhook_url=BASE)):
        assert anywhere.named("elsewhere") == "elsewhere"
        (lane,) = outgoing_lanes(anywhere, ["elsewhere"], messages_per_second=1).values()
        assert lane.channels == ("elsewhere",)


def test_a_single_webhook_is_a_single_lane() -> None:
    """With one webhook all channels share one lane, so that its pace holds for all of them together."""
    channels = Channels(by_region=MAP, webhook_url=SINGLE)
    assert channels.is_single_lane
    assert {channels.lane_of(name) for name in channels.names} == {SINGLE_LANE}
    assert channels.url_of(SINGLE_LANE) == SINGLE


HOOKS = {name: f"https://hooks.example.com/services/T0/{name}/s3cr3t" for name in MAP.values()}
BELOW_BASE = {name: f"{BASE}/{name}" for name in MAP.values()}


@pytest.mark.parametrize(
    ("base", "webhooks", "single", "destination", "urls"),
    [
        (BASE, {}, None, Destination.BASE_URL, BELOW_BASE),
        (None, HOOKS, SINGLE, Destination.PER_CHANNEL, HOOKS),
        (BASE, HOOKS, SINGLE, Destination.BASE_URL, BELOW_BASE),
    ],
)
def test_every_channel_has_a_lane_and_a_url_of_its_own(
    base: str | None, webhooks: dict[str, str], single: str | None, destination: Destination, urls: object
) -> None:
    """With a base URL, which wins over all others, or a webhook per channel, which wins over a single one."""
    channels = Channels(by_region=MAP, webhook_base_url=base, webhooks=webhooks, webhook_url=single)
    assert (channels.destination, channels.is_single_lane) == (destination, False)
    assert {name: channels.url_of(channels.lane_of(name)) for name in channels.names} == urls


def test_a_bot_posts_every_channel_to_one_address_and_keeps_a_lane_for_each() -> None:
    """It comes before a single webhook only; its token tells its lanes from another bot's."""
    bot = Channels(by_region=MAP, bot_token="xoxb-s3cr3t", api_url=API, webhook_url=SINGLE)
    assert (bot.destination, bot.is_single_lane, bot.is_configured) == (Destination.BOT, False, True)
    assert {bot.url_of(bot.lane_of(name)) for name in bot.names} == {f"{API}/chat.postMessage"}
    assert bot.named("any-other") == "any-other"
    other = replace(bot, bot_token="xoxb-other")
    keys = [channels.secret_of(name) for channels in (bot, other) for name in channels.names]
    assert len(set(keys)) == 2 * len(bot.names)
    assert "s3cr3t" not in f"{bot!r} {bot}"
    hooks = replace(bot, webhooks=HOOKS)
    assert (hooks.destination, hooks.secret_of("amer-risk-alerts")) == (
        Destination.PER_CHANNEL,
        HOOKS["amer-risk-alerts"],
    )


def test_without_a_webhook_nothing_is_configured() -> None:
    """Preview and dry run can still route, but there is nowhere to post to."""
    channels = Channels(by_region=MAP)
    assert not channels.is_configured
    assert Channels(by_region=MAP, webhook_url=SINGLE).is_configured
    assert Channels(by_region=MAP, webhook_base_url=BASE).is_configured
    with pytest.raises(LookupError):
        channels.url_of(channels.lane_of("amer-risk-alerts"))


def test_a_channel_is_one_segment_of_the_path() -> None:
    """No channel's name can lead a message to another path or query."""
    channels = Channels(by_region={}, webhook_base_url=BASE)
    assert channels.url_of("a/b?c#d é") == f"{BASE}/a%2Fb%3Fc%23d%20%C3%A9"


def test_the_webhooks_never_print() -> None:
    """A log line about the channels cannot leak the secret URLs."""
    channels = Channels(by_region=MAP, webhook_base_url=BASE, webhooks=HOOKS, webhook_url=SINGLE)
    assert "s3cr3t" not in f"{channels!r} {channels}"
    assert "amer-risk-alerts" in repr(channels)
