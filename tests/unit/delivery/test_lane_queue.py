"""Outgoing lanes: how other processes know the same destination."""

import re

from service.delivery.channels import Channels
from service.delivery.lane_queue import outgoing_lanes

BASE = "https://hooks.example.com/services/T0/B0/secret"
REGIONS = {"AMER": "amer", "EMEA": "emea", "LATAM": "amer"}


def _keys(channels: Channels) -> dict[str, str]:
    return {name: lane.shared.key for name, lane in outgoing_lanes(channels, messages_per_second=4).items()}


def test_a_destination_is_known_by_a_hash() -> None:
    """The key tells nothing of the URL, is the same in every process, and another URL has another."""
    keys = _keys(Channels(by_region=REGIONS, webhook_base_url=BASE))
    assert keys == _keys(Channels(by_region=dict(reversed(REGIONS.items())), webhook_base_url=BASE))
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys.values())
    assert keys["amer"] != keys["emea"]
    assert keys["amer"] not in _keys(Channels(by_region=REGIONS, webhook_base_url=f"{BASE}2")).values()


def test_the_same_url_is_the_same_lane_however_it_is_configured() -> None:
    """A single webhook and a channel's webhook that are one URL share their turns."""
    single = Channels(by_region=REGIONS, webhook_url=f"{BASE}/amer")
    assert list(_keys(single).values()) == [_keys(Channels(by_region=REGIONS, webhook_base_url=BASE))["amer"]]
