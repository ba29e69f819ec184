"""What is recorded outside an evaluation leaves with a run of its own, as surely as everything else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from mock_slack.running import RunningMock
from mock_slack.script import Step
from service.api.schemas.alert import AlertsOut
from service.api.schemas.evaluation import OutboxLedgerOut
from service.api.schemas.run import RunOut, RunsOut
from service.cli.tables import print_tables
from service.delivery.routing import route
from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, Outcome, SettleAs
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import Severity
from service.domain.lifecycle.managed_alert import NewAlert
from service.domain.progress import Progress
from service.domain.run import RunStatus
from service.domain.tenant import DEFAULT_TENANT
from service.runs.execute import resume_run
from service.runs.interventions import settle_alert
from service.runs.waiting.keep_sending import app_of, keep_sending, send_waiting
from service.runs.waiting.kind import OutboxRuns, outbox_request
from service.settings import Settings
from service.store.outbox.waiting import OUTBOX
from service.wiring import App, open_app
from tests.support.given import Given
from tests.support.second_type import Outage, OutageType
from tests.support.waiting import until

OTHER: Final = "11111111-1111-4111-8111-111111111111"


@asynccontextmanager
async def opened(database_url: str, slack: RunningMock, **changes: Any) -> AsyncIterator[App]:
    """Open an app whose outbox runs know a type of alerts that no evaluation of it makes."""
    given: Mapping[str, Any] = {
        "database_url": database_url,
        "slack_webhook_base_url": slack.webhook_base_url,
        "slack_messages_per_second": 0,
        **changes,
    }
    async with open_app(Settings(_env_file=None, **given)) as app:
        kind = app.kinds[OUTBOX]
        assert isinstance(kind, OutboxRuns)
        types = {**kind.alert_type.types, OutageType.name: OutageType()}
        known = replace(kind, alert_type=replace(kind.alert_type, types=types))
        yield replace(app, kinds={**app.kinds, OUTBOX: known})


@pytest.fixture
async def app(database_url: str, slack: RunningMock) -> AsyncIterator[App]:
    """Open an app that starts nothing by itself."""
    async with opened(database_url, slack) as app:
        yield app


@asynccontextmanager
async def sending(app: App) -> AsyncIterator[None]:
    """Start outbox runs as `serve` does."""
    task = asyncio.create_task(keep_sending(app))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def an_outage(service: str, *, team: str = "#war-room", tenant_id: str = DEFAULT_TENANT) -> Outage:
    """Return an outage whose message waits to be sent."""
    return Outage(
        service=service,
        day="2026-01-05",
        team=team,
        minutes=7,
        cause=None,
        tenant_id=tenant_id,
    )


async def let_wait(app: App, *services: str, **details: Any) -> list[Outage]:
    """Record outages, and send nothing."""
    outages = [an_outage(service, **details) for service in services]
    for outage in outages:
        assert await app.store.waiting.let_wait(outage, now=app.clock.now())
    return outages


def _sent(slack: RunningMock) -> list[str]:
    titles = (str((record.payload or {})["text"]).splitlines()[0] for record in slack.records())
    return [title.removeprefix("Down: ").removesuffix(" (2026-01-05)") for title in titles]


async def test_serve_sends_what_waits(app: App, slack: RunningMock) -> None:
    """It leaves in the order of recording, with a run that has a lease, a ledger and outcomes like any."""
    await let_wait(app, "web", "mail", "vpn")
    assert await app.store.outbox.undelivered() == {"pending": 3}
    async with sending(app):
        await until(lambda: len(slack.records()) == 3)
        await until(lambda: not app.at_work.runs)
    assert _sent(slack) == ["web", "mail", "vpn"]
    assert {record.channel for record in slack.records()} == {"war-room"}
    (run,) = (await app.store.history.list_runs(limit=10)).items
    assert (run.kind, run.scope, run.period) == (OUTBOX, f"outbox:{DEFAULT_TENANT}", None)
    assert run.status is RunStatus.SUCCEEDED
    assert run.ledger is not None
    assert run.ledger.rows == {"alerts": 3}
    assert run.counts.alerts_sent == 3
    assert await app.store.outbox.undelivered() == {}


async def test_without_a_serve_it_waits(app: App, slack: RunningMock) -> None:
    """What is recorded twice waits once, is counted, and no run of a month touches it."""
    (web,) = await let_wait(app, "web")
    assert not await app.store.waiting.let_wait(web, now=app.clock.now())
    assert await app.store.outbox.undelivered() == {"pending": 1}
    record = await app.store.history.get_alert(web.alert_id)
    assert (record.status, record.run_id) == (DeliveryStatus.PENDING, "")
    assert slack.records() == []


async def test_a_run_leaves_what_others_sent_alone(app: App, slack: RunningMock) -> None:
    """It looks at what waits only: nothing is withdrawn, restated or sent again."""
    await let_wait(app, "web")
    await send_waiting(app)
    await let_wait(app, "mail")
    record = await send_waiting(app)
    assert (record.counts.alerts_sent, record.counts.skipped_replay, record.counts.withdrawn) == (1, 0, 0)
    assert _sent(slack) == ["web", "mail"]
    assert (await send_waiting(app)).counts.alerts == 0


async def test_what_comes_meanwhile_goes_with_the_next_run(app: App, slack: RunningMock) -> None:
    """An alert that is recorded between a run's look and its recording is neither lost nor withdrawn."""
    await let_wait(app, "web")
    kind = app.kinds[OUTBOX]
    found = await kind.evaluate(outbox_request(DEFAULT_TENANT), Progress(), app.room.turn().__enter__())
    await let_wait(app, "mail")
    assert [alert.subject for alert in found.alerts] == ["web"]
    assert found.withdraws is False
    await send_waiting(app)
    assert _sent(slack) == ["web", "mail"]


