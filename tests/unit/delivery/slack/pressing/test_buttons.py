"""Buttons: what an alert can take next stands under its message; a press is read from Slack's form."""

from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.models.blocks import ActionsBlock

from mock_slack.blocks import why_invalid
from service.account_risk.risk_alert import RiskAlert
from service.delivery.slack.message import render
from service.delivery.slack.pressing.buttons import NotAPressError, Press, buttons, read_press
from service.domain.lifecycle.alert_status import TRANSITIONS, AlertStatus, AlertStep
from service.domain.lifecycle.message_state import MessageState
from tests.support.alerts import an_alert

RISK = RiskAlert(details_base_url="https://app.example.com")
PAYLOAD: dict[str, Any] = {
    "type": "block_actions",
    "team": {"id": "T0MOCK", "domain": "mock"},
    "user": {"id": "U0ANN", "name": "ann"},
    "response_url": "https://hooks.slack.com/actions/T0MOCK/1/x",
    "actions": [{"action_id": "acknowledge", "block_id": "b", "type": "button", "value": "a" * 32}],
}


def form(payload: object) -> bytes:
    """Return the body that Slack sends."""
    return urlencode({"payload": orjson.dumps(payload)}).encode()


def steps(block: dict[str, Any] | None) -> list[str]:
    """Return the steps that a block offers."""
    return [] if block is None else [each["action_id"] for each in block["elements"]]


@pytest.mark.parametrize("status", AlertStatus)
def test_a_button_is_offered_for_what_can_be_done(status: AlertStatus) -> None:
    """Each leads somewhere from there, by Slack's rules for blocks and by its own library's."""
    block = buttons("a" * 32, status)
    legal = {way.step for way in TRANSITIONS if way.start is status}
    assert set(steps(block)) == legal & {AlertStep.ACKNOWLEDGE, AlertStep.RESOLVE}
    if block is not None:
        assert why_invalid([block]) is None
        ActionsBlock(**block).validate_json()


def test_a_message_has_buttons_where_somebody_hears_of_them() -> None:
    """As its alert stands; none without, and none under what nobody works on."""
    alert = an_alert("acme")
    message = RISK.message(alert)
    plain = render(alert, message)
    assert {"actions"} & {block["type"] for block in plain["blocks"]} == set()
    shown = render(alert, message, has_buttons=True)
    assert shown["blocks"][:-1] == plain["blocks"]
    assert steps(shown["blocks"][-1]) == ["acknowledge", "resolve"]
    assert {each["value"] for each in shown["blocks"][-1]["elements"]} == {alert.alert_id}
    assert why_invalid(shown["blocks"]) is None
    over = render(alert, message, has_buttons=True, state=MessageState(status=AlertStatus.RESOLVED))
    assert "actions" not in {block["type"] for block in over["blocks"]}


def test_a_press_is_read() -> None:
    """As Slack sends it, with all that it says besides."""
    assert read_press(form(PAYLOAD | {"state": {"values": {}}})) == Press(
        team_id="T0MOCK",
        user_id="U0ANN",
        alert_id="a" * 32,
        step=AlertStep.ACKNOWLEDGE,
        response_url="https://hooks.slack.com/actions/T0MOCK/1/x",
    )
    assert read_press(form(PAYLOAD | {"response_url": 5})).response_url is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"payload",
        b"\xff=\xff",
        b"payload={}&payload={}",
        b"other={}",
        b"payload=" + b"[" * 100_000,
        b"&".join(b"a=b" for _ in range(50)),
        form(None),
        form([PAYLOAD]),
        form({}),
        form(PAYLOAD | {"type": "view_submission"}),
        form(PAYLOAD | {"team": None}),
        form(PAYLOAD | {"user": {"id": 5}}),
        form(PAYLOAD | {"user": {"id": "U0ANN> <!channel"}}),
        form(PAYLOAD | {"actions": []}),
        form(PAYLOAD | {"actions": PAYLOAD["actions"] * 2}),
        form(PAYLOAD | {"actions": [{"action_id": "reopen", "value": "a"}]}),
        form(PAYLOAD | {"actions": [{"action_id": "resolve"}]}),
        form(PAYLOAD | {"actions": [{"action_id": "resolve", "value": "a" * 101}]}),
        form({key: value for key, value in PAYLOAD.items() if key != "actions"}),
    ],
)
def test_what_is_no_press_is_refused(body: bytes) -> None:
    """In words, whatever came."""
    with pytest.raises(NotAPressError) as refused:
        read_press(body)
    assert len(str(refused.value)) < 100


@given(st.binary(max_size=300) | st.recursive(st.text() | st.none(), st.lists).map(form))
def test_anything_else_is_refused_as_well(body: bytes) -> None:
    """Garbage raises the one error, and no other."""
    with pytest.raises(NotAPressError):
        read_press(body)
