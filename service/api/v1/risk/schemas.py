"""What /api/v1 takes and answers about companies and predictions."""

from datetime import datetime
from typing import Annotated, Final, Literal, Self

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, Strict

from service.api.examples import with_example
from service.api.schemas.answer import NextCursor, Out
from service.api.v1.schemas import ChangeIn, Id, In, Name, PageQuery
from service.domain.default_risk.company import CompanyFilter
from service.domain.default_risk.prediction import ModelName, PredictionFilter
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel

Symbol = Annotated[Name, Field(max_length=40)]
Millions = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False, description="In millions.")]
LONGEST = 40


def _value(value: object) -> object:
    """Name what is neither once, and not for each type that it could have been."""
    is_number = isinstance(value, int | float | None) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and len(value) <= LONGEST):
        raise ValueError(f"must be a number, or a text of at most {LONGEST} characters")
    return value


Value = Annotated[
    Annotated[float, Strict()] | Annotated[str, Field(max_length=LONGEST)] | None,
    BeforeValidator(_value),
    Field(description="A number, as text too; null, blank, `NM`, NaN and infinity: missing."),
]
Percent = Annotated[Value, Field(description="In percent; read as a file's cells are.")]
Times = Annotated[Value, Field(description="Times; read as a file's cells are. Negative where EBITDA is.")]
Quarter = Literal["Q1", "Q2", "Q3", "Q4"]
Year = Annotated[int, Field(ge=1900, le=2100)]
QUARTERS: Final[tuple[Quarter | None, ...]] = (None, "Q1", "Q2", "Q3", "Q4")
_ORGANIZATION = Annotated[
    Id | None, Field(description="Unset: that of who asks, or else the only one of the tenant.")
]


class CompanyIn(In):
    """A new company."""

    model_config = ConfigDict(json_schema_extra=with_example("company_in"))

    symbol: Symbol = Field(description="What no other company of the organisation is called.")
    name: Name
    sector: Name | None = None
    market_cap: Millions | None = None


class AnyCompanyIn(CompanyIn):
    """A new company, and whose it is."""

    organization_id: _ORGANIZATION = None


class CompanyChangeIn(ChangeIn):
    """What to change of a company."""

    model_config = ConfigDict(json_schema_extra=with_example("company_change"))

    symbol: Symbol | None = None
    name: Name | None = None
    sector: Name | None = None
    market_cap: Millions | None = None


class CompanyOut(Out):
    """A company."""

    id: str
    tenant_id: str
    organization_id: str
    symbol: str
    name: str
    sector: str | None
    market_cap: float | None = Field(description="In millions.")
    created_at: datetime
    created_by: str
    updated_at: datetime


class CompaniesOut(Out):
    """A page of companies."""

    companies: list[CompanyOut] = Field(validation_alias=AliasChoices("items", "companies"))
    next_cursor: NextCursor


class CompanyQuery(PageQuery):
    """Which companies to list."""

    symbol: Annotated[str | None, Field(max_length=40)] = None
    sector: Annotated[str | None, Field(max_length=200)] = None
    search: Annotated[
        str | None, Field(max_length=200, description="A part of the symbol or the name, in whatever case.")
    ] = None

    def filter(self, organization_id: str | None) -> CompanyFilter:
        """Return which companies are asked for."""
        return CompanyFilter(
            organization_id=organization_id, symbol=self.symbol, sector=self.sector, search=self.search
        )


class AnyCompanyQuery(CompanyQuery):
    """Which companies to list, of whichever organisation."""

    organization_id: Id | None = None


class CompanyGrantOut(Out):
    """That somebody of the role `user` sees a company."""

    company_id: str
    user_id: str
    email: str
    name: str
    granted_at: datetime
    granted_by: str


class CompanyGrantsOut(Out):
    """A page of those who see a company by a grant."""

    grants: list[CompanyGrantOut] = Field(validation_alias=AliasChoices("items", "grants"))
    next_cursor: NextCursor


