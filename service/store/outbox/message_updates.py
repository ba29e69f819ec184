"""Message updates: which messages in Slack are still to show what has become of their alerts, and what of it.

Whatever changes an alert notes it in its own transaction; what a message is to show is looked up when its
turn comes, so that it is what holds by then. Only a message with a known place in Slack can be changed.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa

from service.domain.alert import Fact, RecordedAlert
from service.domain.delivery_status import DeliveryStatus, Reason
from service.domain.errors import OvertakenError
from service.domain.lifecycle.alert_status import AlertStatus
from service.domain.lifecycle.message_state import MessageState
from service.domain.replay import Replay, RoutedAlert, Standing
from service.domain.run import Action, RunStatus
from service.store.outbox.earlier import EarlierMessage, earlier_messages
from service.store.outbox.lane_turns import SharedLane, is_paused, pause_lanes, renew_lease, take_turn_of_all
from service.store.outbox.message_states import STATE, shown_states
from service.store.part import Part, reads, writes
from service.store.rows import alert_of
from service.store.runs.state import Lease
from service.store.schema.alert_tables import IS_DUE, IS_RESTATED, alerts, message_updates
from service.store.schema.tables import ALERT, outbox, runs
from service.store.sql import NamedSql, json_rows

_SQL: Final = NamedSql(__name__)
_DUE, _SHOWN, _FAILED = "due", "shown", "failed"


PayloadOf = Callable[[RoutedAlert, MessageState], str]
"""Puts an alert into words, and what has become of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueUpdate:
    """A message, and what it is to show."""

    alert: RecordedAlert
    """The occurrence as it was sent."""
    facts: Mapping[str, Fact] | None
    """What a later evaluation has in their place; None: the same."""
    state: MessageState
    channel: str
    slack_channel: str
    slack_ts: str
    change: int
    tries: int
    earlier: EarlierMessage | None

    @property
    def now(self) -> RecordedAlert:
        """The occurrence as the data have it by now."""
        return self.alert if self.facts is None else replace(self.alert, facts=self.facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which updates a process can make."""

    types: Collection[str]
    """The types of alerts that it can put into words."""
    since: datetime
    """What changed, and was sent, before is not tried any more."""
    now: datetime
    method: SharedLane
    """The lane of all changes: Slack counts them together, whatever their channel."""


def note_changes(connection: sa.Connection, tenant_id: str, alert_ids: Sequence[str], at: datetime) -> None:
    """Let the messages of alerts show their new status, once they stand in Slack."""
    rows = json_rows({"alert_id": alert_id} for alert_id in alert_ids)
    _SQL.execute(connection, "note_changes", {"rows": rows, "tenant_id": tenant_id, "now": at})


def note_restated(
    connection: sa.Connection,
    tenant_id: str,
    routed: Sequence[RoutedAlert],
    replay: Replay,
    standings: Mapping[str, Standing],
    at: datetime,
) -> None:
    """Let the messages of what was sent show what the same source has in its place by now."""
    shown = sa.select(message_updates.c.occurrence_id, message_updates.c.facts).where(
        message_updates.c.tenant_id == tenant_id, sa.text(IS_RESTATED)
    )
    known = {row.occurrence_id: orjson.loads(row.facts) for row in connection.execute(shown)}
    changed: list[dict[str, Any]] = []
    for item, alert_id, taken in zip(routed, replay.alert_ids, replay.actions, strict=True):
        if taken.action is not Action.SKIP_REPLAY or (taken.restated is None and alert_id not in known):
            continue
        if standings[alert_id].same_source:
            facts = None if taken.restated is None else dict(item.alert.facts)
            if facts != known.get(alert_id):
                text = None if facts is None else orjson.dumps(facts).decode()
                changed.append({"occurrence_id": alert_id, "facts": text})
    if changed:
        values = {"rows": json_rows(changed), "tenant_id": tenant_id, "now": at}
        _SQL.execute(connection, "note_facts", values)


def show_states(
    connection: sa.Connection,
    tenant_id: str,
    run_id: str,
    routed: Sequence[RoutedAlert],
    payload_of: PayloadOf,
    at: datetime,
) -> None:
    """Let what a run is to send say what has become of its alerts, where that is anything.

    What becomes of them later is noted, and the messages are changed; so is who they are that only Slack can
    name, since a new message would notify them.
    """
    query = (
        sa.select(outbox.c.id, *(alerts.c[name] for name in STATE))
        .join(alerts, alerts.c.id == outbox.c.alert_id)
        .where(
            outbox.c.tenant_id == tenant_id,
            outbox.c.run_id == run_id,
            outbox.c.status == DeliveryStatus.PENDING,
            alerts.c.status != AlertStatus.TRIGGERED,
        )
    )
    rows = {row["id"]: row for row in connection.execute(query).mappings()}
    states = shown_states(connection, tenant_id, rows)
    payloads = [
        {"its_id": item.alert.alert_id, "words": payload_of(item, states[item.alert.alert_id])}
        for item in routed
        if item.alert.alert_id in states
    ]
    if payloads:
        shows = outbox.update().where(outbox.c.id == sa.bindparam("its_id"))
        connection.execute(shows.values(payload=sa.bindparam("words")), payloads)
    if unnamed := [key for key, state in states.items() if state.slack_user is not None]:
        rows_noted = json_rows({"occurrence_id": key, "facts": None} for key in unnamed)
        values = {"rows": rows_noted, "tenant_id": tenant_id, "now": at}
        _SQL.execute(connection, "note_facts", values)


class MessageUpdates(Part):
    """The messages that are to show something."""

    @reads
    def tenants(self, wanted: Wanted) -> list[str]:
        """Return the tenants in the scope with a message to change, and no outbox run at work."""
        if is_paused(self.connection, wanted.method.key):
            return []
        at_work = sa.exists().where(
            runs.c.tenant_id == message_updates.c.tenant_id,
            runs.c.status == RunStatus.RUNNING,
            runs.c.kind == "outbox",
        )
        query = _due(sa.select(message_updates.c.tenant_id).distinct(), wanted)
        return list(self.connection.scalars(query.where(self._sees(message_updates), ~at_work)))

    @reads
    def channels(self, wanted: Wanted) -> list[str]:
        """Return the channels with a message to change."""
        if is_paused(self.connection, wanted.method.key):
            return []
        query = _due(sa.select(outbox.c.channel).distinct(), wanted).order_by(outbox.c.channel)
        return list(self.connection.scalars(query.where(message_updates.c.tenant_id == self._tenant_id)))

    @writes
    def take(
        self, lease: Lease, channel: str, wanted: Wanted, *, lane: SharedLane, lease_s: float
    ) -> DueUpdate | float | None:
        """Take a turn of a channel for the next message there, and return what that is to show.

        Where the turn has not come, there or of all changes, return in how many seconds it does; None where
        nothing is left. What was tried least often is next. The lease is renewed; raises OvertakenError when
        it was lost.
        """
        query = _due(
            sa.select(
                outbox.c.id,
                *(outbox.c[name] for name in ALERT),
                *(outbox.c[name] for name in ("channel", "slack_channel", "slack_ts")),
                *(message_updates.c[name].label(f"its_{name}") for name in ("change", "tries", "facts")),
                *(alerts.c[name].label(f"alert_{name}") for name in STATE),
            ),
            wanted,
        )
        of_channel = query.where(
            message_updates.c.tenant_id == self._tenant_id, outbox.c.channel == channel
        ).order_by(message_updates.c.tries, message_updates.c.changed_at, outbox.c.id)
        lanes = [wanted.method.key, lane.key]
        renewed = renew_lease(self.connection, self._tenant_id, lease, lanes, lease_s=lease_s)
        if renewed is None:
            raise OvertakenError(f"run {lease.run_id} was closed, cancelled or taken over")
        row = self.connection.execute(of_channel.limit(1)).mappings().first()
        if row is None:
            return None
        wait_s = take_turn_of_all(
            self.connection, (wanted.method, lane), now=renewed.now, standing=renewed.lanes
        )
        if wait_s:
            return wait_s
        earlier = earlier_messages(self.connection, self._tenant_id, [row["id"]])
        of_alert = {name: row[f"alert_{name}"] for name in STATE}
        (state,) = shown_states(self.connection, self._tenant_id, {row["id"]: of_alert}).values()
        return _due_update(dict(row), state, earlier.get(row["id"]))

    @writes
    def shown(self, update: DueUpdate, *, now: datetime) -> None:
        """Note that a message shows what it was to show."""
        self._settle(update, _SHOWN, None, None, now)

    @writes
    def failed(self, update: DueUpdate, reason: Reason, message: str, *, now: datetime) -> None:
        """Note why Slack will not change a message, however often it is asked."""
        self._settle(update, _FAILED, reason, message, now)

    @writes
    def put_off(
        self,
        update: DueUpdate,
        reason: Reason,
        message: str,
        *,
        until: datetime,
        pause: tuple[str, float] | None = None,
    ) -> None:
        """Try a message again, and no other of its channel before, from `until` on.

        `pause` is the key of a lane that Slack has asked to pause, and for how many seconds.
        """
        self._hold(update.channel, until)
        tried = message_updates.update().where(
            message_updates.c.tenant_id == self._tenant_id,
            message_updates.c.occurrence_id == update.alert.alert_id,
            message_updates.c.change == update.change,
        )
        values = {"tries": message_updates.c.tries + 1, "error": reason, "error_message": message}
        self.connection.execute(tried.values(values))
        if pause is not None:
            pause_lanes(self.connection, [pause])

    @writes
    def hold(self, channel: str, *, until: datetime) -> None:
        """Try no message of a channel before `until`: its lane pauses for so long."""
        self._hold(channel, until)

    def _hold(self, channel: str, until: datetime) -> None:
        in_channel = sa.select(outbox.c.id).where(
            outbox.c.id == message_updates.c.occurrence_id, outbox.c.channel == channel
        )
        due = message_updates.update().where(
            message_updates.c.tenant_id == self._tenant_id, sa.text(IS_DUE), in_channel.exists()
        )
        self.connection.execute(due.values(not_before=until))

    def _settle(
        self, update: DueUpdate, status: str, reason: Reason | None, message: str | None, now: datetime
    ) -> None:
        table = message_updates.c
        values = {"status": status, "error": reason, "error_message": message, "not_before": None}
        shown = {"shown_at": now} if status == _SHOWN else {}
        # What has changed since the message was asked to show it stays due.
        settled = message_updates.update().where(
            table.tenant_id == self._tenant_id,
            table.occurrence_id == update.alert.alert_id,
            table.change == update.change,
        )
        self.connection.execute(settled.values(**values, **shown))


def _due(query: sa.Select[Any], wanted: Wanted) -> sa.Select[Any]:
    """Return a question about the messages that can be changed now."""
    of_outbox = outbox.c.id == message_updates.c.occurrence_id
    of_alert = alerts.c.id == outbox.c.alert_id
    return query.select_from(message_updates.join(outbox, of_outbox).join(alerts, of_alert)).where(
        sa.text(f"message_updates.{IS_DUE}"),
        sa.or_(message_updates.c.changed_at >= wanted.since, outbox.c.sent_at >= wanted.since),
        sa.or_(message_updates.c.not_before.is_(None), message_updates.c.not_before <= wanted.now),
        outbox.c.status == DeliveryStatus.SENT,
        outbox.c.slack_channel.is_not(None),
        outbox.c.slack_ts.is_not(None),
        outbox.c.alert_type.in_(wanted.types),
    )


def _due_update(row: Mapping[str, Any], state: MessageState, earlier: EarlierMessage | None) -> DueUpdate:
    facts = row["its_facts"]
    return DueUpdate(
        alert=RecordedAlert.of(alert_of(row, row["id"])),
        facts=None if facts is None else orjson.loads(facts),
        state=state,
        channel=row["channel"],
        slack_channel=row["slack_channel"],
        slack_ts=row["slack_ts"],
        change=row["its_change"],
        tries=row["its_tries"],
        earlier=earlier,
    )
