"""Very many companies at high risk in one file are one message, whoever dies when."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from mock_slack.running import RunningMock
from service.domain.default_risk.job import Job, JobStatus, RowOutcome
from service.domain.lifecycle.alert_status import AlertStatus
from service.domain.lifecycle.managed_alert import AlertFilter, ManagedAlert
from service.domain.tenant import DEFAULT_TENANT
from service.jobs import execute
from service.jobs.keep_working import take_job
from service.runs.waiting.keep_sending import send_waiting
from service.store.jobs.work import JobWork
from service.wiring import App
from tests.support.clocks import START
from tests.support.companies import ANNUAL, HEALTHY
from tests.support.given import Given
from tests.support.jobs import opened, upload, worked
from tests.support.people import all_seeing
from tests.support.predictions import MODEL, a_prediction

MOST: Final = 3
SICK: Final = HEALTHY | {
    "long_term_debt_to_total_capital": "90",
    "total_debt_to_ebitda": "-20",
    "net_income_margin": "-40",
    "ebit_to_interest_expense": "NM",
    "return_on_assets": "-25",
}
"""A row of a company that the small model takes for lost."""
_RATIOS: Final[dict[str, Any]] = {name: value for name, value in SICK.items() if name in ANNUAL}


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a batch have four rows, so that a job has several."""
    monkeypatch.setattr(execute, "BATCH_ROWS", 4)


def sick(count: int) -> list[dict[str, str]]:
    """Return rows of companies at high risk, `S0`, `S1` and so on."""
    of_each = ({"company_symbol": f"S{place}", "company_name": f"S{place} AG"} for place in range(count))
    return [SICK | each for each in of_each]


@asynccontextmanager
async def reporting(
    database_url: str, slack: RunningMock, channel: str = "credit-risk"
) -> AsyncIterator[App]:
    """Open an instance whose tenant's only organisation has a channel, with a digest above three alerts."""
    given: dict[str, Any] = {
        "slack_webhook_base_url": slack.webhook_base_url,
        "slack_messages_per_second": 0,
        "max_alerts_per_rule": MOST,
    }
    async with opened(database_url, **given) as app:
        places = all_seeing(app.store).access.organizations
        found = (await places.list(limit=1)).items
        place = found[0] if found else await places.create(DEFAULT_TENANT, name="N", code="n", now=START)
        await places.update(place.id, now=START, default_risk_channel=channel)
        yield app


async def alerts_of(app: App) -> dict[str, ManagedAlert]:
    """Return the alerts that people work on, by the company's name."""
    page = await app.store.alerts.list(AlertFilter(), limit=100)
    return {each.message.split()[0]: each for each in page.items}


async def deliveries(app: App) -> dict[str, str]:
    """Return what became of the message of each company."""
    return {name: each.occurrences[-1].status for name, each in sorted((await alerts_of(app)).items())}


def texts(slack: RunningMock) -> list[tuple[str, list[str]]]:
    """Return what stands in each channel, in lines."""
    return [
        (str(record.channel), str((record.payload or {})["text"]).splitlines()) for record in slack.records()
    ]


async def ended(app: App, rows: list[dict[str, str]]) -> Job:
    """Upload rows and bring their job to its end."""
    job = await upload(app.store, rows)
    await worked(app)
    return await app.store.default_risk.jobs.get(job.id)


