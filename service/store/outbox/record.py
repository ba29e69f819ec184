"""Recording: what a run has evaluated goes into the outbox in one transaction, all or nothing."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from service.domain.alert import RISK_ALERT
from service.domain.delivery_status import (
    AmbiguousSends,
    DeliveryStatus,
    Outcome,
    Step,
    check_transition,
    starts_of,
)
from service.domain.month import Month
from service.domain.replay import Decision, Replay, RoutedAlert, Standing, decide_replay
from service.domain.run import Action, WithdrawnAlert
from service.store.database.database import Database
from service.store.rows import facts_row, reason_of, restated_text, status_of, withdrawn_alert
from service.store.runs.state import MonthLease, check_holds, check_running
from service.store.schema.tables import FACTS, alert_outcomes, run_outcomes, run_withdrawals, runs

_STATUS: Final = {Action.SEND: DeliveryStatus.PENDING, Action.FAIL: DeliveryStatus.FAILED}
"""Of the alerts that a run puts into the outbox, or renews there."""
_BATCH: Final = 500
"""Rows per statement: over a network the event loop gets its turn in between."""

_Open = tuple[str, int, RoutedAlert, Decision]
"""An alert that has to go out, or cannot: its id, its place in the order of sending, and what is known."""


class Recording:
    """The way of evaluated alerts into the outbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def standings(self, month: Month, source_uri: str) -> dict[str, Standing]:
        """Return what has become of every alert of a month, by alert id, as seen by a run over a source."""
        return await self._database.read(lambda connection: _standings(connection, month, source_uri))

    async def withdrawable(self, month: Month, alert_ids: Sequence[str]) -> list[WithdrawnAlert]:
        """Return alerts of a month as a run would withdraw them, by account id; nothing is changed."""
        columns = ("account_id", "channel", "status", *FACTS)
        query = sa.select(*(alert_outcomes.c[name] for name in columns))

        def work(connection: sa.Connection) -> list[WithdrawnAlert]:
            found = [
                withdrawn_alert(dict(row), month)
                for batch in _batches(iter(alert_ids))
                for row in connection.execute(query.where(alert_outcomes.c.id.in_(batch))).mappings()
            ]
            return sorted(found, key=lambda item: item.alert.account_id)

        return await self._database.read(work)

    async def record(
        self, lease: MonthLease, routed: Sequence[RoutedAlert], *, ambiguous: AmbiguousSends, now: datetime
    ) -> list[Decision]:
        """Put a run's alerts into the outbox, all or none, and return what is done about each.

        `pending` and `failed` alerts of the month take on this evaluation; those last recorded from the same
        source that it no longer has are withdrawn; `sent` and (under `hold`) `unknown` ones keep what they
        were sent with. Raises OvertakenError when the lease is lost.
        """

        def work(connection: sa.Connection) -> list[Decision]:
            began = time.monotonic()
            check_holds(connection, lease)
            standings, replay = _replay(connection, lease.run_id, lease.month, routed, ambiguous)
            decisions = replay.decisions
            _upsert(connection, lease, routed, decisions, standings, now)
            _insert_run_outcomes(connection, lease.run_id, routed, replay, sends=Outcome.PENDING)
            _withdraw(connection, replay, now)
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
            _, replay = _replay(connection, run_id, month, routed, ambiguous)
            _insert_run_outcomes(connection, run_id, routed, replay, sends=Outcome.WOULD_SEND)
            return replay.decisions

        return await self._database.write(work)


def unknown_region_text(region: str | None) -> str:
    """Say why an alert has no channel."""
    if region is None or not region.strip():
        return "the account has no region"
    return f"no channel is configured for region {region[:100]!r}"


