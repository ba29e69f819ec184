"""The ledger: every run accounts for every row and every alert, and the sums must hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from service.domain.delivery_status import Outcome
from service.domain.errors import LedgerImbalanceError


class RowLedger(Protocol):
    """What became of the rows of a source, from rows to alerts; each kind of run counts its own way."""

    @property
    def alerts(self) -> int:
        """The last of its sums: how many alerts there are."""

    def check(self) -> None:
        """Raise LedgerImbalanceError unless the rows add up."""

    def values(self) -> dict[str, Any]:
        """Return the counts as plain values for JSON, `alerts` among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The whole ledger of a run: its rows, and what was done about each of its alerts."""

    rows: Mapping[str, Any]
    """The row ledger's values."""
    outcomes: Mapping[Outcome, int]

    def check(self) -> None:
        """Raise LedgerImbalanceError unless every alert has an outcome."""
        if self.outcomes.get(Outcome.PENDING):
            raise LedgerImbalanceError(f"{self.outcomes[Outcome.PENDING]} alerts have no outcome")
        balance("alerts", self.rows["alerts"], *self.outcomes.values())

    def values(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        outcomes = {str(outcome): count for outcome, count in self.outcomes.items()}
        return {"rows": dict(self.rows), "outcomes": outcomes}


def balance(name: str, whole: int, *parts: int) -> None:
    """Raise LedgerImbalanceError unless the parts add up to the whole."""
    if whole != sum(parts):
        raise LedgerImbalanceError(f"{name} is {whole}, but its parts {parts} add up to {sum(parts)}")
