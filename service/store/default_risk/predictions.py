"""Predictions, as they are written down: a change is a new version, and the old ones stay."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa

from service.domain.default_risk.company import Company
from service.domain.default_risk.errors import PredictionExistsError, PredictionNotFoundError
from service.domain.default_risk.prediction import (
    Assessment,
    Assessments,
    ModelName,
    ModelRecord,
    NewPrediction,
    NewPredictions,
    Prediction,
    PredictionFilter,
)
from service.domain.default_risk.prediction_kind import PredictionKind
from service.domain.default_risk.risk_level import RiskLevel
from service.domain.run import Page
from service.store.audit import database_time, record_audit
from service.store.default_risk.batch import (
    assessment_columns,
    ensure_model,
    model_values,
    record_predictions,
    taken_periods,
)
from service.store.default_risk.companies import COMPANY_FIELDS
from service.store.default_risk.high_risk import follow_levels
from service.store.default_risk.seen import CompanyPart
from service.store.part import cleaned, matching, reads, writes
from service.store.schema.access_tables import organizations
from service.store.schema.default_risk_tables import companies, predictions, risk_models

_MODEL: Final = tuple(risk_models.c[name] for name in ("sha256", "kind", "name", "horizon", "trained_on"))
_PREDICTION: Final = tuple(column for column in predictions.columns if column.name != "deleted_at")
_JOINED: Final = (
    sa.select(*_PREDICTION, *COMPANY_FIELDS, *_MODEL)
    .select_from(predictions)
    .join(companies, companies.c.id == predictions.c.company_id)
    .join(risk_models, risk_models.c.sha256 == predictions.c.model_sha256)
    .set_label_style(sa.LABEL_STYLE_TABLENAME_PLUS_COL)
)
"""Predictions with their companies and models, each under its table's name."""
_IS_CURRENT: Final = sa.and_(predictions.c.is_newest, predictions.c.deleted_at.is_(None))


