"""Companies and predictions as they are written down: whose they are, and what of them is kept for good."""

import math
from dataclasses import replace
from typing import Any, Final

import pytest
import sqlalchemy as sa

from service.default_risk.model import logit
from service.default_risk.model_file import parse_model
from service.default_risk.scoring import score
from service.domain.default_risk.company import Company, CompanyFilter, NewCompany
from service.domain.default_risk.errors import (
    CompanyNotFoundError,
    NotAssignableError,
    OrganizationNeededError,
    PredictionExistsError,
    PredictionNotFoundError,
)
from service.domain.default_risk.prediction import NewPredictions, PredictionFilter
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.errors import BadCursorError
from service.domain.identity.actor import Actor
from service.domain.identity.errors import (
    AlreadyExistsError,
    OrganizationNotFoundError,
    UserNotFoundError,
)
from service.domain.identity.permission import Role
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.audit import database_time
from service.store.default_risk.batch import record_predictions
from service.store.schema.access_tables import organizations
from service.store.schema.default_risk_tables import risk_models
from service.store.store import Store
from tests.support.companies import columns
from tests.support.given import NOW
from tests.support.people import add_person, all_seeing
from tests.support.predictions import MODEL, OTHER_MODEL, RATIOS, SMALL, a_prediction, predictor_of

ANNUAL: Final = PredictionKind.ANNUAL
EVERY: Final = CompanyFilter()
ACME: Final = NewCompany(symbol="ACME", name="Acme AG", sector="steel", market_cap=12.5)
FOREIGN: Final = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
async def places(store: Store) -> tuple[str, str]:
    """Return the ids of two organisations of the tenant."""
    access = all_seeing(store).access.organizations
    north = await access.create(DEFAULT_TENANT, name="North", code="north", now=NOW)
    south = await access.create(DEFAULT_TENANT, name="South", code="south", now=NOW)
    return north.id, south.id


def member(store: Store, organization_id: str, *, user_id: str = "mike", deleting: bool = False) -> Store:
    """Return the store as a member of an organisation sees it, or in what is theirs to delete."""
    principal = Principal(
        kind=PrincipalKind.USER,
        id=user_id,
        tenant_id=DEFAULT_TENANT,
        organization_id=organization_id,
        role=Role.ORG_MEMBER,
    )
    scope = Scope.of_organization(DEFAULT_TENANT, organization_id)
    if deleting:
        scope = Scope.of_user(DEFAULT_TENANT, user_id)
    return store.seen_by(Actor(principal=principal), scope)


async def symbols(store: Store, wanted: CompanyFilter = EVERY, **paging: object) -> list[str]:
    """Return the symbols of a page of companies."""
    page = await store.default_risk.companies.list(wanted, limit=9, **paging)  # type: ignore[arg-type]
    return [company.symbol for company in page.items]


async def test_a_symbol_is_one_company_of_an_organisation(store: Store, places: tuple[str, str]) -> None:
    """Another organisation may have it, too; and the same one again once the first is deleted."""
    north, south = (member(store, place).default_risk.companies for place in places)
    made = await north.create(ACME)
    assert await north.get(made.id) == made
    assert (made.organization_id, made.created_by) == (places[0], "user:mike")
    with pytest.raises(AlreadyExistsError):
        await north.create(ACME)
    await south.create(ACME)
    other = await north.create(replace(ACME, symbol="OTHER"))
    with pytest.raises(AlreadyExistsError):
        await north.update(other.id, symbol="ACME")
    await north.delete(made.id)
    renamed = await north.update(other.id, symbol="ACME", market_cap=1.0)
    assert (renamed.symbol, renamed.market_cap, renamed.sector) == ("ACME", 1.0, "steel")


async def test_where_no_organisation_is_named_it_is_the_only_one(store: Store) -> None:
    """A tenant that has none gets one with its first company; with several it has to be said."""
    companies = store.default_risk.companies
    first, second = await companies.create(ACME), await companies.create(replace(ACME, symbol="B"))
    assert first.organization_id == second.organization_id
    every = all_seeing(store).access.organizations
    assert (await every.get(first.organization_id)).code == "default"
    await every.create(DEFAULT_TENANT, name="Second", code="second", now=NOW)
    with pytest.raises(OrganizationNeededError):
        await companies.create(replace(ACME, symbol="C"))
    with pytest.raises(OrganizationNotFoundError):
        await companies.create(replace(ACME, symbol="C"), organization_id="absent")


