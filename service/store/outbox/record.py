"""Recording: what a run has evaluated goes into the outbox in one transaction, all or nothing."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import count, islice
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.delivery_status import (
    AmbiguousSends,
    DeliveryStatus,
    Outcome,
    Step,
    check_transition,
    starts_of,
)
from service.domain.evaluation import Checkpoint
from service.domain.replay import Replay, ReplayAction, RoutedAlert, Standing, decide_replay
from service.domain.run import Action, WithdrawnAlert
from service.store.alerts.joining import RecordedRun, join_again, join_occurrences, leave_alerts
from service.store.alerts.recovery import Seen, recover, see_again
from service.store.audit import database_time
from service.store.outbox.message_updates import PayloadOf, note_restated, show_states
from service.store.part import Part, reads, writes
from service.store.rows import alert_columns, reason_of, restated_text, status_of, withdrawn_alert
from service.store.runs.checkpoints import write_checkpoint
from service.store.runs.state import Lease, check_holds, check_running, update_running
from service.store.schema.tables import ALERT, outbox, run_outcomes, run_withdrawals, runs

_STATUS: Final = {Action.SEND: DeliveryStatus.PENDING, Action.FAIL: DeliveryStatus.FAILED}
"""Of the alerts that a run puts into the outbox, or renews there."""
_BATCH: Final = 500
"""Rows per statement: over a network the event loop gets its turn in between."""

_AS_FOUND: Final = (*ALERT, "channel", "status")


class Recording(Part):
    """The way of evaluated alerts into the outbox."""

    @reads
    def standings(self, scope: str, source_uri: str, elsewhere: Sequence[str] = ()) -> dict[str, Standing]:
        """Return what has become of every alert of a scope, by alert id, as seen by a run over a source.

        Those with the ids `elsewhere` are among them in whichever scope they are.
        """
        return _standings(self.connection, self._tenant_id, scope, source_uri, elsewhere)

    @reads
    def withdrawable(self, alert_ids: Sequence[str]) -> list[WithdrawnAlert]:
        """Return alerts as a run would withdraw them, by subject; nothing is changed."""
        columns = (outbox.c.id.label("alert_id"), *(outbox.c[name] for name in _AS_FOUND))
        query = sa.select(*columns).where(outbox.c.tenant_id == self._tenant_id)
        found = [
            withdrawn_alert(dict(row))
            for batch in _batches(iter(alert_ids))
            for row in self.connection.execute(query.where(outbox.c.id.in_(batch))).mappings()
        ]
        return sorted(found, key=lambda item: item.alert.subject)

    @writes
    def record(
        self,
        lease: Lease,
        routed: Sequence[RoutedAlert],
        *,
        ambiguous: AmbiguousSends,
        restatable: Collection[str],
        withdraws: bool = True,
        seen: Seen | None = None,
        payload_of: PayloadOf | None = None,
        now: datetime,
        checkpoint: Checkpoint | None = None,
    ) -> list[ReplayAction]:
        """Put a run's alerts into the outbox, all or none, and return what is done about each.

        `pending` and `failed` alerts of the scope take on this evaluation; those last recorded from the same
        source that it no longer has are withdrawn, if it `withdraws` any; `sent` and (under `hold`) `unknown`
        ones keep what they were sent with. Open alerts whose subjects were `seen` not to alert end, or are
        marked. What is sent about an alert that somebody works on, or that is over, says so in the words of
        `payload_of`. The `checkpoint` is left with them. Raises OvertakenError when the lease is lost.
        """
        tenant_id = self._tenant_id
        began = time.monotonic()
        check_holds(self.connection, tenant_id, lease)
        scope = lease.scope if withdraws else None
        standings = _standings_of_run(self.connection, tenant_id, lease.run_id, scope, routed)
        replay = _replay(standings, routed, ambiguous, restatable)
        lasting = None if seen is None else seen.lasting
        until, ended = (None, ()) if lasting is None else (lasting.until, lasting.ended)
        run = _recorded(self.connection, tenant_id, lease, until)
        if withdraws:  # else nothing of it was ever withdrawn, and it has its alerts since it was put there
            join_again(self.connection, run, standings.keys() & set(replay.alert_ids), ended)
        # What a digest stands for is in it, and nothing that anybody works on.
        new = [item for item in routed if item.alert.alert_id not in standings and not item.in_digest]
        joined = join_occurrences(self.connection, run, new)
        of_outbox = {"tenant_id": tenant_id, "scope": lease.scope, "updated_at": now}
        _write(self.connection, {"run_id": lease.run_id}, of_outbox, routed, replay, standings, joined)
        if payload_of is not None:  # what this run itself finds over is noted, as whatever comes later
            show_states(self.connection, tenant_id, lease.run_id, routed, payload_of, run.at)
        note_restated(self.connection, tenant_id, routed, replay, standings, run.at)
        _write_withdrawals(self.connection, tenant_id, lease.run_id, replay)
        leave_alerts(self.connection, run, _withdraw(self.connection, tenant_id, replay, now))
        if seen is not None:
            see_again(self.connection, run, seen.period, set(replay.alert_ids))
            recover(self.connection, run, seen)
        if checkpoint is not None:
            write_checkpoint(self.connection, tenant_id, lease.name, lease.run_id, checkpoint, now)
        # No heartbeat can come in between: what this took must not count as silence.
        took = time.monotonic() - began
        recorded = {"expires_at": runs.c.expires_at + took, "recorded_at": now}
        update_running(self.connection, tenant_id, lease.run_id, recorded)
        return replay.actions

    @writes
    def record_dry_run(
        self,
        run_id: str,
        scope: str,
        routed: Sequence[RoutedAlert],
        *,
        ambiguous: AmbiguousSends,
        restatable: Collection[str],
    ) -> list[ReplayAction]:
        """Store what a dry run would do about each alert; the outbox is only looked at.

        Raises OvertakenError when the run was closed meanwhile.
        """
        tenant_id = self._tenant_id
        check_running(self.connection, tenant_id, run_id)
        standings = _standings_of_run(self.connection, tenant_id, run_id, scope, routed)
        replay = _replay(standings, routed, ambiguous, restatable)
        _write(self.connection, {"run_id": run_id}, None, routed, replay, standings, {})
        _write_withdrawals(self.connection, tenant_id, run_id, replay)
        return replay.actions


def _recorded(connection: sa.Connection, tenant_id: str, lease: Lease, until: str | None) -> RecordedRun:
    of_run = runs.c.run_id == lease.run_id, runs.c.tenant_id == tenant_id
    return RecordedRun(
        tenant_id=tenant_id,
        run_id=lease.run_id,
        scope=lease.scope,
        source_uri=connection.execute(sa.select(runs.c.source_uri).where(*of_run)).scalar_one(),
        at=database_time(connection),
        until=until,
    )


def _standings_of_run(
    connection: sa.Connection, tenant_id: str, run_id: str, scope: str | None, routed: Sequence[RoutedAlert]
) -> dict[str, Standing]:
    """Return what has become of all alerts of a scope, or of those given alone where there is none."""
    of_run = runs.c.run_id == run_id, runs.c.tenant_id == tenant_id
    run = connection.execute(sa.select(runs.c.source_uri, runs.c.lease).where(*of_run)).one()
    # Under a lease of more than a scope, another scope may have the same alert.
    is_whole = run.lease is None and scope is not None
    elsewhere = () if is_whole else [item.alert.alert_id for item in routed]
    return _standings(connection, tenant_id, scope, run.source_uri, elsewhere)


def _standings(
    connection: sa.Connection,
    tenant_id: str,
    scope: str | None,
    source_uri: str,
    elsewhere: Sequence[str],
) -> dict[str, Standing]:
    table = outbox.c
    query = (
        sa.select(
            table.id,
            table.status,
            table.error,
            table.channel,
            sa.cast(table.facts, sa.Text),  # parsed below, which takes half as long as by the column's type
            runs.c.source_uri == source_uri,
        )
        .outerjoin_from(outbox, runs, runs.c.run_id == table.run_id)
        .where(table.tenant_id == tenant_id)
    )
    of_scope = () if scope is None else (query.where(table.scope == scope),)
    of_ids = (query.where(table.id.in_(batch)) for batch in _batches(iter(elsewhere)))
    return {
        alert_id: Standing(
            status=status_of(status),
            reason=reason_of(error, status),
            channel=channel,
            facts=orjson.loads(facts),
            same_source=bool(same_source),
        )
        for part in (*of_scope, *of_ids)
        for alert_id, status, error, channel, facts, same_source in connection.execute(part)
    }


def _replay(
    standings: Mapping[str, Standing],
    routed: Sequence[RoutedAlert],
    ambiguous: AmbiguousSends,
    restatable: Collection[str],
) -> Replay:
    alerts = ((item.alert, item.channel) for item in routed)
    in_digest = {item.alert.alert_id for item in routed if item.in_digest}
    return decide_replay(standings, alerts, ambiguous, restatable=restatable, in_digest=in_digest)


def _write(
    connection: sa.Connection,
    of_run: dict[str, Any],
    of_outbox: dict[str, Any] | None,
    routed: Sequence[RoutedAlert],
    replay: Replay,
    standings: Mapping[str, Standing],
    joined: Mapping[str, str],
) -> None:
    """Write down what a run does about each of its alerts, and with `of_outbox` what is sent or fails.

    `joined` is the alert of each new occurrence. Of the outbox the other alerts keep the row that they have.
    """
    sends = Outcome.WOULD_SEND if of_outbox is None else Outcome.PENDING
    renew = outbox.update().where(outbox.c.id == sa.bindparam("b_id"))
    alerts = zip(count(), routed, replay.alert_ids, replay.actions, strict=False)
    for batch in _batches(alerts):
        outcomes: list[dict[str, Any]] = []
        new: list[dict[str, Any]] = []
        known: list[dict[str, Any]] = []
        for position, item, alert_id, taken in batch:
            alert = alert_columns(item.alert)
            outcomes.append(alert | of_run | _outcome(item, taken, alert_id, position, sends))
            if of_outbox is None or taken.action not in _STATUS:
                continue
            row = alert | of_run | _outgoing(item, taken, position, of_outbox)
            if alert_id in standings:
                check_transition(Step.RECORD, standings[alert_id].status, row["status"])
                known.append(row | {"b_id": alert_id})
            else:
                new.append(
                    row | {"id": alert_id, "created_at": row["updated_at"], "alert_id": joined[alert_id]}
                )
        for statement, rows in ((run_outcomes.insert(), outcomes), (outbox.insert(), new), (renew, known)):
            if rows:
                connection.execute(statement, rows)


def _outcome(
    item: RoutedAlert, taken: ReplayAction, alert_id: str, position: int, sends: Outcome
) -> dict[str, Any]:
    return {
        "position": position,
        "alert_id": alert_id,
        "channel": taken.channel,
        "outcome": taken.outcome(sends=sends),
        "reason": taken.reason,
        "error_message": item.why_unrouted if taken.action is Action.FAIL else None,
        "restated": restated_text(taken.restated),
    }


def _outgoing(
    item: RoutedAlert, taken: ReplayAction, position: int, of_outbox: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        **of_outbox,
        "channel": item.channel,
        "position": position,
        "payload": item.payload if taken.action is Action.SEND else None,
        "status": _STATUS[taken.action],
        "error": taken.reason,
        "error_message": item.why_unrouted,
        "http_status": None,
        "retries": 0,
        "rate_limits": 0,
        "not_before": None,
    }


def _withdraw(
    connection: sa.Connection, tenant_id: str, replay: Replay, now: datetime
) -> dict[str, sa.Row[Any]]:
    """Take back what never left and is no alert any more; of what did, or may have, it can only be said.

    Returns the rows that were taken back, by the alert that each is an occurrence of.
    """
    takes_back = (
        outbox.update()
        .where(outbox.c.tenant_id == tenant_id, outbox.c.status.in_(starts_of(Step.WITHDRAW)))
        .values(status=DeliveryStatus.WITHDRAWN, error=None, error_message=None, updated_at=now)
        .returning(outbox.c.id, outbox.c.alert_id, outbox.c.period)
    )
    return {
        row.alert_id: row
        for batch in _batches(iter(replay.withdrawn))
        for row in connection.execute(takes_back.where(outbox.c.id.in_(batch)))
    }


def _write_withdrawals(connection: sa.Connection, tenant_id: str, run_id: str, replay: Replay) -> None:
    """Write down which earlier alerts a run no longer has, and count them and the restated ones."""
    # As they stand before anything is taken back.
    as_found = sa.select(sa.literal(run_id), outbox.c.id, *(outbox.c[name] for name in _AS_FOUND)).where(
        outbox.c.tenant_id == tenant_id
    )
    for batch in _batches(iter(replay.withdrawn)):
        connection.execute(
            run_withdrawals.insert().from_select(
                ["run_id", "alert_id", *_AS_FOUND], as_found.where(outbox.c.id.in_(batch))
            )
        )
    counts = {"withdrawn": len(replay.withdrawn), "restated": replay.restated}
    update_running(connection, tenant_id, run_id, counts)


def _batches(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while batch := list(islice(rows, _BATCH)):
        yield batch