class Predictions(CompanyPart):
    """Predictions of the companies that are seen: the newest version of each, unless all are asked for."""

    @writes
    def record(
        self,
        new: NewPrediction,
        *,
        model: ModelRecord,
        organization_id: str | None = None,
        company_id: str | None = None,
    ) -> Prediction:
        """Write a prediction down, of the company with this id, or else with its symbol in the organisation.

        A company that is not known there is added. Raises CompanyNotFoundError, OrganizationNotFoundError,
        OrganizationNeededError, and PredictionExistsError where there is one of this company, period and
        model.
        """
        if company_id is None:
            place = self._organization(organization_id)
        else:
            company = self._company(company_id)
            place, new = self._place_of(company), replace(new, company_symbol=company["symbol"])
        label = cleaned(self._actor.principal.label)
        at = database_time(self.connection)
        (written,) = record_predictions(
            self.connection, NewPredictions.of(new), model=model, organization=place, by=label, at=at
        )
        if written is None:
            raise self._exists(place, new, model)
        self._audit("prediction.create", written, place["tenant_id"])
        return _made(self._row(written, self._sees_companies()))

    @reads
    def get(self, prediction_id: str, kind: PredictionKind) -> Prediction:
        """Return the newest version of a prediction; raises PredictionNotFoundError."""
        return _made(self._row(prediction_id, self._sees_companies(), kind))

    @reads
    def list(self, wanted: PredictionFilter, *, limit: int, cursor: str | None = None) -> Page[Prediction]:
        """Return predictions, newest first; `cursor` is the id of the last one seen."""
        query = _JOINED.where(self._sees_companies(), _IS_CURRENT, *_conditions(wanted))
        return self._page_by(predictions.c.id, query, _made, limit=limit, cursor=cursor, newest_first=True)

    @reads
    def versions(
        self, prediction_id: str, kind: PredictionKind, *, limit: int, cursor: int | None = None
    ) -> Page[Prediction]:
        """Return all versions of a prediction, newest first; `cursor` is the version of the last one seen.

        Raises PredictionNotFoundError.
        """
        newest = self._row(prediction_id, self._sees_companies(), kind)
        query = _JOINED.where(predictions.c.id == newest[predictions.c.id])
        by = predictions.c.version
        return self._page_by(by, query, _made, limit=limit, cursor=cursor, newest_first=True)

    @writes
    def replace(self, prediction_id: str, assessment: Assessment, *, model: ModelRecord) -> Prediction:
        """Make a new version of a prediction, by whichever model; its company and period stay.

        Raises PredictionNotFoundError, and PredictionExistsError where another prediction is of that model.
        """
        row = self._row(prediction_id, self._sees_companies(), model.kind)
        old = {column.name: row[column] for column in _PREDICTION}
        period = old["company_id"], old["reporting_year"], old["reporting_quarter"]
        other = taken_periods(self.connection, [period], model).get(period, prediction_id)
        if other != prediction_id:
            raise PredictionExistsError(_is_of_same(other))
        at = database_time(self.connection)
        ensure_model(self.connection, model, at)
        of_it = predictions.c.id == old["id"]
        self.connection.execute(
            predictions.update().where(of_it, predictions.c.is_newest).values(is_newest=False)
        )
        said = assessment_columns(Assessments.of(assessment))
        values = old | model_values(model) | {name: column[0] for name, column in said.items()}
        values |= {"prior": assessment.prior, "intercept": assessment.intercept}
        values |= {"version": old["version"] + 1, "created_at": at}
        values["created_by"] = cleaned(self._actor.principal.label)
        self.connection.execute(predictions.insert().values(values))
        follow_levels(
            self.connection,
            {name: [value] for name, value in values.items()},
            model=model,
            organization={"id": old["organization_id"], "tenant_id": old["tenant_id"]},
            at=at,
        )
        self._audit("prediction.update", old["id"], old["tenant_id"])
        return _made(self._row(old["id"], self._sees_companies()))

    @writes
    def delete(self, prediction_id: str, kind: PredictionKind) -> None:
        """Show a prediction, with all its versions, to nobody any more; raises PredictionNotFoundError.

        In the scope of a user it is one whose first version they made: a new one makes it nobody else's.
        """
        first = predictions.alias()
        may = sa.exists().where(
            first.c.id == predictions.c.id, first.c.version == 1, self._made_by_asker(first)
        )
        row = self._row(prediction_id, sa.and_(may, companies.c.deleted_at.is_(None)), kind)
        newest = predictions.c.id == row[predictions.c.id], predictions.c.is_newest
        at = database_time(self.connection)
        self.connection.execute(predictions.update().where(*newest).values(deleted_at=at))
        self._audit("prediction.delete", prediction_id, row[predictions.c.tenant_id])

    def _row(
        self, prediction_id: str, is_seen: sa.ColumnElement[bool], kind: PredictionKind | None = None
    ) -> sa.RowMapping:
        query = _JOINED.where(is_seen, _IS_CURRENT, predictions.c.id == cleaned(prediction_id))
        if kind is not None:
            query = query.where(predictions.c.kind == str(kind))
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise PredictionNotFoundError(PredictionNotFoundError.example)
        return row

    def _place_of(self, company: Mapping[str, Any]) -> dict[str, Any]:
        """Return the organisation of a company that is seen, whether or not that itself is."""
        query = sa.select(organizations).where(organizations.c.id == company["organization_id"])
        return dict(self.connection.execute(query).mappings().one())

    def _exists(
        self, place: Mapping[str, Any], new: NewPrediction, model: ModelRecord
    ) -> PredictionExistsError:
        query = sa.select(companies.c.id).where(
            companies.c.organization_id == place["id"],
            companies.c.symbol == cleaned(new.company_symbol),
            companies.c.deleted_at.is_(None),
        )
        period = self.connection.execute(query).scalar_one(), new.reporting_year, new.reporting_quarter
        return PredictionExistsError(_is_of_same(taken_periods(self.connection, [period], model)[period]))

    def _audit(self, action: str, prediction_id: str, tenant_id: str) -> None:
        record_audit(self.connection, self._actor, action, prediction_id, tenant_id=tenant_id)


def _is_of_same(prediction_id: str) -> str:
    return f"prediction {prediction_id} is of this company, period and model: PUT changes it"


def _conditions(wanted: PredictionFilter) -> list[sa.ColumnElement[bool]]:
    values = {
        predictions.c.kind: wanted.kind,
        predictions.c.organization_id: wanted.organization_id,
        predictions.c.company_id: wanted.company_id,
        companies.c.symbol: wanted.company_symbol,
        predictions.c.reporting_year: wanted.reporting_year,
        predictions.c.reporting_quarter: wanted.reporting_quarter,
        predictions.c.risk_level: wanted.risk_level,
        predictions.c.model_sha256: wanted.model,
    }
    return matching(values)


def _made(row: sa.RowMapping) -> Prediction:
    def values(columns: tuple[sa.Column[Any], ...]) -> dict[str, Any]:
        return {column.name: row[column] for column in columns}

    given = values(_PREDICTION)
    level = given["risk_level"]
    model = values(_MODEL)
    kind = PredictionKind(given["kind"])
    return Prediction(
        **{
            name: given[name]
            for name in (
                "id",
                "version",
                "is_newest",
                "tenant_id",
                "organization_id",
                "created_at",
                "created_by",
            )
        },
        kind=kind,
        reporting_year=given["reporting_year"],
        reporting_quarter=given["reporting_quarter"],
        company=Company(**values(COMPANY_FIELDS)),
        model=ModelName(**model | {"kind": kind}),
        assessment=Assessment(
            ratios=tuple(given["ratios"]),
            probability=given["probability"],
            risk_level=None if level is None else RiskLevel(level),
            prior=given["prior"],
            intercept=given["intercept"],
            contributions=tuple(given["contributions"]),
            clamped=tuple((given["clamped"] or "").split()),
        ),
    )
