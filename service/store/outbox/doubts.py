"""Doubts: what a person sees of an alert, and how a person settles whether Slack has it."""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.alert_record import AlertRecord, SettledDoubt
from service.domain.delivery_status import DeliveryStatus, Outcome, SettleAs, Step, starts_of
from service.domain.errors import AlertNotFoundError, NotInDoubtError, RunNotFoundError
from service.domain.month import Month
from service.store.database.database import Database
from service.store.rows import alert_of, reason_of, status_of
from service.store.schema.tables import alert_outcomes, decisions, run_outcomes, runs

_STATUS: Final = {SettleAs.SENT: DeliveryStatus.SENT, SettleAs.RESEND: DeliveryStatus.PENDING}


class Doubts:
    """The alerts in doubt, as people settle them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def settle(
        self, alert_id: str, settle_as: SettleAs, *, by: str, note: str | None, now: datetime
    ) -> tuple[AlertRecord, bool]:
        """Settle an alert in doubt; return what is known of it now, and whether this changed anything.

        It did not where the same claim of it was settled the same way before: a repeated request is harmless.
        Raises AlertNotFoundError, and NotInDoubtError for any other alert that is not `unknown`.
        """

        def work(connection: sa.Connection) -> tuple[AlertRecord, bool]:
            changed = _settle(connection, alert_id, settle_as, by=by, note=note, now=now)
            record = alert_record(connection, alert_id)
            if not changed and not _stands(connection, alert_id, settle_as):
                raise NotInDoubtError(f"the alert is not in doubt: it is {record.status}")
            return record, changed

        return await self._database.write(work)

    async def settle_run(
        self, run_id: str, settle_as: SettleAs, *, by: str, note: str | None, now: datetime
    ) -> list[AlertRecord]:
        """Settle all that a run reported as in doubt and that still is, and return it in the run's order.

        Raises RunNotFoundError.
        """
        known_run = sa.select(runs.c.run_id).where(runs.c.run_id == _clean(run_id))
        in_doubt = (
            sa.select(run_outcomes.c.alert_id)
            .join(alert_outcomes, alert_outcomes.c.id == run_outcomes.c.alert_id)
            .where(
                run_outcomes.c.run_id == _clean(run_id),
                # Pending: the run is still at work, and has this alert's answer already.
                run_outcomes.c.outcome.in_([Outcome.UNKNOWN, Outcome.PENDING]),
                alert_outcomes.c.status == DeliveryStatus.UNKNOWN,
            )
            .order_by(run_outcomes.c.position)
        )

        def work(connection: sa.Connection) -> list[AlertRecord]:
            if connection.scalar(known_run) is None:
                raise RunNotFoundError(f"no run has the id {run_id[:60]!r}")
            settled = list(connection.scalars(in_doubt))
            for alert_id in settled:
                _settle(connection, alert_id, settle_as, by=by, note=note, now=now)
            return [alert_record(connection, alert_id) for alert_id in settled]

        return await self._database.write(work)


def _settle(
    connection: sa.Connection, alert_id: str, settle_as: SettleAs, *, by: str, note: str | None, now: datetime
) -> bool:
    """Take an alert out of `unknown` and keep who did; False where it is not in doubt."""
    table = alert_outcomes.c
    settled = connection.execute(
        alert_outcomes.update()
        .where(table.id == _clean(alert_id), table.status.in_(starts_of(Step.SETTLE_DOUBT)))
        .values(
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
    connection.execute(
        decisions.insert().values(
            alert_id=settled.id,
            claim=settled.claims,
            run_id=settled.run_id,
            decision=settle_as,
            decided_by=_clean(by),
            decided_at=now,
            note=note and _clean(note),
        )
    )
    return True


def _stands(connection: sa.Connection, alert_id: str, settle_as: SettleAs) -> bool:
    """Tell whether the alert's last claim was settled so."""
    decided = (
        sa.select(decisions.c.decision)
        .join(
            alert_outcomes,
            sa.and_(
                alert_outcomes.c.id == decisions.c.alert_id, alert_outcomes.c.claims == decisions.c.claim
            ),
        )
        .where(decisions.c.alert_id == _clean(alert_id))
    )
    return connection.scalar(decided) == settle_as


def alert_record(connection: sa.Connection, alert_id: str) -> AlertRecord:
    """Return all that is known of an alert over all runs; raises AlertNotFoundError."""
    query = sa.select(alert_outcomes).where(alert_outcomes.c.id == _clean(alert_id))
    found = connection.execute(query).mappings().one_or_none()
    if found is None:
        raise AlertNotFoundError(f"no alert has the id {alert_id[:60]!r}")
    row: dict[str, Any] = dict(found)
    of_alert = sa.select(decisions).where(decisions.c.alert_id == row["id"]).order_by(decisions.c.claim)
    return AlertRecord(
        alert=alert_of(row, Month.parse(row["month"])),
        run_id=row["run_id"],
        channel=row["channel"],
        status=status_of(row["status"]),
        reason=reason_of(row["error"], row["status"]),
        error_message=row["error_message"],
        http_status=row["http_status"],
        claimed_at=row["claimed_at"],
        sent_at=row["sent_at"],
        updated_at=row["updated_at"],
        settled=tuple(
            SettledDoubt(
                settled_as=SettleAs(decision.decision),
                by=decision.decided_by,
                at=decision.decided_at,
                note=decision.note,
                run_id=decision.run_id,
                claim=decision.claim,
            )
            for decision in connection.execute(of_alert)
            if decision.decision in set(SettleAs)
        ),
    )


def _clean(text: str) -> str:
    # No id holds NUL, and PostgreSQL takes it neither in a question nor in a note.
    return text.replace("\0", "\ufffd")
