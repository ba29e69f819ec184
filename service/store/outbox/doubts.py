"""Doubts: what a person sees of an alert, and how it is settled whether Slack has it."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.alert import AlertRecord, SettledDoubt
from service.domain.delivery_status import DeliveryStatus, Outcome, SettleAs, Step, starts_of
from service.domain.errors import AlertNotFoundError, NotInDoubtError, RunNotFoundError
from service.store.audit import record_audit
from service.store.part import Part, cleaned, writes
from service.store.rows import alert_of, reason_of, status_of
from service.store.schema.alert_tables import message_updates
from service.store.schema.tables import doubt_settlements, outbox, run_outcomes, runs

_STATUS: Final = {SettleAs.SENT: DeliveryStatus.SENT, SettleAs.RESEND: DeliveryStatus.PENDING}


class Doubts(Part):
    """The alerts in doubt, as people settle them."""

    @writes
    def settle(
        self,
        alert_id: str,
        settle_as: SettleAs,
        *,
        by: str,
        given_by: str | None = None,
        note: str | None,
        now: datetime,
    ) -> tuple[AlertRecord, bool]:
        """Settle an alert in doubt; return what is known of it now, and whether this changed anything.

        It did not where the same claim of it was settled the same way before: a repeated request is harmless.
        Raises AlertNotFoundError, and NotInDoubtError for any other alert that is not `unknown`.
        """
        changed = self._settle(alert_id, settle_as, by=by, given_by=given_by, note=note, now=now)
        record = alert_record(self.connection, self._sees(outbox), alert_id)
        if not changed and not _stands(self.connection, alert_id, settle_as):
            raise NotInDoubtError(f"the alert is not in doubt: it is {record.status}")
        return record, changed

    @writes
    def settle_run(
        self, run_id: str, settle_as: SettleAs, *, by: str, note: str | None, now: datetime
    ) -> list[AlertRecord]:
        """Settle all that a run reported as in doubt and that still is, and return it in the run's order.

        Raises RunNotFoundError.
        """
        known_run = sa.select(runs.c.run_id).where(
            runs.c.run_id == cleaned(run_id), runs.c.tenant_id == self._tenant_id
        )
        in_doubt = (
            sa.select(run_outcomes.c.alert_id)
            .join(outbox, outbox.c.id == run_outcomes.c.alert_id)
            .where(
                run_outcomes.c.run_id == cleaned(run_id),
                # Pending: the run is still at work, and has this alert's answer already.
                run_outcomes.c.outcome.in_([Outcome.UNKNOWN, Outcome.PENDING]),
                outbox.c.status == DeliveryStatus.UNKNOWN,
            )
            .order_by(run_outcomes.c.position)
        )
        if self.connection.scalar(known_run) is None:
            raise RunNotFoundError(f"no run has the id {run_id[:60]!r}")
        settled = list(self.connection.scalars(in_doubt))
        for alert_id in settled:
            self._settle(alert_id, settle_as, by=by, given_by=None, note=note, now=now)
        return [alert_record(self.connection, self._sees(outbox), alert_id) for alert_id in settled]

    def _settle(
        self,
        alert_id: str,
        settle_as: SettleAs,
        *,
        by: str,
        given_by: str | None,
        note: str | None,
        now: datetime,
        claim: int | None = None,
        place: tuple[str, str] | None = None,
    ) -> bool:
        """Take an alert out of `unknown` and keep who did; False where it is not in doubt.

        With `claim` only where that is its last one. `place` is the channel's id and the timestamp in Slack.
        """
        table = outbox.c
        where = {} if place is None else dict(zip(("slack_channel", "slack_ts"), place, strict=True))
        settled = self.connection.execute(
            outbox.update()
            .where(
                table.tenant_id == self._tenant_id,
                table.id == cleaned(alert_id),
                table.status.in_(starts_of(Step.SETTLE_DOUBT)),
                *(() if claim is None else (table.claims == claim,)),
            )
            .values(
                **where,
                status=_STATUS[settle_as],
                error=None,
                error_message=None,
                # If Slack has it, then since it was posted.
                sent_at=table.claimed_at if settle_as is SettleAs.SENT else None,
                updated_at=now,
            )
            .returning(table.id, table.claims, table.run_id)
        ).one_or_none()
        if settled is None:
            return False
        self.connection.execute(
            doubt_settlements.insert().values(
                alert_id=settled.id,
                claim=settled.claims,
                run_id=settled.run_id,
                settled_as=settle_as,
                settled_by=cleaned(by),
                given_by=given_by and cleaned(given_by),
                settled_at=now,
                note=note and cleaned(note),
            )
        )
        record_audit(self.connection, self._actor, "alert.settle", settled.id, tenant_id=self._tenant_id)
        return True


def _stands(connection: sa.Connection, alert_id: str, settle_as: SettleAs) -> bool:
    """Return whether the alert's last claim was settled so."""
    settled = (
        sa.select(doubt_settlements.c.settled_as)
        .join(
            outbox,
            sa.and_(
                outbox.c.id == doubt_settlements.c.alert_id, outbox.c.claims == doubt_settlements.c.claim
            ),
        )
        .where(doubt_settlements.c.alert_id == cleaned(alert_id))
    )
    return connection.scalar(settled) == settle_as


