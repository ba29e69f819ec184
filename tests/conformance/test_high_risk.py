"""Companies at high risk: what is predicted alerts once, and ends what it showed to be over."""

from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest
import sqlalchemy as sa

from service.domain.default_risk.high_risk import DEFAULT_RISK, HIGH_RISK
from service.domain.default_risk.prediction import NewPrediction, NewPredictions, Prediction
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.lifecycle.alert_status import AlertStatus, AlertStep
from service.domain.lifecycle.managed_alert import AlertFilter, ManagedAlert
from service.domain.tenant import DEFAULT_TENANT
from service.store.audit import database_time
from service.store.default_risk.batch import record_predictions
from service.store.schema.access_tables import organizations
from service.store.store import Store
from tests.support.given import NOW
from tests.support.people import all_seeing
from tests.support.predictions import MODEL, OTHER_MODEL, a_prediction

ANNUAL: Final = PredictionKind.ANNUAL
HIGH: Final = RiskLevel.HIGH
LOW: Final = RiskLevel.LOW


def scored(level: RiskLevel | None, symbol: str = "ACME", year: int = 2025) -> NewPrediction:
    """Return a prediction of this level; None: the model abstained."""
    new = a_prediction(symbol, year)
    probability = None if level is None else {"HIGH": 0.62, "MEDIUM": 0.4, "LOW": 0.1}[level]
    assessment = replace(new.assessment, risk_level=level, probability=probability)
    return replace(new, assessment=assessment)


async def opted_in(store: Store, channel: str | None = "credit-risk") -> str:
    """Return the id of the tenant's only organisation, with this channel."""
    every = all_seeing(store).access.organizations
    found = (await every.list(limit=1)).items
    made = found[0] if found else await every.create(DEFAULT_TENANT, name="North", code="north", now=NOW)
    await every.update(made.id, now=NOW, default_risk_channel=channel)
    return made.id


async def predict(store: Store, *args: Any, model: Any = MODEL) -> Prediction:
    """Write a prediction of this level down."""
    return await store.default_risk.predictions.record(scored(*args), model=model)


async def alerts_of(store: Store) -> list[ManagedAlert]:
    """Return all alerts, oldest first."""
    return [*reversed((await store.alerts.list(AlertFilter(), limit=99)).items)]


async def statuses(store: Store) -> list[tuple[str, str | None, int]]:
    """Return the status of each alert, why it was resolved, and how many messages it has."""
    return [(each.status, each.resolution_reason, len(each.occurrences)) for each in await alerts_of(store)]


async def waiting(store: Store) -> list[tuple[str, str]]:
    """Return what waits to be sent: of which company and period."""
    found = await store.waiting.to_send([DEFAULT_RISK], also_in_doubt=False)
    return [(str(alert.facts["company_symbol"]), alert.period) for alert in found]


async def test_a_high_prediction_alerts_where_its_organisation_wants_that(store: Store) -> None:
    """Once for a company and period, with everything that the message says; and nobody else's."""
    await opted_in(store, None)
    await predict(store, HIGH, "BEFORE")
    await opted_in(store)
    made = await predict(store, HIGH)
    await predict(store, RiskLevel.MEDIUM, "M")
    await predict(store, None, "N")
    (alert,) = await alerts_of(store)
    assert (alert.alert_type, alert.rule_name, alert.status) == (DEFAULT_RISK, HIGH_RISK, "triggered")
    assert alert.subject == f"annual/{made.company.id}"
    assert alert.message == "ACME AG (ACME): probability of default 62.0 %, annual 2025"
    (occurrence,) = alert.occurrences
    assert (occurrence.alert.period, occurrence.status) == ("2025", "pending")
    assert occurrence.alert.facts["prediction_id"] == made.id
    assert occurrence.alert.facts["named_channel"] == "credit-risk"
    assert await waiting(store) == [("ACME", "2025")]
    entries = (await all_seeing(store).audit.list(limit=99)).items
    assert sum(entry.action == "organization.update" for entry in entries) == 2


async def test_the_newest_statement_decides(store: Store) -> None:
    """Not HIGH any more: recovered. A new statement joins what is open, and an old one changes nothing."""
    await opted_in(store)
    await predict(store, HIGH, "ACME", 2023)
    await predict(store, HIGH, "ACME", 2024)
    assert await statuses(store) == [("triggered", None, 2)]
    await predict(store, LOW, "ACME", 2022)
    await predict(store, None, "ACME", 2025)
    await predict(store, LOW, "OTHER", 2025)
    assert await statuses(store) == [("triggered", None, 2)]
    await predict(store, LOW, "ACME", 2026)
    assert await statuses(store) == [("resolved", "recovered", 2)]
    await predict(store, HIGH, "ACME", 2021)
    assert await statuses(store) == [("resolved", "recovered", 2)]
    assert await waiting(store) == [("ACME", "2023"), ("ACME", "2024")]
    await predict(store, HIGH, "ACME", 2027)
    assert (await statuses(store))[1] == ("triggered", None, 1)


