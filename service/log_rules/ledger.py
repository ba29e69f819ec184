"""The ledger of a log: what became of its rows, and of the rows that each rule matched. Pure."""

from dataclasses import asdict, dataclass, field
from typing import Any

from service.domain.ledger import balance


@dataclass(slots=True, kw_only=True)
class RuleRows:
    """What became of the rows that one rule matched, in the order of the checks."""

    matched: int = 0
    time_null: int = 0
    time_unparsable: int = 0
    time_out_of_range: int = 0
    outside_period: int = 0
    late: int = 0
    """Older than the period, and not there when an earlier run read its own."""
    largest_lateness_s: float = 0.0
    """How much older the oldest of them is, in seconds."""
    duplicates: int = 0
    counted: int = 0
    episodes: int = 0
    continued: int = 0
    """Episodes that began in an earlier run."""
    alerts: int = 0
    """Episodes that began in this run."""

    def check(self, rule: str) -> None:
        """Raise LedgerImbalanceError unless they add up."""
        unusable = self.time_null + self.time_unparsable + self.time_out_of_range
        used = self.outside_period + self.late + self.duplicates + self.counted
        balance(f"matched of {rule}", self.matched, unusable, used)
        balance(f"episodes of {rule}", self.episodes, self.continued, self.alerts)


@dataclass(slots=True, kw_only=True)
class LogRows:
    """What became of all rows."""

    rows_in_source: int = 0
    malformed: int = 0
    """Too few or too many columns."""
    unmatched: int = 0
    matched: int = 0
    """By one rule at least."""
    rules: dict[str, RuleRows] = field(default_factory=dict)
    reminders: int = 0
    """Alerts that an episode lasts."""
    digests: int = 0
    """Alerts that stand for very many others."""

    @property
    def alerts(self) -> int:
        """Episodes that began in this run, over all rules, with reminders and digests."""
        return sum(rows.alerts for rows in self.rules.values()) + self.reminders + self.digests

    def check(self) -> None:
        """Raise LedgerImbalanceError unless the rows add up."""
        balance("rows_in_source", self.rows_in_source, self.malformed, self.unmatched, self.matched)
        for name, rows in self.rules.items():
            rows.check(name)

    def values(self) -> dict[str, Any]:
        """Return the counts as plain values for JSON."""
        duplicates = sum(rows.duplicates for rows in self.rules.values())
        totals = {"alerts": self.alerts, "rows_scanned": self.rows_in_source, "duplicates": duplicates}
        return asdict(self) | totals
