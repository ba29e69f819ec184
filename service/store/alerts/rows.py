"""Rows of alerts to nouns, and how an alert is found by any of its ids."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from service.domain.alert import AlertRecord
from service.domain.delivery_status import Outcome
from service.domain.errors import AlertNotFoundError
from service.domain.lifecycle.alert_status import AlertStatus, Severity
from service.domain.lifecycle.managed_alert import ManagedAlert
from service.store.outbox.doubts import alert_records
from service.store.part import cleaned
from service.store.schema.alert_tables import alerts
from service.store.schema.tables import outbox, run_outcomes

_PLAIN = tuple(field.name for field in fields(ManagedAlert) if field.name not in {"alert_id", "occurrences"})
_DASHED = 36
_ROUTE_LENGTH = 600
"""PostgreSQL indexes no row of more than 2,704 bytes, and a character can have four."""
_MOST_DIGESTS = 100
"""So many rules of a file can have been in a flood at once."""


def plain_id(alert_id: str) -> str:
    """Return an id as it is stored: 32 hex digits, without the dashes of a UUID."""
    text = cleaned(alert_id)
    return text.replace("-", "").lower() if len(text) == _DASHED else text


def known_route(route: str | None) -> str | None:
    """Return as much of a route as alerts are found by; what is sent has all of it."""
    return route and route[:_ROUTE_LENGTH]


def alert_row(connection: sa.Connection, is_seen: sa.ColumnElement[bool], alert_id: str) -> dict[str, Any]:
    """Return the row of an alert by its id, or by that of an occurrence; raises AlertNotFoundError.

    Of an occurrence that was only listed in a digest it is the digest's alert.
    """
    plain = plain_id(alert_id)
    row = _row(connection, is_seen, plain)
    if row is None and (digest_id := _digest_of(connection, plain)) is not None:
        row = _row(connection, is_seen, digest_id)
    if row is None:
        raise AlertNotFoundError(f"no alert has the id {alert_id[:60]!r}")
    return row


def _row(connection: sa.Connection, is_seen: sa.ColumnElement[bool], plain: str) -> dict[str, Any] | None:
    of_occurrence = sa.select(outbox.c.alert_id).where(outbox.c.id == plain).scalar_subquery()
    query = sa.select(alerts).where(is_seen, sa.or_(alerts.c.id == plain, alerts.c.id == of_occurrence))
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _digest_of(connection: sa.Connection, plain: str) -> str | None:
    """Return the id of the newest digest that an alert was listed in; its facts name it, but in old runs."""
    query = (
        sa.select(run_outcomes.c.run_id, run_outcomes.c.facts)
        # As the index has it: a parameter in its place would not be looked up there.
        .where(run_outcomes.c.alert_id == plain, sa.text(f"outcome = '{Outcome.IN_DIGEST}'"))
        .order_by(run_outcomes.c.run_id.desc())
        .limit(1)
    )
    listed = connection.execute(query).first()
    if listed is None:
        return None
    return listed.facts.get("digest") or _digest_of_rule(connection, listed.run_id, listed.facts.get("rule"))


def _digest_of_rule(connection: sa.Connection, run_id: str, rule: str) -> str | None:
    """Return the id of a rule's digest of a run: digests come first in it, one for each rule at most."""
    outcomes = run_outcomes.c
    query = (
        sa.select(outcomes.alert_id, outcomes.facts)
        .where(outcomes.run_id == run_id, outcomes.position < _MOST_DIGESTS)
        .order_by(outcomes.position)
    )
    ids = (
        str(alert_id)
        for alert_id, facts in connection.execute(query)
        if "alerts_in_digest" in facts and facts["rule"] == rule
    )
    return next(ids, None)


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