async def test_companies_are_found_by_parts_of_their_names(store: Store) -> None:
    """In whatever case, with the wildcards of SQL as plain characters; by symbol, page by page."""
    for symbol, name, sector in (
        ("B_1", "100% Besen", "steel"),
        ("A", "Äpfel", None),
        ("C", "besenrein", None),
    ):
        await store.default_risk.companies.create(NewCompany(symbol=symbol, name=name, sector=sector))
    assert await symbols(store) == ["A", "B_1", "C"]
    assert await symbols(store, CompanyFilter(search="BESEN")) == ["B_1", "C"]
    assert await symbols(store, CompanyFilter(search="%")) == ["B_1"]
    assert await symbols(store, CompanyFilter(search="_")) == ["B_1"]
    assert await symbols(store, CompanyFilter(search="\\")) == []
    assert await symbols(store, CompanyFilter(symbol="A")) == ["A"]
    assert await symbols(store, CompanyFilter(sector="steel")) == ["B_1"]
    page = await store.default_risk.companies.list(EVERY, limit=2)
    assert [company.symbol for company in page.items] == ["A", "B_1"]
    assert await symbols(store, cursor=page.next_cursor) == ["C"]
    with pytest.raises(BadCursorError):
        await symbols(store, cursor="WzFd")


async def test_who_is_in_another_organisation_or_tenant_sees_none_of_it(
    store: Store, places: tuple[str, str]
) -> None:
    """Neither the company nor what was predicted of it, whatever is asked."""
    mine = member(store, places[0]).default_risk
    made = await mine.predictions.record(a_prediction(), model=MODEL)
    for scope in (
        Scope.of_organization(DEFAULT_TENANT, places[1]),
        Scope.of_tenant(FOREIGN),
        Scope.of_user(DEFAULT_TENANT, "uma"),
    ):
        theirs = store.seen_by(Actor.system(DEFAULT_TENANT), scope).default_risk
        with pytest.raises(CompanyNotFoundError):
            await theirs.companies.get(made.company.id)
        with pytest.raises(CompanyNotFoundError):
            await theirs.companies.delete(made.company.id)
        with pytest.raises(PredictionNotFoundError):
            await theirs.predictions.get(made.id, ANNUAL)
        with pytest.raises(PredictionNotFoundError):
            await theirs.predictions.replace(made.id, made.assessment, model=MODEL)
        with pytest.raises(PredictionNotFoundError):
            await theirs.predictions.delete(made.id, ANNUAL)
        assert not (await theirs.companies.list(EVERY, limit=9)).items
        assert not (await theirs.predictions.list(PredictionFilter(), limit=9)).items
    assert (await mine.predictions.get(made.id, ANNUAL)).company.symbol == "ACME"


async def test_a_member_deletes_what_is_their_own(store: Store, places: tuple[str, str]) -> None:
    """A colleague's stays, however well it is seen, and whoever made a new version of it."""
    mine = member(store, places[0]).default_risk
    company = await mine.companies.create(ACME)
    made = await mine.predictions.record(a_prediction(), model=MODEL)
    ann = member(store, places[0], user_id="ann", deleting=True).default_risk
    with pytest.raises(CompanyNotFoundError):
        await ann.companies.delete(company.id)
    colleague = member(store, places[0], user_id="ann").default_risk
    changed = await colleague.predictions.replace(made.id, made.assessment, model=MODEL)
    assert changed.created_by == "user:ann"
    with pytest.raises(PredictionNotFoundError):
        await ann.predictions.delete(made.id, ANNUAL)
    mike = member(store, places[0], deleting=True).default_risk
    await mike.predictions.delete(made.id, ANNUAL)
    await mike.companies.delete(company.id)
    assert await symbols(store) == []


async def test_a_user_sees_the_companies_that_are_assigned_to_them(
    store: Store, places: tuple[str, str]
) -> None:
    """With what was predicted of them, until it is revoked; nobody else is assigned any."""
    mine = member(store, places[0]).default_risk
    made = await mine.predictions.record(a_prediction(), model=MODEL)
    await mine.companies.create(replace(ACME, symbol="OTHER"))
    uma = await add_person(store, "uma", Role.USER)
    olga = await add_person(store, "olga", Role.ORG_MEMBER, organization_id=places[0])
    far = await all_seeing(store).access.tenants.create(name="Far", code="far", now=NOW)
    stranger = await add_person(store, "fred", Role.USER, tenant_id=far.id)
    grants = all_seeing(store).default_risk.grants
    granted = await grants.grant(made.company.id, uma.id)
    assert await grants.grant(made.company.id, uma.id) == granted
    assert (await grants.list(made.company.id, limit=9)).items == (granted,)
    of_uma = store.seen_by(Actor.system(DEFAULT_TENANT), Scope.of_user(DEFAULT_TENANT, uma.id))
    assert await symbols(of_uma) == ["ACME"]
    found = await of_uma.default_risk.predictions.list(PredictionFilter(), limit=9)
    assert [each.id for each in found.items] == [made.id]
    with pytest.raises(NotAssignableError):
        await grants.grant(made.company.id, olga.id)
    with pytest.raises(UserNotFoundError):
        await grants.grant(made.company.id, stranger.id)
    for _ in range(2):
        await grants.revoke(made.company.id, uma.id)
    assert await symbols(of_uma) == []


