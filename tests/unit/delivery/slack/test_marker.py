"""Markers: the service knows its own messages, and takes nobody else's for one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.slack.marker import Marker, Markers

OURS = Markers("0123456789abcdef")
MARKER = Marker("9f2c" * 8, 3)


@given(st.text(alphabet="0123456789abcdef", min_size=1, max_size=32), st.integers(1, 999_999_999))
def test_a_marker_is_read_as_it_was_made(occurrence: str, claim: int) -> None:
    """Whichever POST it is of."""
    marker = Marker(occurrence, claim)
    assert OURS.read(OURS.metadata(marker)) == marker


def test_another_key_makes_another_marker() -> None:
    """Nobody without the key can have the service believe that a message was sent."""
    assert Markers("another key of 16").read(OURS.metadata(MARKER)) is None


def spoilt(text: str, kind: str = "risk_alert") -> dict[str, Any]:
    """Return metadata with another marker."""
    return {"event_type": kind, "event_payload": {"marker": text}}


GOOD = OURS.metadata(MARKER)["event_payload"]["marker"]


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        "",
        [],
        {},
        {"event_type": "risk_alert"},
        {"event_type": "risk_alert", "event_payload": {"marker": 5}},
        {"event_type": "risk_alert", "event_payload": ["marker"]},
        spoilt(GOOD, "task_created"),
        spoilt(""),
        spoilt("a.b"),
        spoilt(GOOD.replace(".3.", ".4.")),
        spoilt(GOOD.replace(".3.", ".٣.")),
        spoilt(GOOD.replace(".3.", f".{'9' * 5000}.")),
        spoilt(GOOD[:-1]),
        spoilt(GOOD + "ü"),
        spoilt("\ud800." + GOOD),
    ],
)
def test_what_is_not_ours_is_no_marker(metadata: object) -> None:
    """Whatever another app, or a person, put there."""
    assert OURS.read(metadata) is None


def test_a_marker_says_nothing_of_an_account_and_the_key_never_prints() -> None:
    """Slack shows metadata to every app of the workspace."""
    assert set(OURS.metadata(MARKER)["event_payload"]) == {"marker"}
    assert OURS.key not in f"{OURS!r} {OURS} {OURS.metadata(MARKER)}"