async def test_very_many_of_a_file_are_one_message(database_url: str, slack: RunningMock) -> None:
    """It names the worst that are high still; every company has its alert, and nothing is sent later."""
    rows = [
        *sick(7),
        HEALTHY | {"company_symbol": "SOLID"},
        HEALTHY | {"company_symbol": "S3", "reporting_year": "2026"},  # recovers in the last batch
    ]
    for row in rows[1:7]:
        row["long_term_debt_to_total_capital"] = "10"
    rows[5]["return_on_assets"] = "12"  # the least sick of them
    rows[6] |= {"company_name": "Two\nlines <!channel>"}
    async with reporting(database_url, slack) as app:
        job = await ended(app, rows)
        sent = await send_waiting(app)
        assert (sent.counts.alerts, sent.counts.alerts_sent) == (1, 1)
        found = await alerts_of(app)
        assert await deliveries(app) == dict.fromkeys(
            ("S0", "S1", "S2", "S3", "S4", "S5", "Two"), "in_digest"
        )
        assert {each.occurrences[0].channel for each in found.values()} == {"credit-risk"}
        assert {each.occurrences[0].run_id for each in found.values()} == {job.id}
        open_ones = {name for name, each in found.items() if each.status is AlertStatus.TRIGGERED}
        assert open_ones == found.keys() - {"S3"}
        assert await app.store.outbox.undelivered() == {}
        for again in (rows, [row | {"market_cap": "7"} for row in rows]):  # a replay, and another file
            await ended(app, again)
            assert (await send_waiting(app)).counts.alerts == 0
    ((channel, text),) = texts(slack)
    assert channel == "credit-risk"
    probability = found["S0"].message.split("default ")[1].split(",")[0]
    assert text[:3] == [
        "🏦 High default risk: 7 companies (companies.csv)",
        "Statements: 7 annual, 2025",
        "No longer high: 1 of the companies",
    ]
    assert text[3] == f"Worst: S0 AG (S0): {probability}, 2025"
    assert [line.split(" ")[0] for line in text[4:8]] == ["Then:"] * 4
    named = " ".join(text[3:8])
    assert all(symbol in named for symbol in ("(S0)", "(S1)", "(S2)", "(S4)", "(S6)"))
    assert "Two lines &lt;!channel&gt; (S6)" in named
    assert text[8:] == [f"Model: {MODEL.name}", f"Job: {job.id}"]


async def test_a_few_go_out_by_themselves_when_the_job_has_ended(
    database_url: str, slack: RunningMock
) -> None:
    """As many as MAX_ALERTS_PER_RULE; what is predicted by itself meanwhile does not wait for them."""
    async with reporting(database_url, slack) as app:
        job = await upload(app.store, [*sick(3), *[HEALTHY | {"company_symbol": f"H{n}"} for n in range(4)]])
        record = JobWork.record

        async def looked_at(*args: Any, **kwargs: Any) -> None:
            await record(*args, **kwargs)
            if (await app.store.default_risk.jobs.get(job.id)).rows[RowOutcome.SCORED] == 4:
                await app.store.default_risk.predictions.record(a_prediction("OWN", **_RATIOS), model=MODEL)
                assert (await send_waiting(app)).counts.alerts_sent == 1
                assert await deliveries(app) == {
                    "OWN": "sent",
                    **dict.fromkeys(("S0", "S1", "S2"), "pending"),
                }

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(JobWork, "record", looked_at)
            assert await worked(app) is None
        assert (await send_waiting(app)).counts.alerts_sent == 3
        assert set((await deliveries(app)).values()) == {"sent"}
    assert len(texts(slack)) == 4


class DiedError(BaseException):
    """The process ends here: nothing is closed, nothing is released."""


@pytest.mark.parametrize("after_commit", [False, True])
@pytest.mark.parametrize(("verb", "nth"), [("take", 0), ("record", 0), ("record", 1), ("finish", 0)])
async def test_whoever_dies_when_there_is_one_digest(
    database_url: str,
    slack: RunningMock,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
    nth: int,
    *,
    after_commit: bool,
) -> None:
    """Before or after any transaction of a job: nothing leaves before its end, and then one message."""
    whole, left = getattr(JobWork, verb), [nth]

    async def dying(*args: Any, **kwargs: Any) -> Any:
        if not left[0] and not after_commit:
            raise DiedError
        said = await whole(*args, **kwargs)
        if not left[0]:
            raise DiedError
        left[0] -= 1
        return said

    async with reporting(database_url, slack) as first, reporting(database_url, slack) as second:
        job = await upload(first.store, sick(6))
        with monkeypatch.context() as patched:
            patched.setattr(JobWork, verb, dying)
            with pytest.raises(DiedError):
                await worked(first)
        has_ended = verb == "finish" and after_commit
        assert (await send_waiting(second)).counts.alerts_sent == has_ended
        if not has_ended:
            await Given(first.store).sql("UPDATE jobs SET expires_at = 1 WHERE status = 'running'")
            assert await worked(second) is None
            assert (await send_waiting(second)).counts.alerts_sent == 1
        assert (await send_waiting(first)).counts.alerts == 0
        ((_, text),) = texts(slack)
        assert text[0] == "🏦 High default risk: 6 companies (companies.csv)"
        assert text[-1] == f"Job: {job.id}"
        assert set((await deliveries(first)).values()) == {"in_digest"}


