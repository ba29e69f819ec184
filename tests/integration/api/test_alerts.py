"""Alerts over HTTP: created, listed, worked on by people, and counted, each tenant's for itself."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.served import RunningService

pytestmark = pytest.mark.serves(internal_service_key="k" * 40)
KEY = {"x-service-key": "k" * 40}


@pytest.fixture
def tenant() -> str:
    """Return a tenant that has no alerts."""
    return str(uuid.uuid4())


def created(service: RunningService, tenant: str, **body: Any) -> dict[str, Any]:
    """Create an alert that is new."""
    ordinary = {"tenant_id": tenant, "rule_name": "errors", "message": "too many errors"}
    answer = service.client.post("/alerts", json=ordinary | body)
    assert answer.status_code == 201, answer.text
    alert: dict[str, Any] = answer.json()
    return alert


def put(service: RunningService, alert: dict[str, Any], step: str, **body: Any) -> tuple[int, dict[str, Any]]:
    """Take a step."""
    answer = service.client.put(f"/alerts/{alert['id']}/{step}", json=body)
    return answer.status_code, answer.json()


def events(service: RunningService, alert: dict[str, Any]) -> list[str]:
    """Return what happened to an alert."""
    return [event["event"] for event in service.get(f"/alerts/{alert['id']}/events")]


def test_an_alert_is_worked_on_to_its_end(service: RunningService, tenant: str) -> None:
    """Who, when and why stands in the alert and in its events, with the id of the request."""
    alert = created(service, tenant)
    assert (alert["status"], alert["severity"], alert["alert_type"]) == ("triggered", "medium", "created")
    assert str(uuid.UUID(alert["id"])) == alert["id"]
    assert (alert["occurrences"], alert["delivery"], alert["version"]) == ([], None, 1)
    status, taken = put(service, alert, "acknowledge", note="mine", by="ann")
    assert (status, taken["status"], taken["acknowledged_by"]) == (200, "acknowledged", "ann")
    assert (taken["acknowledgment_note"], taken["acknowledged_at"]) == ("mine", taken["updated_at"])
    assert put(service, alert, "acknowledge", note="again", by="ann") == (200, taken)
    assert put(service, alert, "unacknowledge", by="ann")[1]["acknowledged_at"] is None
    assert put(service, alert, "acknowledge")[1]["acknowledged_by"] == "api"
    status, over = put(service, alert, "resolve", note="done", by="bob")
    assert (status, over["status"], over["resolved_by"]) == (200, "resolved", "bob")
    assert (over["resolution_note"], over["resolution_reason"]) == ("done", "person")
    assert over["acknowledged_by"] == "api"
    status, back = put(service, alert, "reopen", by="bob")
    assert (back["status"], back["reopened"], back["resolved_at"]) == ("triggered", 1, None)
    assert put(service, alert, "resolve")[1]["status"] == "resolved"
    assert events(service, alert) == [
        *("triggered", "acknowledged", "unacknowledged", "acknowledged", "resolved", "reopened", "resolved")
    ]
    first, *_ = service.get(f"/alerts/{alert['id']}/events")
    assert first["request_id"]
    assert service.get(f"/alerts/{alert['id'].replace('-', '').upper()[:32].lower()}")["id"] == alert["id"]


def test_who_comes_second_hears_who_was_first(service: RunningService, tenant: str) -> None:
    """409, and nothing has changed: to acknowledge does not un-resolve, and notes are not wiped."""
    alert = created(service, tenant)
    put(service, alert, "acknowledge", note="mine", by="ann")
    status, refused = put(service, alert, "acknowledge", note="no, mine", by="bob")
    assert (status, refused["error"]) == (409, "already_acknowledged")
    assert refused["detail"].startswith("the alert is acknowledged since 20")
    assert refused["detail"].endswith("Z, by ann")
    put(service, alert, "resolve", by="ann")
    for step, error in {
        "acknowledge": "already_resolved",
        "resolve": "already_resolved",
        "unacknowledge": "illegal_transition",
    }.items():
        status, refused = put(service, alert, step, by="bob")
        assert (status, refused["error"]) == (409, error)
    assert service.get(f"/alerts/{alert['id']}")["acknowledgment_note"] == "mine"
    assert events(service, alert) == ["triggered", "acknowledged", "resolved"]
    other = created(service, tenant)
    for step in ("unacknowledge", "reopen"):
        assert put(service, other, step)[1]["error"] == "illegal_transition"


def test_of_fifty_who_acknowledge_one_alert_one_wins(service: RunningService, tenant: str) -> None:
    """One answer says that it changed, and there is one event."""
    alert = created(service, tenant)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda n: put(service, alert, "acknowledge", by=f"p{n}"), range(50)))
    (winner,) = [answer for status, answer in answers if status == 200]
    assert [answer["error"] for status, answer in answers if status == 409] == ["already_acknowledged"] * 49
    assert service.get(f"/alerts/{alert['id']}") == winner
    assert events(service, alert) == ["triggered", "acknowledged"]


def test_what_is_open_is_not_created_twice(service: RunningService, tenant: str) -> None:
    """Of one rule and subject, or one key; without either each is its own. A new one knows the one before."""
    alert = created(service, tenant, subject="checkout", severity="high", dedup_key="k")
    put(service, alert, "acknowledge", note="mine", by="ann")
    ordinary = {"tenant_id": tenant, "rule_name": "errors", "message": "still", "severity": "low"}
    for like in ({"subject": "checkout"}, {"dedup_key": "k"}):
        again = service.client.post("/alerts", json=ordinary | like)
        assert (again.status_code, again.json()["id"]) == (200, alert["id"])
        assert again.json()["acknowledgment_note"] == "mine"
        assert (again.json()["severity"], again.json()["message"]) == ("high", "too many errors")
    assert events(service, alert) == ["triggered", "acknowledged", "repeated", "repeated"]
    others = [
        created(service, tenant, subject="basket"),
        created(service, str(uuid.uuid4()), subject="checkout", dedup_key="k"),
        created(service, tenant),
        created(service, tenant),
    ]
    assert len({alert["id"], *(other["id"] for other in others)}) == 5
    put(service, alert, "resolve")
    new = created(service, tenant, subject="checkout")
    assert new["previous_alert_id"] == alert["id"]
    assert put(service, alert, "reopen")[1]["error"] == "illegal_transition"


def test_whether_an_alert_can_be_reopened_depends_on_none_about_something_else(
    service: RunningService, tenant: str
) -> None:
    """Others are open, and newer, and have no subject or no key, as it has none."""
    of_subject, of_key = created(service, tenant, subject="checkout"), created(service, tenant, dedup_key="k")
    for other in ({"subject": "basket"}, {"dedup_key": "l"}, {}):
        created(service, tenant, **other)
    for alert in (of_subject, of_key):
        assert put(service, alert, "resolve")[0] == 200
        assert put(service, alert, "reopen")[0] == 200


def test_lists_come_in_pages_newest_first(service: RunningService, tenant: str) -> None:
    """Each alert is on exactly one page, at most 50 of them; `Link` leads on, and CSV has all."""
    alerts = [created(service, tenant, rule_name=f"=r{n % 2}", severity="low") for n in range(60)]
    seen: list[str] = []
    url: str | None = f"/alerts?tenant_id={tenant}"
    while url is not None:
        answer = service.client.get(url)
        assert len(answer.json()) in {50, 10}
        seen += [alert["id"] for alert in answer.json()]
        link = answer.headers.get("link")
        url = None if link is None else link.removeprefix("<").removesuffix('>; rel="next"')
    assert sorted(seen) == sorted(alert["id"] for alert in alerts)
    moments = [service.get(f"/alerts/{alert_id}")["created_at"] for alert_id in seen[::20]]
    assert moments == sorted(moments, reverse=True)
    csv = service.client.get(f"/alerts?tenant_id={tenant}", headers={"accept": "text/csv"})
    header, *lines = csv.text.splitlines()
    assert (header.split(",")[:3], len(lines)) == (["id", "tenant_id", "rule_name"], 60)
    assert {line.split(",")[2] for line in lines} == {"'=r0", "'=r1"}
    for wanted, count in {
        "rule_name==r1": 30,
        "severity=low": 50,
        "severity=high": 0,
        "status=resolved": 0,
        "since=2100-01-01T00:00:00Z": 0,
        f"since={alerts[59]['created_at']}": 1,
        "subject=x": 0,
        "route=x": 0,
    }.items():
        assert len(service.client.get(f"/alerts?tenant_id={tenant}&{wanted}").json()) == count, wanted


def test_a_note_is_kept_whatever_the_status(service: RunningService, tenant: str) -> None:
    """Also the hundredth; history is never cut."""
    alert = created(service, tenant)
    put(service, alert, "resolve")
    for number in range(120):
        answer = service.client.post(
            f"/alerts/{alert['id']}/notes", json={"note": f"n{number}\0", "by": "ann"}
        )
        assert (answer.status_code, answer.json()["by"]) == (201, "ann")
    history = service.get(f"/alerts/{alert['id']}/events")
    assert [event["number"] for event in history] == list(range(1, 123))
    assert (history[-1]["note"], history[-1]["to_status"]) == ("n119\ufffd", "resolved")
    page = service.client.get(f"/alerts/{alert['id']}/events", params={"limit": 100})
    following = page.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    assert [event["number"] for event in service.client.get(following).json()] == list(range(101, 123))


def test_many_are_changed_at_once(service: RunningService, tenant: str) -> None:
    """All that can be; the others are refused by name, or none is where more are matched than expected."""
    alerts = [created(service, tenant, rule_name="bulk") for _ in range(12)]
    put(service, alerts[0], "resolve", by="ann")
    put(service, alerts[1], "acknowledge", by="bob")
    body: dict[str, Any] = {"action": "acknowledge", "by": "bob", "filter": {"tenant_id": tenant}}
    wrong = service.client.post("/alerts/bulk", json=body | {"expected": 11})
    assert (wrong.status_code, wrong.json()["error"]) == (409, "not_as_expected")
    assert service.get(f"/stats/{tenant}")["acknowledged"] == 1
    done = service.client.post("/alerts/bulk", json=body | {"expected": 12}).json()
    assert (done["matched"], done["changed"], done["unchanged"]) == (12, 10, 1)
    assert [each["error"] for each in done["refused"]] == ["already_resolved"]
    by_id = {"action": "resolve", "ids": [alerts[0]["id"], alerts[1]["id"], alerts[1]["id"], "nobody"]}
    done = service.client.post("/alerts/bulk", json=by_id).json()
    assert (done["matched"], done["changed"], done["unchanged"]) == (2, 1, 0)
    assert [each["error"] for each in done["refused"]] == ["alert_not_found", "already_resolved"]
    for neither in ({"action": "resolve"}, body | {"ids": ["x"]}, body | {"action": "recover"}):
        assert service.client.post("/alerts/bulk", json=neither).status_code == 422


def test_more_than_a_thousand_are_refused_at_once(service: RunningService, tenant: str) -> None:
    """Before any is looked for: nobody else could write meanwhile. The same one counts once."""
    alert = created(service, tenant)
    ids = [uuid.uuid4().hex for _ in range(1000)]
    body = {"action": "resolve", "ids": [alert["id"], *ids]}
    answer = service.client.post("/alerts/bulk", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, "too_many_alerts")
    same = [alert["id"], alert["id"].replace("-", ""), alert["id"].upper()] * 400
    answer = service.client.post("/alerts/bulk", json={"action": "resolve", "ids": same})
    assert (answer.json()["matched"], answer.json()["changed"]) == (1, 1)


def test_alerts_are_counted(service: RunningService, tenant: str) -> None:
    """By status and severity, with the oldest that is open; a tenant without any has none."""
    assert service.get(f"/stats/{tenant}")["total"] == 0
    first, second, _ = (created(service, tenant, severity=each) for each in ("high", "low", "low"))
    put(service, first, "resolve")
    put(service, second, "acknowledge")
    assert service.get(f"/stats/{tenant}") == {
        "tenant_id": tenant,
        "total": 3,
        "triggered": 1,
        "acknowledged": 1,
        "resolved": 1,
        "by_severity": {"low": 2, "medium": 0, "high": 1, "critical": 0},
        "oldest_open": second["created_at"],
    }


@pytest.mark.parametrize(
    "body",
    [
        {"tenant_id": None},
        {"tenant_id": "x"},
        {"rule_name": ""},
        {"rule_name": "x" * 201},
        {"message": ""},
        {"message": "x" * 2001},
        {"message": "a\0b"},
        {"subject": "\0"},
        {"severity": "worse"},
        {"status": "resolved"},
    ],
)
def test_nonsense_is_422(service: RunningService, tenant: str, body: dict[str, Any]) -> None:
    """And creates nothing."""
    ordinary = {"tenant_id": tenant, "rule_name": "errors", "message": "too many errors"}
    answer = service.client.post("/alerts", json=ordinary | body)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request"), answer.text
    assert service.get(f"/stats/{tenant}")["total"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "/alerts",
        "/alerts?tenant_id=x",
        "/alerts?tenant_id={tenant}&colour=red",
        "/alerts?tenant_id={tenant}&limit=51",
        "/alerts?tenant_id={tenant}&since=2026-01-01T00:00:00",
        "/alerts?tenant_id={tenant}&since=0001-01-01T00:00:00%2B14:00",
        "/alerts?tenant_id={tenant}&since=9999-12-31T23:59:59-14:00",
        "/alerts?tenant_id={tenant}&cursor=x",
        # Before the first year, and after the last.
        "/alerts?tenant_id={tenant}&cursor=WyIwMDAxLTAxLTAxVDAwOjAwOjAwKzE0OjAwIiwieCJd",
        "/alerts?tenant_id={tenant}&cursor=WyI5OTk5LTEyLTMxVDIzOjU5OjU5LTE0OjAwIiwieCJd",
        "/alerts?tenant_id={tenant}&cursor=Mw",
        "/alerts?tenant_id={tenant}&cursor=WyIyIiwgIngiXQ",
        "/stats/x",
    ],
)
def test_a_question_that_is_not_understood_is_422(service: RunningService, tenant: str, path: str) -> None:
    """Whose alerts are meant has to be said, and so does everything else."""
    answer = service.client.get(path.format(tenant=tenant))
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"] in {"invalid_request", "bad_cursor"}


@pytest.mark.parametrize("name", ["rule_name", "message", "subject", "dedup_key", "by"])
def test_half_a_surrogate_pair_is_422(service: RunningService, tenant: str, name: str) -> None:
    """No database keeps it, and no answer could say it."""
    body = {"tenant_id": tenant, "rule_name": "errors", "message": "too many errors", name: "\ud800"}
    headers = {"content-type": "application/json"}
    answer = service.client.post("/alerts", content=json.dumps(body), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request"), answer.text


def test_what_is_not_there_is_404(service: RunningService) -> None:
    """Whatever is asked of it."""
    absent = {"id": str(uuid.uuid4())}
    for step in ("acknowledge", "unacknowledge", "resolve", "reopen"):
        assert put(service, absent, step)[1]["error"] == "alert_not_found"
    for path in ("", "/events"):
        assert service.client.get(f"/alerts/{absent['id']}{path}").json()["error"] == "alert_not_found"
    answer = service.client.post(f"/alerts/{absent['id']}/notes", json={"note": "x"})
    assert answer.json()["error"] == "alert_not_found"
    assert service.client.get("/alerts/a%00b").status_code == 404


def test_another_service_creates_alerts(service: RunningService, tenant: str) -> None:
    """With the key, for any tenant; without it nobody comes in. What it created others work on."""
    body = {"tenant_id": tenant, "rule_name": "jobs", "message": "late", "subject": "nightly"}
    assert service.client.post("/internal/alerts", json=body).status_code == 401
    answer = service.client.post("/internal/alerts", json=body, headers=KEY)
    assert answer.status_code == 201, answer.text
    assert service.client.post("/internal/alerts", json=body, headers=KEY).status_code == 200
    (alert,) = service.get("/alerts", tenant_id=tenant)
    assert alert["id"] == answer.json()["id"]
    assert service.get(f"/alerts/{alert['id']}/events")[0]["by"] == "internal"
    routed = service.client.post("/internal/alerts", json=body | {"route": "AMER"}, headers=KEY)
    assert (routed.status_code, routed.json()["error"]) == (403, "not_served_here")


def test_what_a_run_found_is_an_alert_with_its_deliveries(service: RunningService, source: str) -> None:
    """By the id of an occurrence too, with all facts, and where its message went."""
    run = service.run(source)
    (first, *_) = run["sample_alerts"]
    alert = service.get(f"/alerts/{first['alert_id']}")
    (occurrence,) = alert["occurrences"]
    assert (alert["id"], alert["rule_name"], alert["status"]) == (
        first["alert_id"],
        "account_at_risk",
        "triggered",
    )
    assert (occurrence["id"], occurrence["period"]) == (first["alert_id"], first["month"])
    assert occurrence["facts"]["arr"] == first["arr"]
    assert (alert["delivery"], alert["last_seen"]) == (occurrence["delivery"], "alerting")
    assert (alert["delivery"]["status"], alert["delivery"]["run_id"]) == ("sent", run["run_id"])
    assert [event["run_id"] for event in service.get(f"/alerts/{alert['id']}/events")] == [run["run_id"]]
