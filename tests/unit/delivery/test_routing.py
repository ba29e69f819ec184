"""Every alert gets the channel of its region and the message that would be posted."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from service.account_risk.account_at_risk import AccountAtRisk
from service.account_risk.risk_alert import RiskAlert
from service.delivery.channels import Channels
from service.delivery.routing import region_warnings, route
from tests.support.alerts import an_alert, any_alert, rendered

BASE = "https://app.yourcompany.com/accounts"
RISK = RiskAlert(details_base_url=BASE)
MAP = {"AMER": "amer-risk-alerts", "EMEA": "emea-risk-alerts", "APAC": "apac-risk-alerts"}
BY_CHANNEL = Channels(by_region=MAP, webhook_base_url="https://hooks.example.com/s3cr3t")
SINGLE = Channels(by_region=MAP, webhook_url="https://hooks.example.com/s3cr3t")


@given(st.lists(any_alert() | st.sampled_from([*MAP]).map(lambda it: an_alert(account_region=it))))
def test_every_alert_comes_out_in_order(alerts: list[AccountAtRisk]) -> None:
    """No alert is dropped, doubled or moved, and each has the channel of its region or none."""
    routed = list(route(alerts, BY_CHANNEL, RISK))
    assert [AccountAtRisk.of(item.alert) for item in routed] == alerts
    assert [item.channel for item in routed] == [BY_CHANNEL.of(alert.account_region) for alert in alerts]


@given(any_alert())
def test_the_payload_is_the_message_as_json(alert: AccountAtRisk) -> None:
    """What is posted is what the message says, as JSON text, whatever characters the data holds."""
    (item,) = route([alert], BY_CHANNEL, RISK)
    assert orjson.loads(item.payload) == rendered(alert, details_base_url=BASE)


def test_messages_name_their_channel_where_one_webhook_serves_all() -> None:
    """With one webhook the message says whose it is; with one for each channel that would be noise."""
    (named,) = route([an_alert()], SINGLE, RISK)
    (plain,) = route([an_alert()], BY_CHANNEL, RISK)
    assert "Channel: #amer-risk-alerts" in orjson.loads(named.payload)["text"]
    assert "Channel" not in plain.payload


def test_an_alert_without_a_channel_still_has_its_message() -> None:
    """A preview shows the message of an alert that leads nowhere, and names no channel in it."""
    (item,) = route([an_alert(account_region=None)], SINGLE, RISK)
    assert item.channel is None
    assert "Channel" not in item.payload


def test_no_secret_is_in_a_message() -> None:
    """The webhook's URL never enters the payload, which is stored."""
    for channels in (BY_CHANNEL, SINGLE):
        (item,) = route([an_alert()], channels, RISK)
        assert "s3cr3t" not in repr(item)


def test_near_misses_are_counted_in_one_warning() -> None:
    """Regions that only case or spaces keep from a channel are told together; others are not."""
    regions = ["AMER", "amer", " EMEA", "LATAM", None, "", "Apac "]
    (warning,) = region_warnings([an_alert(account_region=region) for region in regions], BY_CHANNEL)
    assert (warning.code, warning.count) == ("near_miss_region", 3)
    # Not only accounts: the route of a rule over logs is no region.
    assert (
        warning.detail
        == "3 alerts would have a channel if REGION_CHANNELS were matched without case or spaces"
    )


def test_exact_and_foreign_regions_give_no_warning() -> None:
    """Where every region has a channel, or is another altogether, there is nothing to warn of."""
    alerts = [an_alert(account_region=region) for region in ("AMER", "LATAM", None)]
    assert region_warnings(alerts, BY_CHANNEL) == ()
