"""Metrics: counted as it happens, read from the ledger as it is, and nobody's name in it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from itertools import product
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.access.signing_keys import add_key
from service.api.metrics.metrics import Metrics
from service.domain.delivery_status import Outcome, Reason
from service.domain.errors import DatabaseUnusableError
from service.domain.identity.actor import Actor
from service.domain.identity.permission import KeyScope
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import AlertStatus
from service.domain.tenant import DEFAULT_TENANT
from service.settings import Settings
from service.store.database.database import Database
from service.store.ledger_state import LedgerState, LedgerStates
from service.store.store import Store
from service.telemetry.delivery_events import MessageNotUpdated, MessageUpdated
from service.wiring import App, open_app
from tests.support.identities import OTHER_TENANT, a_key, two_tenants
from tests.support.predictions import RATIOS
from tests.support.rows import account, accounts, write_source
from tests.support.served import RunningService, logged, running_service, settings
from tests.support.waiting import wait_until

OPERATING: Final = Path(__file__).parents[3] / "docs" / "operating.md"
RULES: Final = Path(__file__).parents[3] / "deploy" / "prometheus" / "rules.yml"
KEY: Final = "canary-internal-service-key"
KINDS: Final = ("account_risk", "log_rules", "outbox")

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(service: RunningService) -> Samples:
    """Return every sample of a scrape, by name and labels."""
    answer = service.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    """Return one sample; raises KeyError where the scrape does not have it."""
    return samples[name, frozenset(labels.items())]


def test_a_first_scrape_shows_every_label_with_nothing_in_it(service: RunningService) -> None:
    """Rules over what has not happened yet see zeros, and no label grows with tenants or accounts."""
    samples = scraped(service)
    names = {name for name, _ in samples}
    ours = {name for name in names if name.startswith("risk_alerts_")}
    assert of(samples, "risk_alerts_database_up") == 1
    assert {value for (name, _), value in samples.items() if name in ours} == {0, 1}
    for kind, status in product(KINDS, ("succeeded", "failed")):
        for name in ("runs_total", "runs", "last_run_timestamp_seconds"):
            assert of(samples, f"risk_alerts_{name}", kind=kind, status=status) == 0
    for outcome, reason in product((Outcome.FAILED, Outcome.UNKNOWN, Outcome.UNSENT), Reason):
        assert of(samples, "risk_alerts_deliveries_total", outcome=outcome, reason=reason) == 0
    assert of(samples, "risk_alerts_deliveries_total", outcome="sent", reason="") == 0
    labels = {label for (name, given) in samples if name in ours for label, _ in given}
    assert labels == {"kind", "status", "outcome", "reason", "severity", "level"}
    assert not {name for name in names if name.endswith("_created")}


def test_the_page_of_operating_names_every_metric_and_no_other(service: RunningService) -> None:
    """The rules in deploy/ speak of no other either: they would never fire."""
    scraped(service)
    text = service.client.get("/metrics").text
    given = set(re.findall(r"^# TYPE ((?:risk_alerts|http)_\w+)", text, re.MULTILINE))
    names = re.compile(r"\b((?:risk_alerts|http)_(?!rules)[a-z_]+[a-z])\b")
    assert set(names.findall(OPERATING.read_text("utf-8"))) == given
    assert set(names.findall(RULES.read_text("utf-8"))) < given


def test_what_a_run_does_is_counted(service: RunningService, slack: RunningMock, tmp_path: Path) -> None:
    """Rows, alerts, what became of each and why, every POST, and the pause that Slack asked for."""
    slack.script("amer-risk-alerts", Step(status=429, headers={"Retry-After": "0.1"}), Step(status=404))
    rows = [*accounts(3), account("nowhere", account_region="LATAM")]
    service.run(write_source(tmp_path / "month.parquet", rows))
    service.run(write_source(tmp_path / "month.parquet", rows), dry_run=True)
    samples = scraped(service)
    assert of(samples, "risk_alerts_runs_total", kind="account_risk", status="succeeded") == 2
    assert of(samples, "risk_alerts_rows_total", kind="account_risk") == 8
    assert of(samples, "risk_alerts_alerts_total", kind="account_risk") == 8
    counted = {
        (labels["outcome"], labels["reason"]): value
        for (name, given), value in samples.items()
        if name == "risk_alerts_deliveries_total" and value
        for labels in [dict(given)]
    }
    assert counted[Outcome.SENT, ""] == 2
    assert counted[Outcome.FAILED, Reason.NOT_FOUND] == 1
    assert sum(counted.values()) == 8
    assert of(samples, "risk_alerts_attempts_total") == slack.stats().total.requests == 4
    assert of(samples, "risk_alerts_lane_pauses_total", reason="rate_limited") == 1
    assert of(samples, "risk_alerts_undelivered", status="failed") == 2
    assert of(samples, "risk_alerts_oldest_undelivered_seconds", status="failed") > 0
    assert sum(value for (name, _), value in samples.items() if name == "risk_alerts_open_alerts") == 4


def test_changed_messages_are_counted() -> None:
    """Those that show what holds, those that Slack will never change, and the tries that are made again."""
    metrics = Metrics(KINDS)
    of_it = {"run_id": "r1", "alert_type": "risk_alert", "subject": "a", "alert_id": "1", "channel": "amer"}
    metrics.hear(MessageUpdated(**of_it, status=AlertStatus.RESOLVED))
    for wait_s in (None, 2.0, 4.0):
        metrics.hear(MessageNotUpdated(**of_it, reason=Reason.FORBIDDEN, wait_s=wait_s))
    lines = metrics.text(None, at=datetime(2026, 1, 1, tzinfo=UTC)).decode().splitlines()
    for outcome, count in (("shown", 1), ("failed", 1), ("retried", 2)):
        assert f'risk_alerts_message_updates_total{{outcome="{outcome}"}} {count}.0' in lines


def test_predictions_are_counted_by_their_level(service: RunningService) -> None:
    """Each that is written down, and each version; what was refused is none."""
    path = "/api/v1/predictions/annual"
    body = {"company_symbol": "ACME", "company_name": "Acme", "reporting_year": 2025}
    made = service.client.post(path, json=body | RATIOS)
    assert [service.client.post(path, json=body | RATIOS).status_code, made.status_code] == [409, 201]
    again = service.client.put(f"{path}/{made.json()['data']['id']}", json=body | RATIOS)
    assert again.status_code == 200, again.text
    assert service.client.post(path, json=body | {"reporting_year": 2024}).status_code == 201
    samples = scraped(service)
    name = "risk_alerts_predictions_total"
    assert of(samples, name, kind="annual", level=made.json()["data"]["risk_level"]) == 2
    assert of(samples, name, kind="annual", level="abstained") == 1
    assert sum(value for (each, _), value in samples.items() if each == name) == 3


def test_jobs_are_counted_with_their_rows(tmp_path: Path) -> None:
    """Each row of a file under what became of it, once the job has ended; a gauge has what is under way."""
    header = ",".join(("company_symbol", "reporting_year", *RATIOS))
    row = ",".join(("ACME", "2025", *(str(value) for value in RATIOS.values())))
    content = "\n".join((header, row, row, row.replace("2025", "soon"))).encode()
    with running_service(settings(tmp_path), opened=partial(open_app, resumes=True)) as service:
        for file in (content, b"no such columns"):
            sent = service.client.post("/api/v1/predictions/annual/bulk", files={"file": ("a.csv", file)})
            assert sent.status_code == 202, sent.text
        wait_until(lambda: of(scraped(service), "risk_alerts_jobs_total", kind="annual", status="failed"))
        wait_until(lambda: of(scraped(service), "risk_alerts_jobs_total", kind="annual", status="succeeded"))
        samples = scraped(service)
    name = "risk_alerts_job_rows_total"
    outcomes = ("scored", "duplicate", "invalid", "abstained")
    assert [of(samples, name, kind="annual", outcome=outcome) for outcome in outcomes] == [1, 1, 1, 0]
    assert [of(samples, "risk_alerts_jobs", status=status) for status in ("waiting", "running")] == [0, 0]


def test_what_other_processes_wrote_down_is_seen(service: RunningService, tmp_path: Path) -> None:
    """A batch job ends before anybody could scrape it: its run, and its doubts, are in the ledger."""
    two_tenants(tmp_path)
    samples = scraped(service)
    assert of(samples, "risk_alerts_runs", kind="account_risk", status="succeeded") == 2
    assert of(samples, "risk_alerts_last_run_timestamp_seconds", kind="account_risk", status="succeeded") > 0
    assert of(samples, "risk_alerts_in_doubt") == 2
    assert of(samples, "risk_alerts_runs_total", kind="account_risk", status="succeeded") == 0


def test_requests_are_counted_under_the_template_of_their_route(service: RunningService) -> None:
    """Whatever callers ask for, the labels are those of the routes; a request that is refused counts, too."""
    asked = [
        ("GET", "/runs/one", "/runs/{run_id}", 404),
        ("GET", "/runs/two", "/runs/{run_id}", 404),
        ("DELETE", "/runs/two", "/runs/{run_id}", 405),
        ("GET", "/nowhere/one", "unmatched", 404),
        ("GET", "/nowhere/two", "unmatched", 404),
        ("TRACE", "/live", "/live", 405),
        ("HEAD", "/live", "/live", 200),
        ("GET", "/static-offline-docs/swagger-ui.css", "/static-offline-docs", 200),
    ]
    for method, path, _, status in asked:
        assert service.client.request(method, path).status_code == status, path
    assert service.client.get("/runs", headers={"host": "elsewhere.example"}).status_code == 421
    samples = scraped(service)
    for given, _, endpoint, status in asked:
        method = "other" if given == "TRACE" else given
        same = [each for each in asked if each[2:] == (endpoint, status)]
        count = of(samples, "http_requests_total", method=method, endpoint=endpoint, status=str(status))
        assert count == len(same), endpoint
    assert of(samples, "http_requests_total", method="GET", endpoint="/runs", status="421") == 1
    timed = of(samples, "http_request_duration_seconds_count", method="GET", endpoint="/runs/{run_id}")
    assert timed == 2


_SYSTEM: Final = (Scope.of_system(DEFAULT_TENANT), Actor.system(DEFAULT_TENANT))


class _Away(LedgerStates):
    async def now(self) -> LedgerState:
        raise DatabaseUnusableError("the database is away")


class _StoreThatIsAway(Store):
    def __init__(self, database: Database, scope: Scope, actor: Actor) -> None:
        super().__init__(database, scope, actor)
        self.ledger_states = _Away(database, scope, actor)


@asynccontextmanager
async def _without_a_database(settings: Settings) -> AsyncIterator[App]:
    async with open_app(settings) as app:
        yield replace(app, store=_StoreThatIsAway(app.store._database, *_SYSTEM))


def test_counters_are_there_while_the_database_is_away(tmp_path: Path) -> None:
    """Its gauges are missing then, and not 0; that it is away is a metric of its own."""
    with running_service(settings(tmp_path), opened=_without_a_database) as service:
        samples = scraped(service)
    assert of(samples, "risk_alerts_database_up") == 0
    assert of(samples, "risk_alerts_attempts_total") == 0
    assert "risk_alerts_in_doubt" not in {name for name, _ in samples}


def test_from_the_first_identity_on_metrics_are_the_operators(tmp_path: Path) -> None:
    """No tenant's key reads what is of all, the operator's does, either way; who is refused is counted."""
    add_key(tmp_path / "jwt.json")
    given = settings(tmp_path, internal_service_key=KEY, jwt_keys_file=tmp_path / "jwt.json")
    with logged() as lines, running_service(given) as service:
        assert service.client.get("/metrics", headers={"host": "10.0.0.7:8080"}).status_code == 200
        tenants = [a_key(tmp_path, *KeyScope).text, a_key(tmp_path, *KeyScope, tenant_id=OTHER_TENANT).text]
        for shown in ("", "x", f"{KEY}x", *tenants):
            for headers in ({"x-service-key": shown}, {"authorization": f"Bearer {shown}".strip()}):
                refused = service.client.get("/metrics", headers=headers)
                assert (refused.status_code, refused.json()["error"]) == (401, "unauthenticated")
        login = {"email": "nobody@example.com", "password": "canary-wrong-password"}
        assert service.client.post("/api/v1/auth/login", json=login).status_code == 401
        for headers in ({"x-service-key": KEY}, {"authorization": f"Bearer {KEY}"}):
            assert service.client.head("/metrics", headers=headers).status_code == 200
        service.client.headers["x-service-key"] = KEY
        samples = scraped(service)
        (event, *_) = [line for line in lines() if line["message"] == "not_authenticated"]
    assert of(samples, "risk_alerts_auth_failures_total", reason="unauthenticated") == 10
    assert of(samples, "risk_alerts_auth_failures_total", reason="wrong_credentials") == 1
    assert event["code"] == "unauthenticated"
    assert event["request_id"]