async def test_a_prediction_reads_back_as_it_was_made(store: Store) -> None:
    """To the last bit of its probability; what was missing stays so, and the company is added."""
    new = a_prediction(net_income_margin=-1e9, return_on_assets="NM")
    made = await store.default_risk.predictions.record(new, model=MODEL)
    found = await store.default_risk.predictions.get(made.id, ANNUAL)
    assert found == made
    said = found.assessment
    assert said == new.assessment
    assert (found.version, found.is_newest, found.kind, found.reporting_quarter) == (1, True, ANNUAL, 0)
    assert (found.company.symbol, found.company.name, found.company.market_cap) == ("ACME", "ACME AG", 12.5)
    assert said.clamped == ("net_income_margin",)
    assert said.ratios[-1] is None
    assert said.probability is not None
    assert logit(said.probability) == pytest.approx(said.intercept + sum(said.contributions), abs=1e-9)


async def test_what_a_model_abstains_on_has_no_probability(store: Store) -> None:
    """Neither 0 nor anything else that could be mistaken for one."""
    missing: dict[str, Any] = dict.fromkeys([*RATIOS][:3])
    made = await store.default_risk.predictions.record(a_prediction(**missing), model=MODEL)
    found = (await store.default_risk.predictions.get(made.id, ANNUAL)).assessment
    assert (found.probability, found.risk_level, found.contributions) == (None, None, ())


async def test_a_past_prediction_keeps_its_model(store: Store) -> None:
    """The file of the model is kept: scored again with it, a statement has the same probability, exactly."""
    made = await store.default_risk.predictions.record(a_prediction(), model=MODEL)
    await store.default_risk.predictions.replace(made.id, a_prediction().assessment, model=OTHER_MODEL)
    page = await store.default_risk.predictions.versions(made.id, ANNUAL, limit=9)
    assert [(each.version, each.is_newest, each.model.name) for each in page.items] == [
        (2, True, "other"),
        (1, False, "small"),
    ]
    assert page.items[1].assessment == made.assessment
    query = sa.select(risk_models.c.content).where(risk_models.c.sha256 == made.model.sha256)
    content = await store._database.read(lambda connection: connection.scalar(query))
    again = score(parse_model(content or b"", "kept"), columns([made.assessment.ratios]))  # type: ignore[list-item]
    assert float(again.probability[0]) == made.assessment.probability
    assert made.model.sha256 == SMALL.sha256


async def test_the_same_company_period_and_model_are_one_prediction(store: Store) -> None:
    """Of another period or model it is another, which no new version can become; deleted, it is gone."""
    predictions = store.default_risk.predictions
    made = await predictions.record(a_prediction(), model=MODEL)
    with pytest.raises(PredictionExistsError, match=made.id):
        await predictions.record(a_prediction(net_income_margin=-50), model=MODEL)
    with pytest.raises(PredictionExistsError):
        await predictions.record(a_prediction("whatever"), model=MODEL, company_id=made.company.id)
    await predictions.record(a_prediction(year=2024), model=MODEL)
    other = await predictions.record(a_prediction(), model=OTHER_MODEL)
    with pytest.raises(PredictionExistsError, match=other.id):
        await predictions.replace(made.id, made.assessment, model=OTHER_MODEL)
    changed = await predictions.replace(made.id, a_prediction(net_income_margin=-50).assessment, model=MODEL)
    assert (changed.id, changed.version, changed.created_at >= made.created_at) == (made.id, 2, True)
    assert [each.id for each in (await predictions.list(PredictionFilter(), limit=9)).items][-1] == made.id
    await predictions.delete(made.id, ANNUAL)
    for absent in (made.id, "absent", "\0"):
        with pytest.raises(PredictionNotFoundError):
            await predictions.versions(absent, ANNUAL, limit=9)
    assert (await predictions.record(a_prediction(), model=MODEL)).id != made.id