class StatementIn(In):
    """A statement of a company: a year's, or twelve months up to the end of a quarter."""

    model_config = ConfigDict(json_schema_extra=with_example("statement"))

    company_symbol: Symbol | None = Field(
        default=None, description="Needed where the path does not say which company it is."
    )
    company_name: Name | None = Field(
        default=None,
        description="Of a company that is not known yet, which is added; else it stays as it is.",
    )
    sector: Name | None = None
    market_cap: Value = Field(default=None, description="In millions.")
    organization_id: _ORGANIZATION = None
    reporting_year: Annotated[Year, Strict()]
    reporting_quarter: Quarter | None = Field(default=None, description="Of quarterly statements only.")
    long_term_debt_to_total_capital: Percent = None
    total_debt_to_ebitda: Times = None
    net_income_margin: Percent = Field(default=None, description="In percent; of annual statements.")
    ebit_to_interest_expense: Times = Field(default=None, description="Times; of annual statements.")
    return_on_assets: Percent = Field(default=None, description="In percent; of annual statements.")
    sga_margin: Percent = Field(default=None, description="In percent; of quarterly statements.")
    return_on_capital: Percent = Field(default=None, description="In percent; of quarterly statements.")

    @property
    def quarter(self) -> int:
        """1 to 4; 0 for an annual statement."""
        return QUARTERS.index(self.reporting_quarter)


class ModelOut(Out):
    """Which model it is by."""

    name: str
    sha256: str
    horizon: str = Field(description="Within which time a default is meant.")
    trained_on: str
    prior: float = Field(description="The share of defaults that it was calibrated for.")

    @classmethod
    def made(cls, model: ModelName, prior: float) -> Self:
        """Return a model with the prior that it was moved to."""
        return cls(
            name=model.name,
            sha256=model.sha256,
            horizon=model.horizon,
            trained_on=model.trained_on,
            prior=prior,
        )


class ActiveModelOut(ModelOut):
    """Which model statements of a kind are scored with."""

    kind: PredictionKind
    activated_at: datetime | None = Field(description="Null: it is the one that comes with the service.")


class ActiveModelsOut(Out):
    """The model of each kind."""

    models: list[ActiveModelOut]


class FlagsOut(Out):
    """What to know of the ratios."""

    clamped: list[str] = Field(
        description="Values that the training data never had; they count as its nearest."
    )
    missing: list[str] = Field(description="They contribute nothing.")


class ScoreOut(Out):
    """What a model says of a statement."""

    prediction_type: PredictionKind
    created_at: datetime
    company_symbol: str | None
    reporting_year: int
    reporting_quarter: Quarter | None
    probability: float | None = Field(description="To four decimals; null where the model abstained.")
    exact_probability: float | None = Field(description="Which the level is by.")
    risk_level: RiskLevel | None
    abstained: str | None = Field(description="Why there is no probability, where there is none.")
    model: ModelOut
    intercept: float = Field(description="The log-odds of the average company.")
    contributions: dict[str, float] = Field(
        description="In log-odds, by ratio; with the intercept they are the log-odds of the probability."
    )
    reasons: list[str] = Field(description="The strongest contributions in words, four at most.")
    remainder: float = Field(description="The sum of all other contributions.")
    flags: FlagsOut
    ratios: dict[str, float | None] = Field(description="As they were read; null: missing.")


class PredictionOut(ScoreOut):
    """A version of a prediction."""

    id: str
    version: int
    is_newest: bool
    organization_id: str
    company_id: str
    company_name: str
    created_by: str


class PredictionsOut(Out):
    """A page of predictions."""

    predictions: list[PredictionOut]
    next_cursor: NextCursor


class PeriodQuery(PageQuery):
    """Which predictions of a company to list."""

    reporting_year: Year | None = None
    reporting_quarter: Quarter | None = None
    risk_level: RiskLevel | None = None
    model: Annotated[str | None, Field(max_length=64, description="The SHA-256 of a model.")] = None

    def filter(
        self,
        kind: PredictionKind | None,
        *,
        company_id: str | None = None,
        company_symbol: str | None = None,
        organization_id: str | None = None,
    ) -> PredictionFilter:
        """Return which predictions are asked for."""
        quarter = self.reporting_quarter
        return PredictionFilter(
            kind=kind,
            organization_id=organization_id,
            company_id=company_id,
            company_symbol=company_symbol,
            reporting_year=self.reporting_year,
            reporting_quarter=None if quarter is None else QUARTERS.index(quarter),
            risk_level=self.risk_level,
            model=self.model,
        )


class CompanyPredictionQuery(PeriodQuery):
    """Which predictions of a company to list, of which kind."""

    kind: PredictionKind | None = None


class PredictionQuery(PeriodQuery):
    """Which predictions to list, of whichever company."""

    organization_id: Id | None = None
    company_id: Id | None = None
    company_symbol: Annotated[str | None, Field(max_length=40)] = None


class VersionQuery(In):
    """Which page of versions."""

    limit: int = Field(default=100, ge=1, le=500)
    cursor: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="`next_cursor` of the page before."
    )
