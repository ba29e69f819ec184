"""Recording: what a run has evaluated goes into the outbox in one transaction, all or nothing."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from service.alert import RISK_ALERT
from service.delivery import AmbiguousSends, DeliveryStatus, Outcome, Reason
from service.month import Month
from service.replay import Decision, RoutedAlert, Standing, decide_action
from service.run_record import Action
from service.store.database import Database
from service.store.rows import facts_row
from service.store.run_verbs import MonthLease, check_holds, check_running
from service.store.schema import alert_outcomes, run_outcomes, runs

_BATCH: Final = 500
"""Rows per statement: over a network the event loop gets its turn in between."""

_Open = tuple[str, int, RoutedAlert, Decision]
"""An alert that has to go out, or cannot: its id, its place in the order of sending, and what is known."""


class RecordVerbs:
    """What can be done with alerts once they are evaluated."""

    _database: Database

    async def standings(self, month: Month) -> dict[str, Standing]:
        """Return what has become of every alert of a month, by alert id; nothing is changed."""
        return await self._database.read(lambda connection: _standings(connection, month))

    async def record_alerts(
        self, lease: MonthLease, routed: Sequence[RoutedAlert], *, ambiguous: AmbiguousSends, now: datetime
    ) -> list[Decision]:
        """Put a run's alerts into the outbox, all or none, and return what is done about each.

        `pending` and `failed` alerts of the month take on this evaluation; those that it no longer has are
        withdrawn; `sent` and (under `hold`) `unknown` ones keep what they were sent with. Raises
        OvertakenError when the lease is lost.
        """

        def work(connection: sa.Connection) -> list[Decision]:
            began = time.monotonic()
            check_holds(connection, lease)
            standings = _standings(connection, lease.month)
            decisions = _decide(standings, routed, ambiguous)
            _upsert(connection, lease, routed, decisions, standings, now)
            _withdraw(connection, standings, routed, now)
            _insert_run_outcomes(connection, lease.run_id, routed, decisions, sends=Outcome.PENDING)
            # No heartbeat can come in between: what this took must not count as silence.
            took = time.monotonic() - began
            of_run = runs.update().where(runs.c.run_id == lease.run_id)
            connection.execute(of_run.values(expires_at=runs.c.expires_at + took, recorded_at=now))
            return decisions

        return await self._database.write(work)

    async def record_dry_run(
        self, run_id: str, month: Month, routed: Sequence[RoutedAlert], *, ambiguous: AmbiguousSends
    ) -> list[Decision]:
        """Store what a dry run would do about each alert; the outbox is only looked at.

        Raises OvertakenError when the run was closed meanwhile.
        """

        def work(connection: sa.Connection) -> list[Decision]:
            check_running(connection, run_id)
            decisions = _decide(_standings(connection, month), routed, ambiguous)
            _insert_run_outcomes(connection, run_id, routed, decisions, sends=Outcome.WOULD_SEND)
            return decisions

        return await self._database.write(work)


def unknown_region_text(region: str | None) -> str:
    """Say why an alert has no channel."""
    if region is None or not region.strip():
        return "the account has no region"
    return f"no channel is configured for region {region[:100]!r}"


def _standings(connection: sa.Connection, month: Month) -> dict[str, Standing]:
    query = sa.select(alert_outcomes.c.id, alert_outcomes.c.status, alert_outcomes.c.error).where(
        alert_outcomes.c.month == str(month)
    )
    return {
        alert_id: Standing(status=DeliveryStatus(status), reason=Reason(error) if error else None)
        for alert_id, status, error in connection.execute(query)
    }


def _decide(
    standings: dict[str, Standing], routed: Sequence[RoutedAlert], ambiguous: AmbiguousSends
) -> list[Decision]:
    return [decide_action(standings.get(item.alert.alert_id), item.channel, ambiguous) for item in routed]


def _upsert(
    connection: sa.Connection,
    lease: MonthLease,
    routed: Sequence[RoutedAlert],
    decisions: Sequence[Decision],
    standings: dict[str, Standing],
    now: datetime,
) -> None:
    """Write the alerts that are sent or fail; the others keep the row that they have."""
    fresh: list[_Open] = []
    known: list[_Open] = []
    for position, (item, decision) in enumerate(zip(routed, decisions, strict=True)):
        if decision.action in {Action.SEND, Action.FAIL}:
            one = (item.alert.alert_id, position, item, decision)
            (known if one[0] in standings else fresh).append(one)
    new = {"month": str(lease.month), "alert_type": RISK_ALERT, "created_at": now}
    new_rows = (
        {**_outbox_row(one, lease.run_id, now), **new, "id": one[0], "account_id": one[2].alert.account_id}
        for one in fresh
    )
    for batch in _batches(new_rows):
        connection.execute(alert_outcomes.insert(), batch)
    renewed_rows = ({**_outbox_row(one, lease.run_id, now), "b_id": one[0]} for one in known)
    renew = alert_outcomes.update().where(alert_outcomes.c.id == sa.bindparam("b_id"))
    for batch in _batches(renewed_rows):
        connection.execute(renew, batch)


def _outbox_row(one: _Open, run_id: str, now: datetime) -> dict[str, Any]:
    _, position, item, decision = one
    sends = decision.action is Action.SEND
    return {
        **facts_row(item.alert),
        "run_id": run_id,
        "channel": item.channel,
        "position": position,
        "payload": item.payload if sends else None,
        "status": DeliveryStatus.PENDING if sends else DeliveryStatus.FAILED,
        "error": decision.reason,
        "error_message": None if sends else unknown_region_text(item.alert.account_region),
        "http_status": None,
        "not_before": None,
        "updated_at": now,
    }


def _withdraw(
    connection: sa.Connection, standings: dict[str, Standing], routed: Sequence[RoutedAlert], now: datetime
) -> None:
    """Take back what never arrived and is no alert any more."""
    evaluated = {item.alert.alert_id for item in routed}
    gone = (
        alert_id
        for alert_id, standing in standings.items()
        if alert_id not in evaluated and standing.status in {DeliveryStatus.PENDING, DeliveryStatus.FAILED}
    )
    for batch in _batches(gone):
        connection.execute(
            alert_outcomes.update()
            .where(alert_outcomes.c.id.in_(batch))
            .values(status=DeliveryStatus.WITHDRAWN, error=None, error_message=None, updated_at=now)
        )


def _insert_run_outcomes(
    connection: sa.Connection,
    run_id: str,
    routed: Sequence[RoutedAlert],
    decisions: Sequence[Decision],
    *,
    sends: Outcome,
) -> None:
    rows = (
        {
            **facts_row(item.alert),
            "run_id": run_id,
            "position": position,
            "alert_id": item.alert.alert_id,
            "account_id": item.alert.account_id,
            "channel": item.channel,
            "outcome": decision.outcome(sends=sends),
            "reason": decision.reason,
            "error_message": unknown_region_text(item.alert.account_region)
            if decision.action is Action.FAIL
            else None,
        }
        for position, (item, decision) in enumerate(zip(routed, decisions, strict=True))
    )
    for batch in _batches(rows):
        connection.execute(run_outcomes.insert(), batch)


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