def alert_record(connection: sa.Connection, is_seen: sa.ColumnElement[bool], alert_id: str) -> AlertRecord:
    """Return all that is known of an alert over all runs; raises AlertNotFoundError."""
    found = alert_records(connection, sa.and_(is_seen, outbox.c.id == cleaned(alert_id)))
    if not found:
        raise AlertNotFoundError(f"no alert has the id {alert_id[:60]!r}")
    return found[0][1]


def alert_records(
    connection: sa.Connection, condition: sa.ColumnElement[bool]
) -> list[tuple[str | None, AlertRecord]]:
    """Return the rows of the outbox that meet a condition, by period, each with the alert that it is of."""
    shown = message_updates.c
    query = (
        sa.select(outbox, shown.shown_at, shown.error.label("shown_error"))
        .outerjoin(message_updates, shown.occurrence_id == outbox.c.id)
        .where(condition)
        .order_by(outbox.c.period, outbox.c.id)
    )
    rows = [dict(row) for row in connection.execute(query).mappings()]
    settling = (
        sa.select(doubt_settlements)
        .join(outbox, outbox.c.id == doubt_settlements.c.alert_id)
        .where(condition)
        .order_by(doubt_settlements.c.claim)
    )
    settled: dict[str, list[SettledDoubt]] = defaultdict(list)
    for each in connection.execute(settling) if rows else ():
        if each.settled_as in set(SettleAs):
            settled[each.alert_id].append(_settled(each))
    return [(row["alert_id"], _record(row, tuple(settled[row["id"]]))) for row in rows]


def _record(row: Mapping[str, Any], settled: tuple[SettledDoubt, ...]) -> AlertRecord:
    return AlertRecord(
        alert=alert_of(row, row["id"]),
        run_id=row["run_id"],
        channel=row["channel"],
        status=status_of(row["status"]),
        reason=reason_of(row["error"], row["status"]),
        error_message=row["error_message"],
        http_status=row["http_status"],
        claimed_at=row["claimed_at"],
        sent_at=row["sent_at"],
        updated_at=row["updated_at"],
        settled=settled,
        slack_channel=row["slack_channel"],
        slack_ts=row["slack_ts"],
        slack_updated_at=row["shown_at"],
        slack_update_error=reason_of(row["shown_error"], row["status"]),
    )


def _settled(settlement: sa.Row[Any]) -> SettledDoubt:
    return SettledDoubt(
        settled_as=SettleAs(settlement.settled_as),
        by=settlement.settled_by,
        given_by=settlement.given_by,
        at=settlement.settled_at,
        note=settlement.note,
        run_id=settlement.run_id,
        claim=settlement.claim,
    )
