"""A pressed button: the alert moves before Slack is answered, and only for who may; others read why not."""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from mock_slack.script import Step
from mock_slack.web_api.pressing import signature
from service.domain.identity.permission import Permission
from service.domain.run import Page
from service.store.audit import AuditEntry
from service.store.store import Store
from tests.support.identities import in_store
from tests.support.office import SIGNING_SECRET, Office, open_office
from tests.support.served import running_service, settings
from tests.support.waiting import wait_until

NOTHING = "Nothing was changed: "


@pytest.fixture(scope="module")
def everybodys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Return an office that asks nobody who they are."""
    with open_office(tmp_path_factory.mktemp("open")) as office:
        yield office


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Return an office that asks everybody who they are."""
    with open_office(tmp_path_factory.mktemp("closed"), closed=True) as office:
        yield office


def signed(body: bytes, *, at: float | None = None) -> dict[str, str]:
    """Return the headers of a request that Slack signs."""
    timestamp = str(int(time.time() if at is None else at))
    return {
        "X_Slack_Request_Timestamp": timestamp,
        "X_Slack_Signature": signature(SIGNING_SECRET, timestamp, body),
    }


def test_a_button_acknowledges_and_another_resolves(everybodys: Office) -> None:
    """Before the answer, under Slack's id of who pressed, with the request's id in the event."""
    alert_id = next(everybodys.fresh)
    everybodys.press(alert_id)
    assert everybodys.status(alert_id) == ("acknowledged", "slack:U0ANN")
    everybodys.press(alert_id, "resolve", user="U0BOB")
    _, acknowledged, resolved = everybodys.events(alert_id)
    assert [(each["event"], each["by"]) for each in (acknowledged, resolved)] == [
        ("acknowledged", "slack:U0ANN"),
        ("resolved", "slack:U0BOB"),
    ]
    assert re.fullmatch(r"[0-9a-f]{32}", resolved["request_id"])


def test_a_person_works_under_their_own_account(closed: Office) -> None:
    """Known by the e-mail that Slack has of them, however it is written; Slack's id is kept beside it."""
    closed.slack.behave(people={"U0ANN": {"email": " Ann@Example.COM "}})
    alert_id = next(closed.fresh)
    assert closed.press(alert_id)["status"] == HTTPStatus.OK
    event = closed.events(alert_id)[-1]
    assert event["by"] == closed.status(alert_id)[1]
    assert event["by"].startswith("user:")
    assert event["given_by"] == "slack:U0ANN"


@pytest.mark.parametrize(("which", "ann"), [("everybodys", "<@U0ANN>"), ("closed", "ann")])
def test_who_comes_second_reads_who_was_first_and_when(
    request: pytest.FixtureRequest, which: str, ann: str
) -> None:
    """Also that it was they themselves; the first one's work stands."""
    office: Office = request.getfixturevalue(which)
    office.slack.behave()
    alert_id = next(office.fresh)
    office.press(alert_id)
    stands = office.status(alert_id)
    at = r"on \d{4}-\d\d-\d\d at \d\d:\d\d UTC\."
    assert re.fullmatch(rf"It has been acknowledged by you already, {at}", office.answered(alert_id))
    said = office.answered(alert_id, user="U0BOB")
    assert re.fullmatch(rf"It has been acknowledged by {re.escape(ann)} already, {at}", said)
    assert office.status(alert_id) == stands
    office.ask("PUT", f"/alerts/{alert_id}/resolve", json={"note": "done"})
    assert re.fullmatch(rf"It has been resolved by \S+ already, {at}", office.answered(alert_id))
    assert len(office.events(alert_id)) == 3


def test_a_name_cannot_call_the_channel(everybodys: Office) -> None:
    """Whoever was named in a request to the API is shown as text."""
    alert_id = next(everybodys.fresh)
    everybodys.ask("PUT", f"/alerts/{alert_id}/acknowledge", json={"by": "slack:U1> <!channel>"})
    assert "slack:U1&gt; &lt;!channel&gt;" in everybodys.answered(alert_id)