async def test_a_run_that_died_is_resumed(app: App, slack: RunningMock) -> None:
    """What was on its way is in doubt and held, the rest is sent by who resumes it, and nothing twice."""
    given = Given(app.store)
    await let_wait(app, "web", "mail", "vpn")
    request = outbox_request(DEFAULT_TENANT)
    kind = app.kinds[OUTBOX]
    await app.store.runs.begin("r1", request, started_at=app.clock.now(), lease_s=30)
    lease = await app.store.runs.acquire_lease("r1", request.scope, now=app.clock.now())
    assert not isinstance(lease, str)
    with app.room.turn() as turn:
        evaluation = await kind.evaluate(request, Progress(), turn)
    await app.store.runs.note_evaluation("r1", evaluation)
    routed = list(route(evaluation.alerts, app.channels, kind.alert_type))
    await app.store.recording.record(
        lease, routed, ambiguous=AmbiguousSends.HOLD, restatable=(), withdraws=False, now=app.clock.now()
    )
    (first, *_) = await app.store.outbox.pending(lease, ["war-room"], after=-1, limit=10)
    await app.store.outbox.settle_and_claim(lease, [], [first], now=app.clock.now(), lease_s=30)
    assert await app.store.waiting.tenants() == []
    await given.expired("r1")
    resumed = await resume_run(app, "r1", since=app.clock.now() - timedelta(days=1), progress=Progress())
    assert resumed is not None
    assert (resumed.counts.alerts_sent, resumed.counts.unknown) == (2, 1)
    assert _sent(slack) == ["mail", "vpn"]
    await send_waiting(app)
    assert _sent(slack) == ["mail", "vpn"]
    await settle_alert(app, first.alert_id, SettleAs.RESEND, by="ann", note=None)
    await send_waiting(app)
    assert _sent(slack) == ["mail", "vpn", "web"]