async def test_predictions_are_listed_newest_first_by_what_is_asked(store: Store) -> None:
    """By company, period, level and model; page by page."""
    predictions = store.default_risk.predictions
    made = [await predictions.record(a_prediction(year=year), model=MODEL) for year in (2022, 2023, 2024)]
    bad: dict[str, Any] = dict.fromkeys(RATIOS, -50.0)
    worst = await predictions.record(a_prediction("BAD", **bad), model=MODEL)
    ids = [each.id for each in [*made, worst]]
    assert worst.assessment.risk_level is RiskLevel.HIGH

    async def found(
        cursor: str | None = None, limit: int = 9, **wanted: object
    ) -> tuple[list[str], str | None]:
        page = await predictions.list(
            PredictionFilter(**wanted),  # type: ignore[arg-type]
            limit=limit,
            cursor=cursor,
        )
        return [each.id for each in page.items], page.next_cursor

    assert await found() == (ids[::-1], None)
    first, cursor = await found(limit=3)
    assert first + (await found(cursor))[0] == ids[::-1]
    assert await found(kind=PredictionKind.QUARTERLY) == ([], None)
    assert await found(company_symbol="BAD") == ([worst.id], None)
    assert await found(company_id=worst.company.id) == ([worst.id], None)
    assert await found(organization_id=worst.organization_id) == (ids[::-1], None)
    assert await found(reporting_year=2023, reporting_quarter=0) == ([made[1].id], None)
    assert await found(risk_level=RiskLevel.HIGH) == ([worst.id], None)
    assert await found(model=OTHER_MODEL.sha256) == ([], None)
    company = worst.company
    await store.default_risk.companies.delete(company.id)
    assert await found(company_symbol="BAD") == ([], None)


async def test_a_batch_is_written_in_the_callers_transaction(store: Store) -> None:
    """What is there already, or twice in it, is not written again; its ids follow each other."""
    companies, predictions = store.default_risk.companies, store.default_risk.predictions
    known: Company = await companies.create(ACME)
    await predictions.record(a_prediction("B"), model=MODEL)
    each = [a_prediction(), a_prediction("B"), a_prediction("N\0ul"), a_prediction(), a_prediction(year=2024)]
    new = NewPredictions.of(*each)

    def work(connection: sa.Connection) -> list[str | None]:
        organization = dict(connection.execute(sa.select(organizations)).mappings().one())
        return record_predictions(
            connection, new, model=MODEL, organization=organization, by="job", at=database_time(connection)
        )

    written = await store._database.write(work)
    assert [each is not None for each in written] == [True, False, True, False, True]
    ids = [each for each in written if each is not None]
    assert ids == sorted(ids)
    found = await predictions.list(PredictionFilter(), limit=9)
    assert [each.id for each in found.items][:3] == ids[::-1]
    assert found.items[0].company == known
    assert await symbols(store) == ["ACME", "B", "N\ufffdul"]
    assert await store._database.write(work) == [None] * len(each)


async def test_everything_that_changes_is_in_the_audit(store: Store) -> None:
    """By its own word, in the transaction that did it."""
    predictions = store.default_risk.predictions
    made = await predictions.record(a_prediction(), model=MODEL)
    await predictions.replace(made.id, made.assessment, model=MODEL)
    await predictions.delete(made.id, ANNUAL)
    await store.default_risk.companies.update(made.company.id, name="Acme")
    await store.default_risk.companies.delete(made.company.id)
    entries = (await store.audit.list(limit=9)).items
    assert [(entry.action, entry.target) for entry in reversed(entries)] == [
        ("prediction.create", made.id),
        ("prediction.update", made.id),
        ("prediction.delete", made.id),
        ("company.update", made.company.id),
        ("company.delete", made.company.id),
    ]


def test_a_prior_moves_every_probability_and_is_kept() -> None:
    """The model is the same one: its sha256 says so, and the prior stands beside it."""
    plain, moved = predictor_of(), predictor_of(prior=0.01)
    assert plain.record(ANNUAL) == moved.record(ANNUAL)
    before, after = plain.assess(ANNUAL, RATIOS), moved.assess(ANNUAL, RATIOS)
    assert (before.prior, after.prior) == (SMALL.prior, 0.01)
    assert before.contributions == after.contributions
    assert math.isclose(after.intercept - before.intercept, logit(0.01) - logit(SMALL.prior))
