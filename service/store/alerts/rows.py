"""Rows of alerts to nouns, and how an alert is found by any of its ids."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from service.domain.alert import AlertRecord
from service.domain.errors import AlertNotFoundError
from service.domain.lifecycle.alert_status import AlertStatus, Severity
from service.domain.lifecycle.managed_alert import ManagedAlert
from service.store.outbox.doubts import alert_records
from service.store.part import cleaned
from service.store.schema.alert_tables import alerts
from service.store.schema.tables import outbox

_PLAIN = tuple(field.name for field in fields(ManagedAlert) if field.name not in {"alert_id", "occurrences"})
_DASHED = 36


def plain_id(alert_id: str) -> str:
    """Return an id as it is stored: 32 hex digits, without the dashes of a UUID."""
    text = cleaned(alert_id)
    return text.replace("-", "").lower() if len(text) == _DASHED else text


def alert_row(connection: sa.Connection, is_seen: sa.ColumnElement[bool], alert_id: str) -> dict[str, Any]:
    """Return the row of an alert by its id, or by that of an occurrence; raises AlertNotFoundError."""
    plain = plain_id(alert_id)
    of_occurrence = sa.select(outbox.c.alert_id).where(outbox.c.id == plain).scalar_subquery()
    query = sa.select(alerts).where(is_seen, sa.or_(alerts.c.id == plain, alerts.c.id == of_occurrence))
    row = connection.execute(query).mappings().first()
    if row is None:
        raise AlertNotFoundError(f"no alert has the id {alert_id[:60]!r}")
    return dict(row)


def managed_alerts(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[ManagedAlert]:
    """Return alerts with their occurrences, in the order of the rows."""
    ids = [row["id"] for row in rows]
    occurrences: dict[str, list[AlertRecord]] = {each: [] for each in ids}
    for alert_id, record in alert_records(connection, outbox.c.alert_id.in_(ids)):
        occurrences[str(alert_id)].append(record)
    return [_managed(row, tuple(occurrences[row["id"]])) for row in rows]


def _managed(row: Mapping[str, Any], occurrences: tuple[AlertRecord, ...]) -> ManagedAlert:
    values = {name: row[name] for name in _PLAIN}
    values |= {"status": AlertStatus(row["status"]), "severity": Severity(row["severity"])}
    return ManagedAlert(alert_id=row["id"], occurrences=occurrences, **values)
