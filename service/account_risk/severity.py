"""The severity of an account At Risk: the first rule that it meets, else medium. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from service.domain.lifecycle.alert_status import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class SeverityRule:
    """What an account must have, all of it, to be of a severity."""

    severity: Severity
    min_arr: int | None = None
    """In the currency unit of the source; an unknown ARR never has it."""
    min_months: int | None = None
    """Of consecutive months At Risk."""

    def is_met(self, arr: int | None, months: int) -> bool:
        """Return whether an account has it."""
        has_arr = self.min_arr is None or (arr is not None and arr >= self.min_arr)
        return has_arr and (self.min_months is None or months >= self.min_months)


SEVERITY_RULES: Final = (
    SeverityRule(severity=Severity.CRITICAL, min_arr=100_000, min_months=3),
    SeverityRule(severity=Severity.HIGH, min_arr=100_000),
    SeverityRule(severity=Severity.HIGH, min_months=3),
)


def severity_of(rules: Sequence[SeverityRule], arr: int | None, months: int) -> Severity:
    """Return the severity of an account with this ARR, At Risk for so many months."""
    return next((rule.severity for rule in rules if rule.is_met(arr, months)), Severity.MEDIUM)
