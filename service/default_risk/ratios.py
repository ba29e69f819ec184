"""The financial ratios that models read, and which of them an annual and a quarterly model take."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

import numpy as np

from service.domain.default_risk.prediction_kind import PredictionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One financial ratio: its name in files and answers, and what finance knows of it."""

    name: str
    label: str
    """For people."""
    unit: Literal["%", "x"]
    """Percent, or times."""
    riskier: Literal["higher", "lower"]
    """Which values of the model's input mean more risk; a model that contradicts it is not loaded."""
    inverted: bool = False
    """The model reads 1/x. Debt to EBITDA is monotone only so: small debt, much debt, negative EBITDA."""

    def inputs(self, values: Any) -> Any:
        """Return what a model reads of an array of values: themselves, or 1/x, where 1/0 is infinite."""
        if not self.inverted:
            return values
        with np.errstate(divide="ignore", over="ignore"):
            # Without the absolute value a zero with a sign would be an infinite loss.
            return np.divide(1.0, np.where(values == 0, 0.0, values))

    def shown(self, value: float) -> str:
        """Return a value as a person reads it: `-12.3 %`, `4.1 x`."""
        return f"{value:,.1f} {self.unit}"


_ALL: Final = (
    Ratio(
        name="long_term_debt_to_total_capital",
        label="long-term debt to total capital",
        unit="%",
        riskier="higher",
    ),
    Ratio(
        name="total_debt_to_ebitda",
        label="total debt to EBITDA",
        unit="x",
        riskier="lower",
        inverted=True,
    ),
    Ratio(name="net_income_margin", label="net income margin", unit="%", riskier="lower"),
    Ratio(
        name="ebit_to_interest_expense",
        label="EBIT to interest expense",
        unit="x",
        riskier="lower",
    ),
    Ratio(name="return_on_assets", label="return on assets", unit="%", riskier="lower"),
    Ratio(name="sga_margin", label="SG&A margin", unit="%", riskier="higher"),
    Ratio(name="return_on_capital", label="return on capital", unit="%", riskier="lower"),
)
RATIOS: Final[Mapping[str, Ratio]] = MappingProxyType({ratio.name: ratio for ratio in _ALL})

_NAMES: Final[Mapping[PredictionKind, tuple[str, ...]]] = {
    PredictionKind.ANNUAL: (
        "long_term_debt_to_total_capital",
        "total_debt_to_ebitda",
        "net_income_margin",
        "ebit_to_interest_expense",
        "return_on_assets",
    ),
    PredictionKind.QUARTERLY: (
        "total_debt_to_ebitda",
        "sga_margin",
        "long_term_debt_to_total_capital",
        "return_on_capital",
    ),
}
MOST_MISSING: Final[Mapping[PredictionKind, int]] = MappingProxyType(
    {PredictionKind.ANNUAL: 2, PredictionKind.QUARTERLY: 1}
)
"""Where more ratios than these are missing there is no score: it would be about other companies."""


def ratios_of(kind: PredictionKind) -> tuple[Ratio, ...]:
    """Return the ratios of a kind, in the order in which arrays hold them."""
    return tuple(RATIOS[name] for name in _NAMES[kind])