async def test_a_run_that_died_before_it_recorded_is_taken_over(app: App, slack: RunningMock) -> None:
    """Nothing was its own yet: the next one sends all, as soon as the dead one's lease has run out."""
    given = Given(app.store)
    await let_wait(app, "web")
    request = outbox_request(DEFAULT_TENANT)
    await app.store.runs.begin("r1", request, started_at=app.clock.now(), lease_s=30)
    await app.store.runs.acquire_lease("r1", request.scope, now=app.clock.now())
    await given.expired("r1")
    await send_waiting(app)
    assert _sent(slack) == ["web"]
    assert (await app.store.history.get_run("r1")).status is RunStatus.FAILED


async def test_each_tenants_alerts_leave_with_a_run_of_its_own(app: App, slack: RunningMock) -> None:
    """While nobody is asked who they are, a tenant is what a caller says: each has a run, and a lease."""
    other = app.store.seen_by(Actor.system(OTHER), Scope.of_system(OTHER))
    await let_wait(app, "web")
    assert await other.waiting.let_wait(an_outage("mail", tenant_id=OTHER), now=app.clock.now())
    async with sending(app):
        await until(lambda: len(slack.records()) == 2)
        await until(lambda: not app.at_work.runs)
    for store in (app.store, other):
        (run,) = (await store.history.list_runs(limit=10)).items
        assert run.counts.alerts_sent == 1


async def test_another_tenants_alerts_wait_for_its_own_process(database_url: str, slack: RunningMock) -> None:
    """Once there are identities, the channels of a process are for its own tenant."""
    async with opened(database_url, slack) as app:
        other = app.store.seen_by(Actor.system(OTHER), Scope.of_system(OTHER))
        await app.store.access.door.close(now=app.clock.now())
        assert await other.waiting.let_wait(an_outage("mail", tenant_id=OTHER), now=app.clock.now())
        await let_wait(app, "web")
        async with sending(app):
            await until(lambda: len(slack.records()) == 1)
            await until(lambda: not app.at_work.runs)
        assert _sent(slack) == ["web"]
        assert await other.outbox.undelivered() == {"pending": 1}
    async with opened(database_url, slack, tenant_id=OTHER) as app, sending(app):
        await until(lambda: _sent(slack) == ["web", "mail"])
        await until(lambda: not app.at_work.runs)


async def test_what_failed_is_tried_again(app: App, slack: RunningMock) -> None:
    """Along with what is new at once; by itself a while later, if it may go through then."""
    slack.script("war-room", Step(status=404, body="no_service"))
    await let_wait(app, "web")
    assert (await send_waiting(app)).counts.failed_deliveries == 1
    assert await app.store.waiting.tenants() == []
    await let_wait(app, "mail")
    assert (await send_waiting(app)).counts.alerts_sent == 2
    assert _sent(slack) == ["web", "mail", "web"]


async def test_left_behind_is_what_may_go_through_later(app: App) -> None:
    """A rejected alert waits for something new; one that Slack could not take is tried again by itself."""
    given, now = Given(app.store), app.clock.now()
    before, since = now + timedelta(minutes=1), now - timedelta(days=1)
    await let_wait(app, "web")
    run = await send_waiting(app)
    for status, error, is_due in [
        ("sent", None, False),
        ("failed", "not_found", False),
        ("failed", "unknown_region", False),
        ("failed", "server_error", True),
        ("failed", "slack_unreachable", True),
        ("unknown", "interrupted", False),
        ("pending", "deadline", True),
    ]:
        await given.sql("UPDATE outbox SET status = :status, error = :error", status=status, error=error)
        left = await app.store.waiting.left_behind(since=since, before=before)
        assert left == ([DEFAULT_TENANT] if is_due else []), (status, error)
    assert await app.store.waiting.left_behind(since=since, before=run.started_at) == []
    assert await app.store.waiting.left_behind(since=before, before=before) == []


async def test_doubts_go_along_where_they_are_resent(database_url: str, slack: RunningMock) -> None:
    """AMBIGUOUS_SENDS=resend is for all that a run sends."""
    async with opened(database_url, slack, ambiguous_sends="resend") as app:
        await let_wait(app, "web")
        await send_waiting(app)
        await Given(app.store).sql("UPDATE outbox SET status = 'unknown', error = 'interrupted'")
        assert (await send_waiting(app)).counts.alerts_sent == 1
    assert _sent(slack) == ["web", "web"]


