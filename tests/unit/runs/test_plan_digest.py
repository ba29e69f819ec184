"""The plan's digest: the same for the same plan, another for any other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from service.account_risk.account_at_risk import AccountAtRisk, Criteria
from service.account_risk.evaluate import MonthEvaluation
from service.account_risk.risk_alert import RiskAlert
from service.delivery.channels import Channels
from service.domain.evaluation import RunWarning
from service.runs.plan_digest import plan_digest
from tests.support.alerts import MONTH, an_alert
from tests.support.given import an_evaluation

BASE_URL = "https://app.example.com/accounts"
CHANNELS = Channels(
    by_region={"AMER": "amer", "EMEA": "emea"}, webhook_base_url="https://hooks.example.com/a"
)
ALERTS = (
    an_alert("a", account_owner=None),
    an_alert("b", account_region=None, arr=None),
    an_alert("c", account_region="EMEA"),
)
EVALUATION = replace(
    an_evaluation(3), alerts=ALERTS, source_versions=(("/data/a.parquet", "1"), ("/data/b.parquet", "2"))
)
PLAN = plan_digest(EVALUATION, CHANNELS, RiskAlert(details_base_url=BASE_URL))


def with_criteria(**changes: Any) -> MonthEvaluation:
    """Return the evaluation under other rules that found the same."""
    return replace(EVALUATION, criteria=replace(Criteria(month=MONTH), **changes).values())


def with_alert(**changes: Any) -> MonthEvaluation:
    """Return the evaluation with another first alert."""
    return replace(EVALUATION, alerts=(replace(ALERTS[0], **changes), *ALERTS[1:]))


@pytest.mark.parametrize(
    "other",
    [
        replace(EVALUATION, source_versions=(("/data/a.parquet", "1"), ("/data/b.parquet", "3"))),
        replace(EVALUATION, source_versions=(("/data/a.parquet", "1"), ("/data/c.parquet", "2"))),
        replace(EVALUATION, source_versions=EVALUATION.source_versions[:1]),
        with_criteria(month=MONTH.minus(1)),
        with_criteria(arr_threshold=1),
        with_criteria(alert_on_unknown_arr=True),
        with_criteria(history_months=24),
        replace(EVALUATION, alerts=ALERTS[::-1]),
        replace(EVALUATION, alerts=ALERTS[:2]),
        replace(EVALUATION, alerts=()),
        with_alert(account_id="A"),
        with_alert(account_name="Another"),
        with_alert(account_region="EMEA"),
        with_alert(account_region="amer"),
        with_alert(duration_months=4),
        with_alert(duration_is_minimum=True),
        with_alert(risk_start_month=MONTH),
        with_alert(arr=None),
        with_alert(arr=50_001),
        with_alert(renewal_date=date(2026, 6, 1)),
        with_alert(account_owner=""),
    ],
)
def test_another_plan_has_another_digest(other: MonthEvaluation) -> None:
    """Each of the source's versions, the rules, and the facts and order of the alerts counts."""
    assert plan_digest(other, CHANNELS, RiskAlert(details_base_url=BASE_URL)) != PLAN


def test_every_fact_and_every_rule_counts() -> None:
    """Nothing that is added to an alert or to the rules is forgotten here."""
    assert set(AccountAtRisk.__dataclass_fields__) == {
        *("account_id", "account_name", "account_region", "month", "duration_months", "duration_is_minimum"),
        *("risk_start_month", "arr", "renewal_date", "account_owner", "tenant_id"),
    }
    assert set(Criteria.__dataclass_fields__) == {
        *("month", "arr_threshold", "alert_on_unknown_arr", "history_months", "tenant_id"),
    }


@pytest.mark.parametrize(
    "channels",
    [
        replace(CHANNELS, by_region={"AMER": "amer"}),
        replace(CHANNELS, by_region={"AMER": "emea", "EMEA": "amer"}),
        replace(CHANNELS, by_region={"AMER": "amer", "EMEA": "emea", "APAC": "apac"}),
        replace(CHANNELS, webhook_base_url=None, webhook_url="https://hooks.example.com/one"),
    ],
)
def test_another_routing_has_another_digest(channels: Channels) -> None:
    """The map counts whole, and so does whether messages have to name their channel."""
    assert plan_digest(EVALUATION, channels, RiskAlert(details_base_url=BASE_URL)) != PLAN


def test_another_link_has_another_digest() -> None:
    """The messages would read otherwise."""
    assert plan_digest(EVALUATION, CHANNELS, RiskAlert(details_base_url="https://other.example.com")) != PLAN


@pytest.mark.parametrize(
    "same",
    [
        lambda: (EVALUATION, CHANNELS),
        lambda: (replace(EVALUATION, warnings=(RunWarning(code="x", count=1, detail=""),)), CHANNELS),
        lambda: (replace(EVALUATION, plan={"files": 2}), CHANNELS),
        lambda: (EVALUATION, replace(CHANNELS, webhook_base_url="https://hooks.example.com/b")),
        lambda: (EVALUATION, replace(CHANNELS, by_region={"EMEA": "emea", "AMER": "amer"})),
        lambda: (replace(EVALUATION, source_versions=EVALUATION.source_versions[::-1]), CHANNELS),
    ],
)
def test_what_is_no_part_of_the_plan_does_not_count(
    same: Callable[[], tuple[MonthEvaluation, Channels]],
) -> None:
    """Neither how it was read nor the secret addresses, nor the order in which a map is written."""
    evaluation, channels = same()
    assert plan_digest(evaluation, channels, RiskAlert(details_base_url=BASE_URL)) == PLAN


def test_values_cannot_run_into_each_other() -> None:
    """What looks alike when it is written one after the other is told apart; any text is taken."""
    digests = {
        plan_digest(with_alert(**changes), CHANNELS, RiskAlert(details_base_url=BASE_URL))
        for changes in (
            {"account_id": "a", "account_name": "bc"},
            {"account_id": "ab", "account_name": "c"},
            {"account_id": 'a","b', "account_name": "c"},
            {"account_id": "a\n", "account_name": "c\u2028\ud800"},
            {"account_owner": None},
            {"account_owner": "null"},
        )
    }
    # An alert without an owner is the plan itself.
    assert len(digests) == 6
    assert PLAN in digests
