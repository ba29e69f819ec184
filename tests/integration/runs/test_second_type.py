"""A second type of alerts goes every way that accounts go, on both databases."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mock_slack.running import RunningMock
from service.delivery.routing import route
from service.domain.delivery_status import AmbiguousSends, Outcome, SettleAs
from service.domain.progress import Progress
from service.domain.run import Preview, RunRecord
from service.domain.tenant import DEFAULT_TENANT
from service.runs.execute import execute_run, new_run_id, resume_run
from service.runs.interventions import settle_alert
from service.runs.preview import preview
from service.settings import Settings
from service.wiring import App, open_app
from tests.support.given import Given
from tests.support.second_type import Outages, outages_request

DAY = "2026-01-05"
WEB = {"service": "web", "team": "AMER", "minutes": 30, "cause": "<!channel> disk"}
MAIL = {"service": "mail", "team": "AMER", "minutes": 90, "cause": None}
BLIP = {"service": "blip", "team": "AMER", "minutes": 1, "cause": None}
LOST = {"service": "lost", "team": "MARS", "minutes": 7, "cause": None}


@pytest.fixture
async def app(database_url: str, slack: RunningMock, tmp_path: Path) -> AsyncIterator[App]:
    """Open the app with a second kind of run beside the first."""
    settings = Settings(
        _env_file=None,
        database_url=database_url,
        slack_webhook_base_url=slack.webhook_base_url,
        slack_messages_per_second=0,
    )
    async with open_app(settings) as opened:
        notice = replace(opened.notice(), folder=tmp_path / "notices")
        kinds = {**opened.kinds, Outages.name: Outages(tenant_id=DEFAULT_TENANT)}
        yield replace(opened, kinds=kinds, notice=lambda: notice)


def _written(folder: Path, *entries: dict[str, Any]) -> Path:
    path = folder / "outages.json"
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


async def _previewed(app: App, path: Path) -> Preview:
    return await preview(app, outages_request(path, DAY), limit=10, progress=Progress())


async def _run(app: App, path: Path, **details: Any) -> RunRecord:
    run_id = new_run_id(app.clock.now())
    request = outages_request(path, DAY, **details)
    return await execute_run(app, request, run_id=run_id, progress=Progress())


def _titles(slack: RunningMock) -> list[str]:
    return [str((record.payload or {})["text"]).splitlines()[0] for record in slack.records()]


async def test_a_preview_is_what_the_run_does(app: App, slack: RunningMock, tmp_path: Path) -> None:
    """The longest outage goes first, in the type's words, escaped; the plan's digest binds the run to it."""
    path = _written(tmp_path, WEB, MAIL, BLIP, LOST)
    shown = await _previewed(app, path)
    assert [(item.alert.subject, str(item.action)) for item in shown.alerts] == [
        ("mail", "send"),
        ("web", "send"),
        ("lost", "fail"),
    ]
    assert shown.alerts[1].message["text"].splitlines()[:3] == [
        "Down: web (2026-01-05)",
        "Minutes: 30",
        "Cause: &lt;!channel&gt; disk",
    ]
    assert shown.alerts[1].details_url == "https://status.example.com/web"
    record = await _run(app, path, plan_digest=shown.plan_digest)
    assert (record.kind, record.scope, record.period) == ("outages", f"outage:{DAY}", DAY)
    assert record.ledger is not None
    assert record.ledger.rows == {"entries": 4, "short": 1, "alerts": 3}
    assert (record.counts.alerts_sent, record.counts.unknown_region) == (2, 1)
    assert _titles(slack) == ["Down: mail (2026-01-05)", "Down: web (2026-01-05)"]
    (lost,) = record.sample_errors
    assert lost.error_message == "team MARS has no channel"
    (notice,) = (tmp_path / "notices").iterdir()
    assert "Day: 2026-01-05" in notice.read_text()
    assert (await _run(app, path)).counts.skipped_replay == 2
    assert len(slack.records()) == 2


async def test_what_is_restated_is_what_the_type_says(app: App, slack: RunningMock, tmp_path: Path) -> None:
    """Another number of minutes is reported, another cause is not; what is gone is withdrawn."""
    await _run(app, _written(tmp_path, WEB, MAIL))
    path = _written(tmp_path, WEB | {"minutes": 31, "cause": "network"}, LOST)
    rehearsal = await _run(app, path, dry_run=True)
    record = await _run(app, path)
    for each in (rehearsal, record):
        (restated,) = each.sample_restated
        assert (restated.alert.subject, restated.restated) == ("web", {"minutes": (30, 31)})
        assert [(item.alert.subject, str(item.status)) for item in each.sample_withdrawn] in (
            [],
            [("mail", "sent")],
        )
    assert [item.alert.facts["minutes"] for item in record.sample_withdrawn] == [90]
    assert len(slack.records()) == 2


async def test_a_run_that_died_is_resumed_and_its_doubt_is_settled(
    app: App, slack: RunningMock, tmp_path: Path
) -> None:
    """What was on its way is in doubt, the rest is sent by who resumes it, and a person has the last word."""
    given = Given(app.store)
    path = _written(tmp_path, WEB, MAIL)
    kind = app.kinds[Outages.name]
    request = outages_request(path, DAY)
    await app.store.runs.begin("r1", request, started_at=app.clock.now(), lease_s=30)
    lease = await app.store.runs.acquire_lease("r1", request.scope, now=app.clock.now())
    assert not isinstance(lease, str)
    with app.room.turn() as turn:
        evaluation = await kind.evaluate(request, Progress(), turn)
    await app.store.runs.note_evaluation("r1", evaluation)
    routed = list(route(evaluation.alerts, app.channels, kind.alert_type))
    await app.store.recording.record(
        lease, routed, ambiguous=AmbiguousSends.HOLD, restatable=("minutes",), now=app.clock.now()
    )
    (first, *_) = await app.store.outbox.pending(lease, ["amer-risk-alerts"], after=-1, limit=10)
    await app.store.outbox.settle_and_claim(lease, [], [first], now=app.clock.now(), lease_s=30)
    await given.expired("r1")
    since = app.clock.now().replace(year=2000)
    assert await app.store.rescue.resumable(since=since, kinds=["account_risk"]) == []
    assert await app.store.rescue.resumable(since=since, kinds=app.kinds) == ["r1"]
    resumed = await resume_run(app, "r1", since=since, progress=Progress())
    assert resumed is not None
    assert (resumed.counts.alerts_sent, resumed.counts.unknown) == (1, 1)
    assert _titles(slack) == ["Down: web (2026-01-05)"]
    doubt = await settle_alert(app, first.alert_id, SettleAs.RESEND, by="ann", note=None)
    assert (doubt.alert.alert_type, doubt.alert.facts) == ("outage", {"minutes": 90, "cause": None})
    again = await _run(app, path)
    assert (again.counts.alerts_sent, again.counts.skipped_replay) == (1, 1)
    assert sorted(_titles(slack)) == ["Down: mail (2026-01-05)", "Down: web (2026-01-05)"]
    outcomes = await given.outcomes(again.run_id)
    assert {name: item.outcome for name, item in outcomes.items()} == {
        "mail": Outcome.SENT,
        "web": Outcome.SKIPPED_REPLAY,
    }


async def test_an_alert_may_name_its_own_channel(app: App, slack: RunningMock, tmp_path: Path) -> None:
    """No region leads there: the preview, the run and a replay know the channel all the same."""
    path = _written(tmp_path, WEB | {"team": "#on-call"})
    app = replace(app, channels=replace(app.channels, by_region={}))
    shown = await _previewed(app, path)
    assert [item.channel for item in shown.alerts] == ["on-call"]
    assert shown.seconds_by_channel == {"on-call": 0.0}
    record = await _run(app, path, plan_digest=shown.plan_digest)
    assert record.counts.alerts_sent == 1
    assert [each.channel for each in slack.records()] == ["on-call"]
    assert (await _run(app, path)).counts.skipped_replay == 1


async def test_a_lease_may_cover_more_than_the_scope(app: App, slack: RunningMock, tmp_path: Path) -> None:
    """Runs of two scopes wait for each other; what one sent the other does not send, nor withdraw."""
    path = _written(tmp_path, WEB, MAIL)
    await _run(app, path, scope="outage:morning", lease="outage")
    held = outages_request(path, DAY, scope="outage:noon", lease="outage")
    await app.store.runs.begin("r1", held, started_at=app.clock.now(), lease_s=30)
    assert not isinstance(
        await app.store.runs.acquire_lease("r1", held.scope, now=app.clock.now(), lease=held.lease), str
    )
    other = outages_request(path, DAY, scope="outage:evening", lease="outage")
    await app.store.runs.begin("r2", other, started_at=app.clock.now(), lease_s=30)
    waits = await app.store.runs.acquire_lease("r2", other.scope, now=app.clock.now(), lease=other.lease)
    assert waits == "r1"
    for run_id in ("r1", "r2"):
        await app.store.runs.finish(run_id, now=app.clock.now(), error=None)
    path = _written(tmp_path, WEB)
    shown = await preview(app, replace(other, source=held.source), limit=10, progress=Progress())
    assert [str(item.action) for item in shown.alerts] == ["skip_replay"]
    record = await _run(app, path, scope="outage:evening", lease="outage")
    assert (record.counts.skipped_replay, record.counts.withdrawn) == (1, 0)
    again = await _run(app, path, scope="outage:morning", lease="outage")
    assert (again.counts.skipped_replay, again.counts.withdrawn) == (1, 1)
    assert len(slack.records()) == 2


async def test_the_view_of_accounts_has_no_outages(app: App, tmp_path: Path) -> None:
    """`alert_outcomes` speaks of accounts and months only."""
    await _run(app, _written(tmp_path, WEB))
    given = Given(app.store)
    assert await given.sql("SELECT * FROM alert_outcomes") == []
    assert [row["alert_type"] for row in await given.sql("SELECT alert_type FROM outbox")] == ["outage"]