async def test_what_is_predicted_anew_of_a_period_sends_nothing_again(store: Store) -> None:
    """By PUT or by another model: lower ends the alert, higher again reopens it, and one message stays."""
    await opted_in(store)
    made = await predict(store, HIGH)
    change = store.default_risk.predictions.replace
    await change(made.id, scored(HIGH).assessment, model=MODEL)
    assert await statuses(store) == [("triggered", None, 1)]
    await change(made.id, scored(LOW).assessment, model=MODEL)
    assert await statuses(store) == [("resolved", "recovered", 1)]
    await predict(store, HIGH, model=OTHER_MODEL)
    ((status, _, messages),) = await statuses(store)
    assert (status, messages) == ("triggered", 1)
    assert await waiting(store) == [("ACME", "2025")]


async def test_what_a_person_resolved_stays_so(store: Store) -> None:
    """The same period says nothing new; the next one does."""
    await opted_in(store)
    made = await predict(store, HIGH)
    (alert,) = await alerts_of(store)
    await store.alert_work.take(alert.alert_id, AlertStep.RESOLVE, note="paid in advance", by="ann")
    await store.default_risk.predictions.replace(made.id, scored(HIGH).assessment, model=MODEL)
    assert await statuses(store) == [("resolved", "person", 1)]
    await predict(store, HIGH, "ACME", 2026)
    first, second = await alerts_of(store)
    assert (first.status, second.status) == (AlertStatus.RESOLVED, AlertStatus.TRIGGERED)
    assert second.previous_alert_id == first.alert_id


async def test_who_opts_out_is_still_told_of_what_is_over(store: Store) -> None:
    """Nothing begins any more, and what was open ends as it would."""
    await opted_in(store)
    await predict(store, HIGH)
    await opted_in(store, None)
    await predict(store, HIGH, "B")
    await predict(store, LOW, "ACME", 2026)
    assert await statuses(store) == [("resolved", "recovered", 1)]
    assert await waiting(store) == [("ACME", "2025")]


async def test_an_older_statement_cannot_reopen_what_a_newer_one_has(store: Store) -> None:
    """Also where the newer prediction was deleted: of several alerts only the newest is ever open."""
    await opted_in(store)
    old = await predict(store, HIGH, "ACME", 2024)
    await predict(store, LOW, "ACME", 2025)
    newer = await predict(store, HIGH, "ACME", 2026)
    (_, second) = await alerts_of(store)
    await store.default_risk.predictions.delete(newer.id, ANNUAL)
    await store.default_risk.predictions.replace(old.id, scored(HIGH).assessment, model=MODEL)
    assert [status for status, _, _ in await statuses(store)] == ["resolved", "triggered"]
    assert second.status is AlertStatus.TRIGGERED


@pytest.mark.parametrize("parts", [1, 4])
async def test_a_bulk_alerts_as_single_predictions_do(store: Store, parts: int) -> None:
    """However it is cut, in whatever order its rows are, and whatever is repeated."""
    place = await opted_in(store)
    rows = [
        *(scored(HIGH, "ACME", year) for year in (2026, 2024, 2025)),
        *(scored(HIGH, f"C{number}") for number in range(600)),
        *(scored(LOW, "C7", 2026), scored(LOW, "C8", 2024)),
    ]

    def work(connection: sa.Connection, some: list[NewPrediction]) -> None:
        row = dict(connection.execute(sa.select(organizations)).mappings().one())
        assert row["id"] == place
        at = database_time(connection)
        record_predictions(
            connection, NewPredictions.of(*some), model=MODEL, organization=row, by="job", at=at
        )

    for _ in range(2):
        for part in range(parts):
            await store._database.write(partial(work, some=rows[part::parts]))
    page = await store.alerts.list(AlertFilter(), limit=1000)
    found = {each.message.split()[0]: each for each in page.items}
    opened = {name for name, each in found.items() if each.status is AlertStatus.TRIGGERED}
    assert opened >= {"ACME", "C0", "C8", "C599"}
    assert "C7" not in opened
    assert len(opened) == 600
    assert found["ACME"].occurrences[-1].alert.period == "2026"


async def test_a_prediction_that_is_undone_leaves_no_alert(store: Store) -> None:
    """They are written in one transaction."""
    await opted_in(store)

    def work(connection: sa.Connection) -> None:
        row = dict(connection.execute(sa.select(organizations)).mappings().one())
        at = database_time(connection)
        new = NewPredictions.of(scored(HIGH))
        record_predictions(connection, new, model=MODEL, organization=row, by="job", at=at)
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        await store._database.write(work)
    assert await alerts_of(store) == []
    assert await waiting(store) == []
