"""Many predictions at once, inside the transaction of whoever has made them."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.default_risk.prediction import Assessments, ModelRecord, NewPredictions
from service.domain.default_risk.risk_level import RiskLevel
from service.store.default_risk.high_risk import follow_levels
from service.store.part import cleaned, cleaned_all
from service.store.schema.default_risk_tables import companies, predictions, risk_models
from service.store.sql import Columns, NamedSql, insert_columns, json_rows, rows_at

_SQL: Final = NamedSql(__name__)
_KNOWN_MODEL: Final = sa.select(risk_models.c.sha256).where(risk_models.c.sha256 == sa.bindparam("sha256"))
_LEVEL_TEXTS: Final = {None: None} | {level: level.value for level in RiskLevel}

Period = tuple[str, int, int]
"""A company's id, a year and a quarter."""


def record_predictions(
    connection: sa.Connection,
    new: NewPredictions,
    *,
    model: ModelRecord,
    organization: Mapping[str, Any],
    by: str,
    at: datetime,
    job_id: str | None = None,
) -> list[str | None]:
    """Write predictions by one model down, with the companies that are not known yet, and return their ids.

    Alerts about high risk follow. None stands for one whose company, period and model there is a prediction
    of already, or earlier in `new`: nothing is written for it. `organization` is the row of the one that all
    companies belong to, and `by` the label of who predicts. Alerts of a job wait for its end. The audit is
    the caller's.
    """
    ensure_model(connection, model, at)
    shared = {
        "tenant_id": organization["tenant_id"],
        "organization_id": organization["id"],
        "created_at": at,
        "created_by": cleaned(by),
    }
    symbols = cleaned_all(new.company_symbol)
    known = _known_companies(connection, symbols, organization)
    ids = known | _add_companies(connection, new, symbols, known, shared)
    periods = [
        *zip([ids[symbol] for symbol in symbols], new.reporting_year, new.reporting_quarter, strict=True)
    ]
    of_known = {*known.values()}
    taken = {*taken_periods(connection, [each for each in periods if each[0] in of_known], model)}
    written: list[str | None] = []
    for mark, period in zip(new_ids(at, len(periods)), periods, strict=True):
        written.append(None if period in taken else mark)
        taken.add(period)
    columns: Columns = {
        "id": written,
        "company_id": [company_id for company_id, _, _ in periods],
        "reporting_year": new.reporting_year,
        "reporting_quarter": new.reporting_quarter,
        **assessment_columns(new.assessments),
    }
    if None in written:
        columns = rows_at(columns, [place for place, mark in enumerate(written) if mark is not None])
    if columns["id"]:
        shared |= {"version": 1, "is_newest": True, **model_values(model)}
        shared |= {"prior": new.assessments.prior, "intercept": new.assessments.intercept}
        insert_columns(connection, predictions, columns, shared)
        follow_levels(connection, columns, model=model, organization=organization, at=at, job_id=job_id)
    return written


def ensure_model(connection: sa.Connection, model: ModelRecord, at: datetime) -> None:
    """Keep a model's file, unless it is there."""
    if connection.scalar(_KNOWN_MODEL, {"sha256": model.sha256}) is None:
        connection.execute(risk_models.insert().values(**asdict(model), added_at=at))


def taken_periods(
    connection: sa.Connection, periods: Sequence[Period], model: ModelRecord
) -> Mapping[Period, str]:
    """Return those of the periods that have a prediction of this model, with its id."""
    if not periods:
        return {}
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


def assessment_columns(said: Assessments) -> Columns:
    """Return the columns that say what was predicted, from which values."""
    return {
        "probability": said.probability,
        "risk_level": [_LEVEL_TEXTS[level] for level in said.risk_level],
        "ratios": said.ratios,
        "contributions": said.contributions,
        "clamped": [" ".join(names) or None for names in said.clamped],
    }


def _known_companies(
    connection: sa.Connection, symbols: Iterable[str], organization: Mapping[str, Any]
) -> dict[str, str]:
    """Return the ids of those companies of an organisation that are known, by symbol."""
    rows = json_rows({"symbol": symbol} for symbol in dict.fromkeys(symbols))
    values = {"rows": rows, "organization_id": organization["id"]}
    return {row.symbol: str(row.id) for row in _SQL.execute(connection, "companies_by_symbol", values)}


def _add_companies(
    connection: sa.Connection,
    new: NewPredictions,
    symbols: Sequence[str],
    known: Mapping[str, str],
    shared: Mapping[str, Any],
) -> dict[str, str]:
    """Add the companies that are not known, as they are first spoken of; returns their ids by symbol."""
    first = {symbol: place for place, symbol in reversed([*enumerate(symbols)]) if symbol not in known}
    missing = [*reversed(first)]
    ids = dict(zip(missing, _company_ids(shared["created_at"], len(missing)), strict=True))
    if missing:
        places = [first[symbol] for symbol in missing]
        columns: Columns = {
            "id": [*ids.values()],
            "symbol": missing,
            "name": cleaned_all([new.company_name[place] or symbols[place] for place in places]),
            "sector": [
                sector or None for sector in cleaned_all([new.sector[place] or "" for place in places])
            ],
            "market_cap": [new.market_cap[place] for place in places],
        }
        insert_columns(connection, companies, columns, {**shared, "updated_at": shared["created_at"]})
    return ids
