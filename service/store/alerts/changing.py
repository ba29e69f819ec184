"""Changing: each change of an alert is one conditional UPDATE, with its event in the same transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.lifecycle.alert_status import AlertStatus, EventKind
from service.store.outbox.message_updates import note_changes
from service.store.schema.alert_tables import alert_events, alerts

SYSTEM: Final = "system"
"""Who did what a run does of itself."""
_GUARDS: Final = ("id", "tenant_id", "status", "version")
_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where changes come from: who made them, and in which request or run."""

    by: str
    given_by: str | None = None
    request_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens to an alert."""

    row: Mapping[str, Any]
    """Of `alerts`, as it is; of one that is new, as it shall be."""
    event: EventKind
    values: Mapping[str, Any] = field(default_factory=dict)
    """The columns that change; of one that is new, none."""
    note: str | None = None
    reason: str | None = None
    occurrence_id: str | None = None
    period: str | None = None
    is_new: bool = False


def write_changes(
    connection: sa.Connection, changes: Sequence[Change], origin: Origin, *, at: datetime
) -> None:
    """Write changes of as many alerts, each as it was just read in this transaction, with their events.

    The caller is the only writer. Had an alert been changed all the same, the number of its event would be
    there already, and nothing of the transaction would stay.
    """
    for start in range(0, len(changes), _BATCH):
        batch = changes[start : start + _BATCH]
        if new := [_new_row(each, at) for each in batch if each.is_new]:
            connection.execute(alerts.insert(), new)
        for names in dict.fromkeys(tuple(each.values) for each in batch if not each.is_new):
            known = [each for each in batch if not each.is_new and tuple(each.values) == names]
            connection.execute(_update(names), [_update_row(each, at) for each in known])
        connection.execute(alert_events.insert(), [_event_row(each, origin, at) for each in batch])
        _let_messages_show(connection, batch, at)


def write_change(connection: sa.Connection, change: Change, origin: Origin, *, at: datetime) -> bool:
    """Write one change and its event; False, with nothing written, where somebody else was first."""
    updated = connection.execute(_update(tuple(change.values)), _update_row(change, at))
    if updated.rowcount == 0:
        return False
    connection.execute(alert_events.insert().values(_event_row(change, origin, at)))
    _let_messages_show(connection, [change], at)
    return True


def _let_messages_show(connection: sa.Connection, changes: Sequence[Change], at: datetime) -> None:
    """Let the messages of alerts whose status has changed show it."""
    changed = [each.row for each in changes if "status" in each.values]
    if changed:
        note_changes(connection, changed[0]["tenant_id"], [row["id"] for row in changed], at)


def _update(names: Sequence[str]) -> sa.Update:
    guards = (alerts.c[name] == sa.bindparam(f"old_{name}") for name in _GUARDS)
    values: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in (*names, "version", "updated_at")}
    return alerts.update().where(*guards).values(values)


def _update_row(change: Change, at: datetime) -> dict[str, Any]:
    values = {**change.values, "version": change.row["version"] + 1, "updated_at": at}
    return {f"old_{name}": change.row[name] for name in _GUARDS} | {
        f"new_{name}": value for name, value in values.items()
    }


def _new_row(change: Change, at: datetime) -> dict[str, Any]:
    empty = dict.fromkeys(alerts.c.keys())
    return empty | {"version": 1, "reopened": 0, "created_at": at, "updated_at": at} | dict(change.row)


def _event_row(change: Change, origin: Origin, at: datetime) -> dict[str, Any]:
    before = None if change.is_new else change.row["status"]
    return {
        "alert_id": change.row["id"],
        "number": 1 if change.is_new else change.row["version"] + 1,
        "tenant_id": change.row["tenant_id"],
        "at": at,
        "event": change.event,
        "from_status": before,
        "to_status": change.values.get("status", change.row["status"]),
        "by": origin.by,
        "given_by": origin.given_by,
        "note": change.note,
        "reason": change.reason,
        "occurrence_id": change.occurrence_id,
        "period": change.period,
        "request_id": origin.request_id,
        "run_id": origin.run_id,
    }


def triggered_again(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of an alert that is open again: what became of it before stands in its events."""
    cleared = (
        *("acknowledged_at", "acknowledged_by", "acknowledgment_note"),
        *("resolved_at", "resolved_by", "resolution_note", "resolution_reason"),
    )
    return dict.fromkeys(cleared) | {"status": AlertStatus.TRIGGERED, "reopened": row["reopened"] + 1}


def resolved(by: str, at: datetime | None, reason: str, note: str | None = None) -> dict[str, Any]:
    """Return the columns of an alert that is over."""
    return {
        "status": AlertStatus.RESOLVED,
        "resolved_at": at,
        "resolved_by": by,
        "resolution_note": note,
        "resolution_reason": reason,
    }
