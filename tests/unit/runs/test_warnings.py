"""Warnings about deliveries: what cannot be sent in time, and what was not."""

import pytest

from service.delivery.channels import Channels
from service.delivery.policy import DeliveryPolicy
from service.runs.warnings import late_lanes, without_channel

REGIONS = {"AMER": "amer", "EMEA": "emea"}


def _policy(*, pace: float, deadline_s: float = 600) -> DeliveryPolicy:
    return DeliveryPolicy(
        messages_per_second=pace,
        timeout_s=10,
        max_retries=3,
        deadline_s=deadline_s,
        lease_s=30,
        shutdown_grace_s=8,
    )


@pytest.mark.parametrize(("pace", "fits"), [(1, 600), (0.5, 300), (4, 2_400)])
def test_a_lane_that_cannot_finish_in_time_is_named(pace: float, fits: int) -> None:
    """The warning says which setting ends it and how many alerts are left; what just fits is not named."""
    channels = Channels(by_region=REGIONS, webhook_base_url="http://slack")
    policy = _policy(pace=pace)
    assert late_lanes({"amer": fits, "emea": fits}, channels, policy) == ()
    (warning,) = late_lanes({"amer": fits, "emea": fits + 7}, channels, policy)
    assert (warning.code, warning.count) == ("deadline_too_short", 7)
    assert warning.detail.startswith("emea needs")
    assert "DELIVERY_DEADLINE_S" in warning.detail


def test_channels_of_one_webhook_share_its_time() -> None:
    """Together they are too many for their one lane."""
    channels = Channels(by_region=REGIONS, webhook_url="http://slack")
    (warning,) = late_lanes({"amer": 400, "emea": 400}, channels, _policy(pace=1))
    assert warning.count == 200


def test_without_a_pace_nothing_is_late() -> None:
    """How fast Slack takes messages is not known beforehand."""
    channels = Channels(by_region=REGIONS, webhook_url="http://slack")
    assert late_lanes({"amer": 10_000_000}, channels, _policy(pace=0)) == ()


def test_what_has_no_channel_is_said_of_any_kind_of_alert() -> None:
    """A rule over logs names a channel or a route, and knows no regions; the code is stored, and stays."""
    assert without_channel(0) == ()
    (warning,) = without_channel(4)
    assert (warning.code, warning.detail) == ("unknown_region", "4 alerts have no channel configured")