@pytest.mark.parametrize("end", ["cancelled", "given up"])
async def test_a_job_that_ends_early_reports_what_it_stored(
    database_url: str, slack: RunningMock, end: str
) -> None:
    """Cancelled with nobody at it, or given up: what it stored leaves, as a digest where it is very much."""
    async with reporting(database_url, slack) as app:
        job = await upload(app.store, sick(10))
        record = JobWork.record

        async def dying(*args: Any, **kwargs: Any) -> None:
            await record(*args, **kwargs)
            raise DiedError

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(JobWork, "record", dying)
            with pytest.raises(DiedError):
                await worked(app)
        await Given(app.store).sql("UPDATE jobs SET expires_at = 1, takes = 5")
        assert (await send_waiting(app)).counts.alerts == 0
        if end == "cancelled":
            await app.store.default_risk.jobs.cancel(job.id, most_alerts=MOST)
        else:
            assert await take_job(app) is None
        assert (await app.store.default_risk.jobs.get(job.id)).status is JobStatus.FAILED
        assert (await send_waiting(app)).counts.alerts_sent == 1
    ((_, text),) = texts(slack)
    assert text[0] == "🏦 High default risk: 4 companies (companies.csv)"


async def test_each_channel_has_its_own_digest(database_url: str, slack: RunningMock) -> None:
    """Where the organisation named another one while the job was at work; few of one go by themselves."""
    record = JobWork.record
    async with reporting(database_url, slack) as app:

        async def renaming(*args: Any, **kwargs: Any) -> None:
            await record(*args, **kwargs)
            async with reporting(database_url, slack, "second-channel"):
                pass

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(JobWork, "record", renaming)
            await ended(app, sick(6))
        assert (await send_waiting(app)).counts.alerts_sent == 3
    titles = sorted((channel, text[0]) for channel, text in texts(slack))
    assert titles == [
        ("credit-risk", "🏦 High default risk: 4 companies (companies.csv)"),
        ("second-channel", "🏦 High default risk: S4 AG (S4)"),
        ("second-channel", "🏦 High default risk: S5 AG (S5)"),
    ]


async def test_what_waits_for_its_job_ends_and_reopens_like_any_other(
    database_url: str, slack: RunningMock
) -> None:
    """A newer statement is scored while the job is at work, and again."""
    record = JobWork.record
    async with reporting(database_url, slack) as app:

        async def corrected(*args: Any, **kwargs: Any) -> None:
            await record(*args, **kwargs)
            predictions = app.store.default_risk.predictions
            alert = (await alerts_of(app))["S0"]
            prediction_id = str(alert.occurrences[0].alert.facts["prediction_id"])
            sound = a_prediction("S0").assessment
            high = a_prediction("S0", **_RATIOS).assessment
            await predictions.replace(prediction_id, sound, model=MODEL)
            assert (await alerts_of(app))["S0"].status is AlertStatus.RESOLVED
            await predictions.replace(prediction_id, high, model=MODEL)
            assert (await alerts_of(app))["S0"].status is AlertStatus.TRIGGERED

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(JobWork, "record", corrected)
            await ended(app, sick(4))
        assert (await send_waiting(app)).counts.alerts_sent == 1
    ((_, text),) = texts(slack)
    assert text[0] == "🏦 High default risk: 4 companies (companies.csv)"