def _standings(connection: sa.Connection, month: Month, source_uri: str) -> dict[str, Standing]:
    table = alert_outcomes.c
    query = (
        sa.select(
            table.id,
            table.status,
            table.error,
            table.channel,
            table.arr,
            table.duration_months,
            runs.c.source_uri == source_uri,
        )
        .outerjoin_from(alert_outcomes, runs, runs.c.run_id == table.run_id)
        .where(table.month == str(month))
    )
    return {
        alert_id: Standing(
            status=status_of(status),
            reason=reason_of(error, status),
            channel=channel,
            arr=arr,
            duration_months=duration_months,
            same_source=bool(same_source),
        )
        for alert_id, status, error, channel, arr, duration_months, same_source in connection.execute(query)
    }


def _replay(
    connection: sa.Connection,
    run_id: str,
    month: Month,
    routed: Sequence[RoutedAlert],
    ambiguous: AmbiguousSends,
) -> tuple[dict[str, Standing], Replay]:
    source_uri: str = connection.execute(
        sa.select(runs.c.source_uri).where(runs.c.run_id == run_id)
    ).scalar_one()
    standings = _standings(connection, month, source_uri)
    return standings, decide_replay(standings, ((item.alert, item.channel) for item in routed), ambiguous)


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
        if decision.action in _STATUS:
            one = (item.alert.alert_id, position, item, decision)
            (known if one[0] in standings else fresh).append(one)
    new = {"month": str(lease.month), "alert_type": RISK_ALERT, "created_at": now}
    new_rows = (
        {**_outbox_row(one, lease.run_id, now), **new, "id": one[0], "account_id": one[2].alert.account_id}
        for one in fresh
    )
    for batch in _batches(new_rows):
        connection.execute(alert_outcomes.insert(), batch)
    for one in known:
        check_transition(Step.RECORD, standings[one[0]].status, _STATUS[one[3].action])
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
        "status": _STATUS[decision.action],
        "error": decision.reason,
        "error_message": None if sends else unknown_region_text(item.alert.account_region),
        "http_status": None,
        "retries": 0,
        "rate_limits": 0,
        "not_before": None,
        "updated_at": now,
    }


def _withdraw(connection: sa.Connection, replay: Replay, now: datetime) -> None:
    """Take back what never left and is no alert any more; of what did, or may have, it can only be said."""
    for batch in _batches(iter(replay.withdrawn)):
        connection.execute(
            alert_outcomes.update()
            .where(alert_outcomes.c.id.in_(batch), alert_outcomes.c.status.in_(starts_of(Step.WITHDRAW)))
            .values(status=DeliveryStatus.WITHDRAWN, error=None, error_message=None, updated_at=now)
        )


def _insert_run_outcomes(
    connection: sa.Connection,
    run_id: str,
    routed: Sequence[RoutedAlert],
    replay: Replay,
    *,
    sends: Outcome,
) -> None:
    """Write down what the run does about each of its alerts, and which earlier ones it no longer has."""
    rows = (
        {
            **facts_row(item.alert),
            "run_id": run_id,
            "position": position,
            "alert_id": item.alert.alert_id,
            "account_id": item.alert.account_id,
            "channel": decision.channel,
            "outcome": decision.outcome(sends=sends),
            "reason": decision.reason,
            "error_message": unknown_region_text(item.alert.account_region)
            if decision.action is Action.FAIL
            else None,
            "restated": restated_text(decision.restated),
        }
        for position, (item, decision) in enumerate(zip(routed, replay.decisions, strict=True))
    )
    for batch in _batches(rows):
        connection.execute(run_outcomes.insert(), batch)
    # As they stand before anything is taken back.
    names = ("account_id", "channel", "status", *FACTS)
    as_found = sa.select(sa.literal(run_id), alert_outcomes.c.id, *(alert_outcomes.c[name] for name in names))
    for batch in _batches(iter(replay.withdrawn)):
        connection.execute(
            run_withdrawals.insert().from_select(
                ["run_id", "alert_id", *names], as_found.where(alert_outcomes.c.id.in_(batch))
            )
        )
    connection.execute(
        runs.update()
        .where(runs.c.run_id == run_id)
        .values(withdrawn=len(replay.withdrawn), restated=replay.restated)
    )


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