async def test_a_route_without_a_channel_is_told_to_support(app: App, slack: RunningMock) -> None:
    """It fails with a reason, goes nowhere, and goes out once there is a channel."""
    outage = an_outage("web", team="MARS")
    assert await app.store.waiting.let_wait(outage, now=app.clock.now())
    record = await send_waiting(app)
    assert (record.counts.unknown_region, slack.records()) == (1, [])
    (failed,) = record.sample_errors
    assert failed.error_message == "team MARS has no channel"
    channels = replace(app.channels, by_region={"MARS": "mars"})
    assert (await send_waiting(replace(app, channels=channels))).counts.alerts_sent == 1


async def test_another_tenants_dead_run_is_looked_after(app: App, slack: RunningMock) -> None:
    """Its rows are not in the sweep of this process's tenant."""
    other = app_of(app, OTHER)
    assert await other.store.waiting.let_wait(an_outage("mail", tenant_id=OTHER), now=app.clock.now())
    request = outbox_request(OTHER)
    await other.store.runs.begin("r1", request, started_at=app.clock.now(), lease_s=30)
    await Given(other.store).expired("r1")
    async with sending(app):
        await until(lambda: _sent(slack) == ["mail"])
        await until(lambda: not app.at_work.runs)
    assert (await other.store.history.get_run("r1")).status is RunStatus.FAILED


async def test_what_somebody_creates_is_sent_once(app: App, slack: RunningMock) -> None:
    """With a channel or a route it waits as soon as it is there; a repeat sends nothing more."""
    work, alerts = app.store.alert_work, app.store.alerts
    new = NewAlert(
        rule_name="disk_full",
        message=f"<!channel> {'the disk of db-1 is full ' * 5}",
        severity=Severity.HIGH,
        subject="db-1",
        channel="war-room",
    )
    by_route = replace(new, subject="db-2", channel=None, route="EMEA", message="full")
    silent = replace(new, subject="db-3", channel=None)
    (loud, _), (routed, _), (quiet, _) = [await work.create(one, by="ann") for one in (new, by_route, silent)]
    assert await app.store.outbox.undelivered() == {"pending": 2}
    assert quiet.occurrences == ()
    record = await send_waiting(app)
    again, is_new = await work.create(new, by="bob")
    assert (again.alert_id, is_new) == (loud.alert_id, False)
    await send_waiting(app)
    second, first = sorted(slack.records(), key=lambda record: record.channel)
    assert [first.channel, second.channel] == ["war-room", "emea-risk-alerts"]
    lines = str((first.payload or {})["text"]).splitlines()
    assert lines[0].startswith("🔔 High: &lt;!channel&gt; the disk")
    assert lines[0].endswith("(disk_full)")
    assert lines[1].startswith("Message: &lt;!channel&gt; the disk")
    assert lines[2:] == [
        "About: db-1",
        "Severity: high",
        "Rule: disk_full",
        f"Alert: {loud.alert_id}",
    ]
    for alert in (loud, routed):
        shown = await alerts.get(alert.alert_id)
        (occurrence,) = shown.occurrences
        assert (occurrence.alert.alert_id, occurrence.status) == (alert.alert_id, DeliveryStatus.SENT)
    # What is said of runs of months is said of this one as far as it goes.
    told = RunOut.of(record)
    assert (told.month, told.counts.alerts_sent) == (None, 2)
    assert told.ledger == OutboxLedgerOut(alerts=2, outcomes={Outcome.SENT: 2})
    assert {one.alert_type for one in told.sample_alerts} == {"created"}
    print_tables(told)
    print_tables(RunsOut(runs=[told], next_cursor=None))
    page = await app.store.history.list_alerts(record.run_id, limit=10)
    assert [one.month for one in AlertsOut.of(page).alerts] == [None, None]
    assert (await app.store.changes.of_run(record.run_id)).totals() == []
