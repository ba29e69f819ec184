"""The severity of an account At Risk."""

import pytest

from service.account_risk.severity import SEVERITY_RULES, SeverityRule, severity_of
from service.domain.lifecycle.alert_status import Severity


@pytest.mark.parametrize(
    ("arr", "months", "expected"),
    [
        (100_000, 3, "critical"),
        (100_000, 2, "high"),
        (99_999, 3, "high"),
        (99_999, 2, "medium"),
        (None, 3, "high"),
        (None, 1, "medium"),
        (-1, 1, "medium"),
    ],
)
def test_both_are_critical_and_either_is_high(arr: int | None, months: int, expected: str) -> None:
    """ARR of 100,000 and three months At Risk; an unknown ARR is not a high one."""
    assert severity_of(SEVERITY_RULES, arr, months) is Severity(expected)


def test_the_first_rule_that_is_met_counts() -> None:
    """A rule without conditions is met by every account; without one it is medium."""
    rules = (SeverityRule(severity=Severity.HIGH, min_arr=5), SeverityRule(severity=Severity.LOW))
    assert [severity_of(rules, arr, 1) for arr in (5, 4, None)] == ["high", "low", "low"]
    assert severity_of((), 10**9, 99) is Severity.MEDIUM
