"""Active models over HTTP: a super_admin changes them, everybody reads them, and all are scored by them."""

from collections.abc import Iterator
from typing import Any, Final

import orjson
import pytest

from service.default_risk.model_file import model_bytes, shipped_model
from service.domain.default_risk.prediction_kind import PredictionKind
from tests.integration.api.v1.risk.conftest import Town
from tests.support.companies import small_model
from tests.support.predictions import RATIOS

SHIPPED: Final = shipped_model(PredictionKind.ANNUAL)
OWN: Final[dict[str, Any]] = orjson.loads(model_bytes(small_model(name="own")))


@pytest.fixture
def town_again(town: Town) -> Iterator[Town]:
    """Return the town, in which afterwards the model counts that comes with the service."""
    yield town
    town.people["root"].data("DELETE", "/models/annual")


def active(town: Town, name: str = "uma") -> tuple[str, bool]:
    """Return the name of the annual model as somebody sees it, and whether it was activated."""
    annual, quarterly = town.people[name].data("GET", "/models")["models"]
    assert (annual["kind"], quarterly["kind"], quarterly["activated_at"]) == ("annual", "quarterly", None)
    return annual["name"], annual["activated_at"] is not None


def test_a_super_admin_changes_the_model_of_all(town_again: Town) -> None:
    """Of every tenant, from the next statement on; and back again, once more without harm."""
    town, root = town_again, town_again.people["root"]
    assert active(town) == (SHIPPED.name, False)
    made = root.data("PUT", "/models/annual", OWN)
    assert (made["name"], made["sha256"], made["kind"]) == ("own", OWN["sha256"], "annual")
    assert root.data("PUT", "/models/annual", OWN) == made
    assert {active(town, name) for name in town.people} == {("own", True)}
    for name in ("mike", "fred"):
        statement = {"company_symbol": "MODEL", "reporting_year": 2025, **RATIOS}
        scored = town.people[name].data("POST", "/predictions/annual/score", statement)
        assert scored["model"]["sha256"] == OWN["sha256"]
    for _ in range(2):
        assert root.data("DELETE", "/models/annual")["name"] == SHIPPED.name
    assert active(town) == (SHIPPED.name, False)
    actions = [entry["action"] for entry in root.data("GET", "/audit")["entries"][:3]]
    assert actions.count("model.activate") == 2


def test_nobody_else_does(town: Town) -> None:
    """Not a tenant's administrator either: the model is of all tenants."""
    for name in ("tina", "olga", "mike", "uma", "fred"):
        for method, body in (("PUT", OWN), ("DELETE", None)):
            assert town.people[name].refused(method, "/models/annual", body) == (403, "FORBIDDEN")
    assert active(town) == (SHIPPED.name, False)


@pytest.mark.parametrize(
    ("kind", "changes", "status", "code"),
    [
        ("annual", {"intercept": -9.0}, 422, "BAD_MODEL"),
        ("annual", {"ratios": []}, 422, "BAD_MODEL"),
        ("annual", {"name": "\0"}, 422, "BAD_MODEL"),
        ("annual", {"sha256": "0" * 64}, 422, "BAD_MODEL"),
        ("quarterly", {}, 422, "BAD_MODEL"),
        ("monthly", {}, 422, "VALIDATION_ERROR"),
    ],
)
def test_what_is_no_model_of_the_kind_is_refused(
    town: Town, kind: str, changes: dict[str, Any], status: int, code: str
) -> None:
    """A file that was changed by hand, too; nothing is activated then."""
    root = town.people["root"]
    assert root.refused("PUT", f"/models/{kind}", OWN | changes) == (status, code)
    assert root.refused("PUT", "/models/annual", [OWN]) == (422, "VALIDATION_ERROR")
    assert active(town) == (SHIPPED.name, False)
