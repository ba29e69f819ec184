"""Activated models: the newest of a kind counts, for everybody, and who activated it is written down."""

from typing import Final

import pytest

from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.identity.actor import Actor
from service.domain.identity.principal import Principal
from service.domain.identity.scope import Scope
from service.domain.tenant import DEFAULT_TENANT
from service.store.default_risk.models import Models
from service.store.store import Store
from tests.support.people import all_seeing
from tests.support.predictions import MODEL, OTHER_MODEL, a_prediction

ANNUAL: Final = PredictionKind.ANNUAL


@pytest.fixture
def models(store: Store) -> Models:
    """Return the models as somebody at the command line sees them."""
    ann = Actor(principal=Principal.command_line("ann", DEFAULT_TENANT))
    return store.seen_by(ann, Scope.of_tenant(DEFAULT_TENANT)).default_risk.models


async def test_the_newest_activation_counts(store: Store, models: Models) -> None:
    """Of its kind alone, in every scope; once more changes nothing, and the one that ships comes back."""
    assert await models.active() == {}
    assert not await models.activate(ANNUAL, None)
    assert await models.activate(ANNUAL, MODEL)
    assert not await models.activate(ANNUAL, MODEL)
    assert await models.activate(ANNUAL, OTHER_MODEL)
    (active,) = (await store.default_risk.models.active()).values()
    assert (active.kind, active.sha256, active.name) == ("annual", OTHER_MODEL.sha256, "other")
    assert (active.number, active.activated_by) == (2, "cli:ann")
    assert await models.content(active.sha256) == OTHER_MODEL.content
    assert await store.default_risk.model_files.activated() == {ANNUAL: OTHER_MODEL.sha256}
    assert await models.activate(ANNUAL, MODEL)
    assert (await models.active())[ANNUAL].number == 3
    assert await models.activate(ANNUAL, None)
    assert await models.active() == {}
    assert await models.activated() == {}
    with pytest.raises(LookupError):
        await models.content("0" * 64)


async def test_each_activation_is_in_the_audit(store: Store, models: Models) -> None:
    """By whom, and which model; what changed nothing is not."""
    for model in (MODEL, MODEL, None):
        await models.activate(ANNUAL, model)
    entries = (await all_seeing(store).audit.list(limit=9)).items
    assert [(entry.action, entry.target, entry.principal) for entry in entries] == [
        ("model.activate", "annual shipped", "cli:ann"),
        ("model.activate", f"annual {MODEL.sha256}", "cli:ann"),
    ]


async def test_a_past_prediction_keeps_its_model(store: Store, models: Models) -> None:
    """Whatever is activated, or no more, afterwards."""
    made = await store.default_risk.predictions.record(a_prediction(), model=MODEL)
    await models.activate(ANNUAL, OTHER_MODEL)
    await models.activate(ANNUAL, None)
    assert (await store.default_risk.predictions.get(made.id, ANNUAL)).model == made.model
    assert await models.content(made.model.sha256) == MODEL.content
