"""Many predictions at once, inside the transaction of whoever has made them."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.default_risk.prediction import Assessment, ModelRecord, NewPrediction
from service.store.default_risk.high_risk import follow_levels
from service.store.part import cleaned
from service.store.schema.default_risk_tables import companies, predictions, risk_models
from service.store.sql import NamedSql, insert_rows, json_rows

_SQL: Final = NamedSql(__name__)

Period = tuple[str, int, int]
"""A company's id, a year and a quarter."""


def record_predictions(
    connection: sa.Connection,
    new: Sequence[NewPrediction],
    *,
    model: ModelRecord,
    organization: Mapping[str, Any],
    by: str,
    at: datetime,
) -> list[str | None]:
    """Write predictions by one model down, with the companies that are not known yet, and return their ids.

    Alerts about high risk follow. None stands for one whose company, period and model there is a prediction
    of already, or earlier in `new`: nothing is written for it. `organization` is the row of the one that all
    companies belong to, and `by` the label of who predicts. The audit is the caller's.
    """
    ensure_model(connection, model, at)
    ids = _companies(connection, new, organization, by=cleaned(by), at=at)
    periods = [
        (ids[cleaned(each.company_symbol)], each.reporting_year, each.reporting_quarter) for each in new
    ]
    taken = set(taken_periods(connection, periods, model))
    marks = new_ids(at, len(new))
    shared = {
        "version": 1,
        "is_newest": True,
        "tenant_id": organization["tenant_id"],
        "organization_id": organization["id"],
        **model_values(model),
        "created_at": at,
        "created_by": cleaned(by),
    }
    rows = []
    written: list[str | None] = []
    for mark, period, each in zip(marks, periods, new, strict=True):
        if period in taken:
            written.append(None)
            continue
        taken.add(period)
        written.append(mark)
        rows.append({"id": mark, **shared, **period_values(period), **assessment_values(each.assessment)})
    if rows:
        insert_rows(connection, predictions, rows)
        follow_levels(connection, rows, model=model, organization_id=organization["id"], at=at)
    return written


def ensure_model(connection: sa.Connection, model: ModelRecord, at: datetime) -> None:
    """Keep a model's file, unless it is there."""
    known = sa.select(risk_models.c.sha256).where(risk_models.c.sha256 == model.sha256)
    if connection.scalar(known) is None:
        connection.execute(risk_models.insert().values(**asdict(model), added_at=at))


def taken_periods(
    connection: sa.Connection, periods: Iterable[Period], model: ModelRecord
) -> Mapping[Period, str]:
    """Return those of the periods that have a prediction of this model, with its id."""
    rows = ({"company_id": company, "year": year, "quarter": quarter} for company, year, quarter in periods)
    values = {"rows": json_rows(rows), **model_values(model)}
    found = _SQL.execute(connection, "taken_periods", values)
    return {(row.company_id, row.reporting_year, row.reporting_quarter): row.id for row in found}


def new_ids(at: datetime, count: int) -> list[str]:
    """Return ids that sort after all earlier ones, in this order."""
    begin = f"{int(at.timestamp() * 1e6):016x}{secrets.token_hex(4)}"
    return [f"{begin}{place:08x}" for place in range(count)]


def _company_ids(at: datetime, count: int) -> list[str]:
    """Return UUIDs of version 7, in this order: indexes are appended to, which takes half as long."""
    moment, random = f"{int(at.timestamp() * 1000):012x}", secrets.token_hex(8)
    ends = f"{random[:3]}-{random[3:11]}"
    return [
        f"{moment[:8]}-{moment[8:]}-7{place >> 12 & 0xFFF:03x}-8{ends}{place & 0xFFF:04x}"
        for place in range(count)
    ]


def model_values(model: ModelRecord) -> dict[str, Any]:
    """Return the columns that say by which model a prediction is."""
    return {"kind": str(model.kind), "model_sha256": model.sha256}


def period_values(period: Period) -> dict[str, Any]:
    """Return the columns that say what a prediction is about."""
    return dict(zip(("company_id", "reporting_year", "reporting_quarter"), period, strict=True))


def assessment_values(assessment: Assessment) -> dict[str, Any]:
    """Return the columns that say what was predicted, from which values."""
    return {
        "prior": assessment.prior,
        "probability": assessment.probability,
        "risk_level": assessment.risk_level,
        "intercept": assessment.intercept,
        "ratios": assessment.ratios,
        "contributions": assessment.contributions,
        "clamped": " ".join(assessment.clamped) or None,
    }


def _companies(
    connection: sa.Connection,
    new: Sequence[NewPrediction],
    organization: Mapping[str, Any],
    *,
    by: str,
    at: datetime,
) -> dict[str, str]:
    """Return the ids of the companies by symbol; who is not known is added, who is stays as they are."""
    said = {cleaned(each.company_symbol): each for each in reversed(new)}
    rows = json_rows({"symbol": symbol} for symbol in said)
    values = {"rows": rows, "organization_id": organization["id"]}
    ids = {row.symbol: str(row.id) for row in _SQL.execute(connection, "companies_by_symbol", values)}
    new_symbols = [symbol for symbol in reversed(said) if symbol not in ids]
    missing = dict(zip(new_symbols, _company_ids(at, len(new_symbols)), strict=True))
    if missing:
        added = [
            {
                "id": company_id,
                "tenant_id": organization["tenant_id"],
                "organization_id": organization["id"],
                "symbol": symbol,
                "name": cleaned(said[symbol].company_name or symbol),
                "sector": cleaned(said[symbol].sector or "") or None,
                "market_cap": said[symbol].market_cap,
                "created_at": at,
                "created_by": by,
                "updated_at": at,
            }
            for symbol, company_id in missing.items()
        ]
        insert_rows(connection, companies, added)
    return ids | missing