@pytest.mark.parametrize(
    ("person", "why"),
    [
        ({"is_stranger": True}, "you are of another workspace than the bot"),
        ({"team_id": "T0OTHER"}, "you are of another workspace than the bot"),
        ({"is_bot": True}, "only people whose account in Slack is active may do this"),
        ({"deleted": True}, "only people whose account in Slack is active may do this"),
        ({"email": ""}, "Slack shows the bot no e-mail address of yours"),
        ({"email": "nobody@example.com"}, "no active account here has your e-mail address"),
        ({"email": "left@example.com"}, "no active account here has your e-mail address"),
        ({"email": "viewer@example.com"}, "your role here may not work on alerts"),
        ({"email": "foreigner@example.com"}, "there is no such alert"),
    ],
)
def test_who_may_not_reads_why(closed: Office, person: dict[str, Any], why: str) -> None:
    """Strangers, bots, people without an account or with too little of a role; nothing is changed."""
    closed.slack.behave(people={"U0ANN": person})
    alert_id = next(closed.fresh)
    assert closed.answered(alert_id) == f"{NOTHING}{why}."
    assert closed.status(alert_id) == ("triggered", None)


def test_a_refused_change_is_in_the_audit(closed: Office) -> None:
    """Under the person who tried it, as with a request to the API."""
    closed.slack.behave(people={"U0ANN": {"email": "viewer@example.com"}})
    alert_id = next(closed.fresh)
    closed.answered(alert_id)

    async def of_the_tenant(store: Store) -> Page[AuditEntry]:
        return await store.audit.list(limit=50)

    entries = in_store(closed.folder, of_the_tenant).items
    (entry,) = [each for each in entries if each.target == alert_id]
    assert (entry.action, entry.outcome, entry.way) == (Permission.WRITE_ALERTS, "refused", "user")


def test_another_workspace_is_refused(everybodys: Office) -> None:
    """Though it is signed, and whoever pressed is known here."""
    alert_id = next(everybodys.fresh)
    said = everybodys.answered(alert_id, team="T0OTHER")
    assert said == f"{NOTHING}this is not the bot's own workspace."
    assert everybodys.status(alert_id) == ("triggered", None)


def test_what_slack_did_not_sign_is_401(everybodys: Office) -> None:
    """Forged, stale, of the future, unsigned, signed twice, and changed on the way; nothing is changed."""
    alert_id = next(everybodys.fresh)
    refused = [
        everybodys.press(alert_id, signature="v0=" + "0" * 64),
        everybodys.press(alert_id, signing_secret="another secret, as long"),
        everybodys.press(alert_id, clock_off_s=-310),
        everybodys.press(alert_id, clock_off_s=310),
    ]
    assert {(each["status"], json.loads(each["body"])["error"]) for each in refused} == {
        (401, "bad_signature")
    }
    body = refused[0]["request"]["body"].encode()
    good = signed(body)
    changed = body.replace(b"acknowledge", b"resolve")
    answers = [everybodys.sent(body), everybodys.sent(changed, **good), everybodys.sent(b"", **good)]
    answers += [everybodys.sent(body, **{name: good[name]}) for name in good]
    assert {(each.status_code, each.json()["error"]) for each in answers} == {(401, "bad_signature")}
    twice = [(name.replace("_", "-"), value) for name, value in good.items()] * 2
    form = ("content-type", "application/x-www-form-urlencoded")
    doubled = everybodys.service.client.post("/slack/interactions", content=body, headers=[form, *twice])
    assert doubled.status_code == 401
    assert everybodys.status(alert_id) == ("triggered", None)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"payload=%7Bgarbage", 422),
        (b"payload=" + b"[" * 50_000, 422),
        (urlencode({"payload": "[]"}).encode(), 422),
        (urlencode({"payload": '{"type": "block_actions", "actions": []}'}).encode(), 422),
        (urlencode({"payload": '{"type": "view_submission"}'}).encode(), 422),
        (b"payload=" + b"x" * 300_000, 413),
    ],
)
def test_what_is_no_press_is_said_to_be_none(everybodys: Office, body: bytes, status: int) -> None:
    """Signed as it may be; the answer repeats nothing of it."""
    answer = everybodys.sent(body, **signed(body))
    assert answer.status_code == status, answer.text
    assert answer.json()["error"] == {422: "invalid_request", 413: "body_too_large"}[status]
    assert "garbage" not in answer.text


def test_json_is_no_press_and_another_form_is_none_either(everybodys: Office) -> None:
    """Each is refused before it is looked into."""
    client = everybodys.service.client
    assert client.post("/slack/interactions", json={}).status_code == HTTPStatus.UNAUTHORIZED
    assert client.post("/slack/interactions", files={"payload": b"x"}).status_code == 415
    elsewhere = everybodys.service.client.post("/runs", data={"payload": "x"})
    assert elsewhere.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE


