"""Predictions: a statement of a company is scored, and what was said is kept."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

from fastapi import Path, Query
from fastapi.exceptions import RequestValidationError

from service.api.examples import with_example
from service.api.identity.caller import Caller
from service.api.routes.router import Routes
from service.api.v1.risk.companies import CompanyId, Deleter, Reader, Writer, delete_own
from service.api.v1.risk.schemas import (
    QUARTERS,
    CompanyPredictionQuery,
    FlagsOut,
    ModelOut,
    PeriodQuery,
    PredictionOut,
    PredictionQuery,
    PredictionsOut,
    ScoreOut,
    StatementIn,
    VersionQuery,
)
from service.default_risk.errors import BadRatiosError
from service.domain.default_risk.prediction import (
    Assessment,
    ModelName,
    NewPrediction,
    Prediction,
    PredictionFilter,
)
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.run import Page
from service.telemetry.prediction_events import Predicted

if TYPE_CHECKING:
    from service.default_risk.predictor import Predictor

router = Routes("predictions", prefix="/api/v1")

Kind = Annotated[PredictionKind, Path(description="Of which statements.")]
PredictionId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("prediction_id"))]

_ERRORS = (
    *("company_not_found", "organization_not_found", "organization_needed"),
    *("prediction_exists", "model_unusable"),
)


@router.declare("POST /predictions/{kind}/score", "Score a statement", "model_unusable", gives="score")
async def score(caller: Writer, kind: Kind, body: StatementIn) -> ScoreOut:
    """Say what the model says of a statement, and keep nothing of it."""
    predictor = await caller.app.predictor()
    said = _assessed(predictor, kind, body)
    return ScoreOut(
        **_said(predictor, kind, said, predictor.record(kind)),
        company_symbol=body.company_symbol,
        reporting_year=body.reporting_year,
        reporting_quarter=body.reporting_quarter,
        created_at=caller.app.clock.now(),
    )


@router.declare(
    "POST /predictions/{kind}",
    "Predict a default",
    *_ERRORS,
    gives="prediction",
    status=HTTPStatus.CREATED,
)
async def predict(caller: Writer, kind: Kind, body: StatementIn) -> PredictionOut:
    """Score a statement and keep it, with its model; a company that is not known yet is added.

    Of one company, period and model there is one prediction: PUT makes a new version of it.
    """
    if body.company_symbol is None:
        _reject(company_symbol="names the company, where the path does not")
    return await _made(caller, kind, body)


@router.declare(
    "POST /companies/{company_id}/predictions/{kind}",
    "Predict a company's default",
    *_ERRORS,
    gives="prediction",
    status=HTTPStatus.CREATED,
)
async def predict_of(caller: Writer, company_id: CompanyId, kind: Kind, body: StatementIn) -> PredictionOut:
    """Score a statement of this company and keep it, with its model."""
    company = await caller.app.store.default_risk.companies.get(company_id)
    _check_company(body, company.symbol)
    return await _made(caller, kind, body, company_id=company_id)


@router.declare(
    "GET /predictions/{kind}", "List predictions", "company_not_found", "bad_cursor", gives="predictions"
)
async def list_predictions(
    caller: Reader, kind: Kind, query: Annotated[PredictionQuery, Query()]
) -> PredictionsOut:
    """List the newest versions of the predictions that the caller may see, newest first."""
    wanted = query.filter(
        kind,
        company_id=query.company_id,
        company_symbol=query.company_symbol,
        organization_id=query.organization_id,
    )
    return await _listed(caller, wanted, query)


@router.declare(
    "GET /companies/{company_id}/predictions",
    "List a company's predictions",
    "bad_cursor",
    gives="predictions",
)
async def list_predictions_of(
    caller: Reader, company_id: CompanyId, query: Annotated[CompanyPredictionQuery, Query()]
) -> PredictionsOut:
    """List the newest versions of what was predicted of a company, newest first."""
    await caller.app.store.default_risk.companies.get(company_id)
    return await _listed(caller, query.filter(query.kind, company_id=company_id), query)


@router.declare(
    "GET /companies/{company_id}/predictions/{kind}",
    "List a company's predictions of a kind",
    "bad_cursor",
    gives="predictions",
)
async def list_kind_of(
    caller: Reader, company_id: CompanyId, kind: Kind, query: Annotated[PeriodQuery, Query()]
) -> PredictionsOut:
    """List the newest versions of what was predicted of a company from such statements, newest first."""
    await caller.app.store.default_risk.companies.get(company_id)
    return await _listed(caller, query.filter(kind, company_id=company_id), query)


@router.declare("GET /predictions/{kind}/{prediction_id}", "Show a prediction", gives="prediction")
async def get_prediction(caller: Reader, kind: Kind, prediction_id: PredictionId) -> PredictionOut:
    """Show the newest version of a prediction."""
    found = await caller.app.store.default_risk.predictions.get(prediction_id, kind)
    return _out(await caller.app.predictor(), found)


@router.declare(
    "GET /predictions/{kind}/{prediction_id}/versions",
    "List the versions of a prediction",
    gives="predictions",
)
async def list_versions(
    caller: Reader, kind: Kind, prediction_id: PredictionId, query: Annotated[VersionQuery, Query()]
) -> PredictionsOut:
    """List all versions of a prediction, newest first, each as it was said."""
    found = await caller.app.store.default_risk.predictions.versions(
        prediction_id, kind, limit=query.limit, cursor=query.cursor
    )
    return await _page(caller, found)


@router.declare(
    "PUT /predictions/{kind}/{prediction_id}",
    "Predict anew",
    "prediction_exists",
    "model_unusable",
    gives="prediction",
)
async def predict_anew(
    caller: Writer, kind: Kind, prediction_id: PredictionId, body: StatementIn
) -> PredictionOut:
    """Make a new version of a prediction from another statement of its period, by the model of today."""
    predictions = caller.app.store.default_risk.predictions
    found = await predictions.get(prediction_id, kind)
    _check_company(body, found.company.symbol)
    if (body.reporting_year, body.quarter) != (found.reporting_year, found.reporting_quarter):
        _reject(reporting_year="the period of a prediction stays: predict for another one instead")
    predictor = await caller.app.predictor()
    said = _assessed(predictor, kind, body)
    made = await predictions.replace(prediction_id, said, model=predictor.record(kind))
    _emit(caller, made)
    return _out(predictor, made)


@router.declare("DELETE /predictions/{kind}/{prediction_id}", "Delete a prediction", gives="nothing")
async def delete_prediction(caller: Deleter, kind: Kind, prediction_id: PredictionId) -> None:
    """Show a prediction, with all its versions, to nobody any more.

    An `org_member` deletes what is their own.
    """
    await delete_own(
        caller,
        lambda store: store.predictions.delete(prediction_id, kind),
        lambda store: store.predictions.get(prediction_id, kind),
        refused=("prediction.delete", prediction_id),
    )


def _assessed(predictor: "Predictor", kind: PredictionKind, body: StatementIn) -> Assessment:
    """Score a statement; raises RequestValidationError, which names every field that is wrong."""
    problems = {}
    is_quarterly = kind is PredictionKind.QUARTERLY
    if is_quarterly != bool(body.quarter):
        problems["reporting_quarter"] = f"{'needed' if is_quarterly else 'not'} of {kind} statements"
    given = body.model_dump()
    ratios = {table.ratio.name: given[table.ratio.name] for table in predictor.model(kind).ratios}
    for name in sorted(predictor.ratios - ratios.keys()):
        if given[name] is not None:
            problems[name] = f"is no ratio of {kind} statements"
    try:
        predictor.market_cap(body.market_cap)
    except BadRatiosError as bad:
        problems |= bad.problems
    try:
        said = predictor.assess(kind, ratios)
    except BadRatiosError as bad:
        _reject(**problems, **bad.problems)
    if problems:
        _reject(**problems)
    return said


def _check_company(body: StatementIn, symbol: str) -> None:
    if body.company_symbol not in {None, symbol}:
        _reject(company_symbol="another company than the path is about")


def _reject(**problems: str) -> NoReturn:
    """Raise RequestValidationError: fields of the body, and why each is wrong."""
    raise RequestValidationError(
        [{"type": "value_error", "loc": ("body", name), "msg": problem} for name, problem in problems.items()]
    )


async def _made(
    caller: Caller, kind: PredictionKind, body: StatementIn, company_id: str | None = None
) -> PredictionOut:
    predictor = await caller.app.predictor()
    said = _assessed(predictor, kind, body)
    made = await caller.app.store.default_risk.predictions.record(
        NewPrediction(
            company_symbol=body.company_symbol or "",
            company_name=body.company_name,
            sector=body.sector,
            market_cap=predictor.market_cap(body.market_cap),
            reporting_year=body.reporting_year,
            reporting_quarter=body.quarter,
            assessment=said,
        ),
        model=predictor.record(kind),
        organization_id=body.organization_id,
        company_id=company_id,
    )
    _emit(caller, made)
    return _out(predictor, made)


def _emit(caller: Caller, made: Prediction) -> None:
    level = made.assessment.risk_level
    event = Predicted(prediction_id=made.id, version=made.version, kind=made.kind, risk_level=level)
    caller.app.events.emit(event)


async def _listed(caller: Caller, wanted: PredictionFilter, query: PeriodQuery) -> PredictionsOut:
    found = await caller.app.store.default_risk.predictions.list(
        wanted, limit=query.limit, cursor=query.cursor
    )
    return await _page(caller, found)


async def _page(caller: Caller, found: Page[Prediction]) -> PredictionsOut:
    predictor = await caller.app.predictor()
    return PredictionsOut(
        predictions=[_out(predictor, each) for each in found.items], next_cursor=found.next_cursor
    )


def _out(predictor: "Predictor", made: Prediction) -> PredictionOut:
    company = made.company
    return PredictionOut(
        **_said(predictor, made.kind, made.assessment, made.model),
        id=made.id,
        version=made.version,
        is_newest=made.is_newest,
        organization_id=made.organization_id,
        company_id=company.id,
        company_symbol=company.symbol,
        company_name=company.name,
        reporting_year=made.reporting_year,
        reporting_quarter=QUARTERS[made.reporting_quarter],
        created_at=made.created_at,
        created_by=made.created_by,
    )


def _said(predictor: "Predictor", kind: PredictionKind, said: Assessment, model: ModelName) -> dict[str, Any]:
    """Return what a model says of a statement, by the names that answers have for it."""
    explained = predictor.explain(kind, said)
    exact = said.probability
    return {
        "prediction_type": kind,
        "probability": None if exact is None else round(exact, 4),
        "exact_probability": exact,
        "risk_level": said.risk_level,
        "abstained": explained.abstained,
        "model": ModelOut.made(model, said.prior),
        "intercept": said.intercept,
        "contributions": explained.contributions,
        "reasons": explained.reasons,
        "remainder": explained.remainder,
        "flags": FlagsOut(clamped=list(said.clamped), missing=list(explained.missing)),
        "ratios": explained.ratios,
    }