def test_a_press_that_comes_again_changes_nothing_more(everybodys: Office) -> None:
    """Word for word the same request, as Slack, or somebody who recorded it, may send it."""
    alert_id = next(everybodys.fresh)
    request = everybodys.press(alert_id)["request"]
    headers = {name.replace("-", "_"): value for name, value in request["headers"].items()}
    known = len(everybodys.events(alert_id))
    assert everybodys.sent(request["body"].encode(), **headers).status_code == HTTPStatus.OK
    assert len(everybodys.events(alert_id)) == known


def test_a_button_and_the_api_race(everybodys: Office) -> None:
    """However they fall, one of them acknowledges, and the other hears of that one."""
    alerts = [next(everybodys.fresh) for _ in range(6)]
    with ThreadPoolExecutor(2 * len(alerts)) as pool:
        pressed = [pool.submit(everybodys.press, each, user="U0BOB") for each in alerts]
        asked = [
            pool.submit(everybodys.ask, "PUT", f"/alerts/{each}/acknowledge", json={"by": "carol"})
            for each in alerts
        ]
    assert {each.result()["status"] for each in pressed} == {200}
    for alert_id, of_api in zip(alerts, (each.result() for each in asked), strict=True):
        (event,) = [each for each in everybodys.events(alert_id) if each["event"] == "acknowledged"]
        assert (event["by"] == "carol") == ("error" not in of_api)
        assert event["by"] in {"carol", "slack:U0BOB"}
        if event["by"] != "carol":
            assert "by slack:U0BOB" in of_api["detail"]


def test_slack_is_answered_in_time_though_it_takes_its_time_itself(everybodys: Office) -> None:
    """Where it does not say who somebody is, or says so too late, nothing is changed, and they are told."""
    alert_id = next(everybodys.fresh)
    everybodys.slack.script("users.info", Step(delay_s=60))
    assert everybodys.answered(alert_id) == (
        f"{NOTHING}Slack took too long to say who you are, please try again."
    )
    everybodys.slack.script("users.info", Step(status=500))
    said = everybodys.answered(alert_id)
    assert said == f"{NOTHING}Slack does not say who you are (http_500)."
    everybodys.slack.behave(scopes=["chat:write"])
    said = everybodys.answered(alert_id)
    assert said == f"{NOTHING}Slack does not say who you are (missing_scope (users:read))."
    everybodys.slack.behave()
    assert everybodys.status(alert_id) == ("triggered", None)


def test_a_press_counts_though_nobody_can_be_answered(everybodys: Office) -> None:
    """Where Slack does not take what the person was to read."""
    alert_id = next(everybodys.fresh)
    everybodys.press(alert_id)
    everybodys.slack.script("response_url", Step(status=404))
    assert everybodys.press(alert_id, "resolve", user="U0BOB")["status"] == HTTPStatus.OK
    assert everybodys.press(alert_id, "resolve")["status"] == HTTPStatus.OK
    wait_until(lambda: not everybodys.slack.waiting(), what="the answer is refused")
    assert everybodys.status(alert_id)[0] == "resolved"
    assert everybodys.answers_about(alert_id) == []


def test_an_alert_that_is_not_there_is_said_to_be_none(everybodys: Office) -> None:
    """As a message may stand in the channel longer than its alert is kept."""
    alert_id = next(everybodys.fresh)
    body = everybodys.press(alert_id, signature="v0=")["request"]["body"]
    other = re.sub(r"(value%22%3A%22)[0-9a-f]{32}", r"\g<1>" + "0" * 32, body)
    assert other != body
    assert everybodys.sent(other.encode(), **signed(other.encode())).status_code == 200
    (answer,) = wait_until(lambda: everybodys.answers_about(alert_id), what="somebody is answered")
    assert answer["answer"]["text"] == f"{NOTHING}there is no such alert."


@pytest.mark.parametrize(
    "changes",
    [
        {"slack_signing_secret": None},
        {"slack_webhooks": {"amer": "http://127.0.0.1:9/x"}, "region_channels": {"AMER": "amer"}},
    ],
)
def test_without_buttons_there_is_nothing_to_press(tmp_path: Path, changes: dict[str, Any]) -> None:
    """No secret, or no bot: nothing is there, whatever is sent and however it is signed."""
    bot = {"slack_webhook_base_url": None, "slack_bot_token": "xoxb-1", "marker_key": "0123456789abcdef"}
    bot |= {"slack_signing_secret": SIGNING_SECRET, "slack_api_url": "http://127.0.0.1:9/api"}
    with running_service(settings(tmp_path, **bot | changes)) as service:
        for headers in ({}, signed(b"payload=x")):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            form = {"content-type": "application/x-www-form-urlencoded"}
            answer = service.client.post("/slack/interactions", content=b"payload=x", headers=form | named)
            assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
        assert not service.app.channels.has_buttons
