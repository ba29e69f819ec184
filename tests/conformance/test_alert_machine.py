"""Alerts against a small model: months of two accounts and two tenants in any order, and people who work.

Hypothesis runs months late, again and restated, lets what they send arrive, wait or be in doubt, settles the
doubts, and lets people take every step. After each of them all alerts and messages must be as the model has
them, and every change must have its event.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.domain.delivery_status import DeliveryStatus, Reason, SettleAs
from service.domain.errors import RefusedError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import PERSONAL, TRANSITIONS, AlertStatus, AlertStep
from service.domain.month import Month
from service.domain.tenant import DEFAULT_TENANT
from service.store.alerts.recovery import Seen
from service.store.store import open_store
from tests.conformance.alert_model import (
    ABSENT,
    ACCOUNTS,
    ALERTING,
    BELOW,
    HEALTHY,
    MONTHS,
    SAID,
    Data,
    Model,
    Modelled,
    began_of,
)
from tests.support.alerts import an_alert
from tests.support.databases import Backend
from tests.support.given import NOW, SOURCE, Given, routed, the_answer

TENANTS: Final = (DEFAULT_TENANT, "00000000-0000-4000-8000-000000000001")
tenants = st.sampled_from((*TENANTS, DEFAULT_TENANT))
months = st.sampled_from(MONTHS)
states = st.sampled_from([ALERTING, ALERTING, HEALTHY, BELOW, ABSENT])
restatements: st.SearchStrategy[dict[str, str]] = st.just({}) | st.dictionaries(
    st.sampled_from(ACCOUNTS), states
)
fates = st.sampled_from([DeliveryStatus.SENT, DeliveryStatus.PENDING, DeliveryStatus.UNKNOWN])
choices = st.integers(0, 100)
_FACTS: Final = (
    *("began", "last_period", "evaluated_period", "status", "resolution_reason", "last_seen", "reopened"),
)
LEGAL: Final = {(way.start, way.end) for way in TRANSITIONS}


class AlertMachine(RuleBasedStateMachine):
    """Any history of alerts."""

    backend: Backend

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.runs = 0
        self.data: dict[str, Data] = {
            tenant: {(name, month): ALERTING for name in ACCOUNTS for month in MONTHS} for tenant in TENANTS
        }
        self.models = {tenant: Model() for tenant in TENANTS}
        self.last_by: dict[str, tuple[AlertStep, str]] = {}
        """Which step a person took last, by alert; none where a run has taken one since."""

    @initialize()
    def open(self) -> None:
        """Open a store for each tenant, on one database."""
        store = self.runner.run(self.stack.enter_async_context(open_store(self.backend.new())))
        self.given = {
            tenant: Given(store.seen_by(Actor.system(tenant), Scope.of_system(tenant))) for tenant in TENANTS
        }

    def teardown(self) -> None:
        """Close the store."""
        self.runner.run(self.stack.aclose())
        self.runner.close()

    @rule(tenant=tenants, month=months, restated=restatements, fate=fates, again=st.booleans())
    def run_a_month(
        self, tenant: str, month: Month, restated: dict[str, str], fate: DeliveryStatus, *, again: bool
    ) -> None:
        """Run a month, in whatever order, of which the data may say something else by now.

        `fate` is what becomes of what it has to send.
        """
        self.data[tenant] |= {(account, month): state for account, state in restated.items()}
        before = self.alerts()
        self.runs += 1
        self.runner.run(self.evaluated(tenant, month, fate))
        self.models[tenant].run(month, self.data[tenant])
        self.models[tenant].deliver(month, fate)
        after = self.alerts()
        for alert_id, row in after.items():
            was = before.get(alert_id)
            if was is None or was["version"] != row["version"]:
                assert row["tenant_id"] == tenant
            if was is None or any(was[name] != row[name] for name in ("status", "reopened")):
                self.last_by.pop(alert_id, None)
        if again:  # as nobody has said anything in between, nothing changes
            self.runs += 1
            self.runner.run(self.evaluated(tenant, month, fate))
            assert self.alerts() == after

    async def evaluated(self, tenant: str, month: Month, fate: DeliveryStatus) -> None:
        """Run a month over what the data say."""
        given, data = self.given[tenant], self.data[tenant]
        found = [name for name in ACCOUNTS if data[name, month] == ALERTING]
        watched = await given.store.open_alerts.watched("risk_alert", source_uri=SOURCE, period=str(month))
        assert set(watched) == self.models[tenant].watched(month)
        conditions = {name: SAID[data[name, month]] for name in watched if name not in found}
        seen = Seen(alert_type="risk_alert", period=str(month), conditions=conditions)
        alerts = []
        for name in found:
            since = began_of(data, name, month)
            changes = {"duration_months": month.index - since.index + 1, "risk_start_month": since}
            alerts.append(an_alert(name, month=month, tenant_id=tenant, **changes))
        run_id = f"r{self.runs}"
        lease, entries = await given.a_recorded(run_id, routed(*alerts), month=month, seen=seen)
        if fate is not DeliveryStatus.PENDING:
            await given.claimed(lease, entries)
            reason = Reason.RESPONSE_LOST if fate is DeliveryStatus.UNKNOWN else None
            await given.settled(lease, *(the_answer(entry, fate, reason=reason) for entry in entries))
        await given.finished(run_id, alerts=len(alerts))

    @precondition(lambda self: self.messages(DeliveryStatus.UNKNOWN))
    @rule(choice=choices, settle_as=st.sampled_from(SettleAs))
    def settle(self, choice: int, settle_as: SettleAs) -> None:
        """Let a person say whether Slack has a message that is in doubt."""
        in_doubt = self.messages(DeliveryStatus.UNKNOWN)
        row = in_doubt[choice % len(in_doubt)]
        doubts = self.given[row["tenant_id"]].store.doubts
        self.runner.run(doubts.settle(row["id"], settle_as, by="ann", note=None, now=NOW))
        settled = DeliveryStatus.SENT if settle_as is SettleAs.SENT else DeliveryStatus.PENDING
        self.models[row["tenant_id"]].messages[row["subject"], Month.parse(row["period"])] = settled

    @precondition(lambda self: self.alerts())
    @rule(choice=choices, step=st.sampled_from(PERSONAL), by=st.sampled_from(["ann", "bob"]))
    def take(self, choice: int, step: AlertStep, by: str) -> None:
        """Take a step as a person: it succeeds as the model says, and else nothing has changed."""
        before = self.alerts()
        alert_id = sorted(before)[choice % len(before)]
        row = before[alert_id]
        model, one = self.modelled(row)
        end = model.takes(one, row["subject"], step)
        work = self.given[row["tenant_id"]].store.alert_work
        try:
            alert, changed = self.runner.run(work.take(alert_id, step, note=None, by=by))
        except RefusedError:
            assert end is None
            assert self.last_by.get(alert_id) != (step, by)
            return
        if end is None:
            assert not changed
            assert self.last_by[alert_id] == (step, by)
            assert self.alerts() == before
        else:
            assert (changed, alert.status) == (True, end)
            model.take(one, step, end)
            self.last_by[alert_id] = step, by

    @precondition(lambda self: self.alerts())
    @rule(choice=choices)
    def note(self, choice: int) -> None:
        """Add a note: it changes no status, and another tenant cannot."""
        before = self.alerts()
        alert_id = sorted(before)[choice % len(before)]
        for tenant in TENANTS:
            work = self.given[tenant].store.alert_work
            if tenant == before[alert_id]["tenant_id"]:
                self.runner.run(work.note(alert_id, "x", by="ann"))
            else:
                with pytest.raises(RefusedError):
                    self.runner.run(work.note(alert_id, "x", by="ann"))
        assert self.alerts()[alert_id]["status"] == before[alert_id]["status"]

    @invariant()
    def each_change_has_its_event(self) -> None:
        """As many events as the version, each of which goes on where the one before ended, by legal steps."""
        events: dict[str, list[dict[str, Any]]] = {}
        for event in self.sql("SELECT * FROM alert_events ORDER BY alert_id, number"):
            events.setdefault(event["alert_id"], []).append(event)
        alerts = self.alerts()
        assert events.keys() == alerts.keys()
        for alert_id, story in events.items():
            assert [event["number"] for event in story] == list(range(1, alerts[alert_id]["version"] + 1))
            assert story[-1]["to_status"] == alerts[alert_id]["status"]
            assert [event["from_status"] for event in story[1:]] == [e["to_status"] for e in story[:-1]]
            for event in story[1:]:
                step = AlertStatus(event["from_status"]), AlertStatus(event["to_status"])
                assert step[0] is step[1] or step in LEGAL

    @invariant()
    def all_is_as_the_model_has_it(self) -> None:
        """Each alert, the months that belong to it, and what became of each message."""
        months: dict[str, set[str]] = {}
        messages: dict[str, dict[tuple[str, str], str]] = {tenant: {} for tenant in TENANTS}
        for row in self.messages():
            months.setdefault(row["alert_id"], set()).add(row["period"])
            messages[row["tenant_id"]][row["subject"], row["period"]] = row["status"]
        found: dict[str, list[Any]] = {tenant: [] for tenant in TENANTS}
        for row in self.alerts().values():
            facts = tuple(str(row[name]) for name in _FACTS)
            found[row["tenant_id"]].append((row["subject"], facts, sorted(months[row["id"]])))
        for tenant, model in self.models.items():
            expected = [
                (name, one.facts(), sorted(map(str, one.months)))
                for name, known in model.alerts.items()
                for one in known
            ]
            assert sorted(found[tenant]) == sorted(expected)
            assert messages[tenant] == {
                (name, str(month)): status for (name, month), status in model.messages.items()
            }

    @invariant()
    def one_alert_about_an_account_is_open(self) -> None:
        """Find no account with two: what is over makes room for what is new."""
        is_open = [row for row in self.alerts().values() if row["status"] != AlertStatus.RESOLVED]
        assert len({(row["tenant_id"], row["subject"]) for row in is_open}) == len(is_open)

    def modelled(self, row: dict[str, Any]) -> tuple[Model, Modelled]:
        """Return an alert as the model has it."""
        model = self.models[row["tenant_id"]]
        (period, *_) = [each["period"] for each in self.messages() if each["alert_id"] == row["id"]]
        return model, model.of(row["subject"], Month.parse(period))

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Return all alerts by id."""
        return {row["id"]: row for row in self.sql("SELECT * FROM alerts")}

    def messages(self, status: DeliveryStatus | None = None) -> list[dict[str, Any]]:
        """Return the rows of the outbox, of one status or of all."""
        rows = self.sql("SELECT * FROM outbox ORDER BY id")
        return [row for row in rows if status in {None, row["status"]}]

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Look into the tables, over all tenants."""
        every = self.given[DEFAULT_TENANT].store.seen_by(Actor.system(DEFAULT_TENANT), Scope.of_all())
        return self.runner.run(Given(every).sql(query))


@pytest.mark.timeout(400)  # success takes seconds, but telling a failure in the fewest steps takes minutes
@pytest.mark.parametrize("histories", [5, pytest.param(30, marks=pytest.mark.fault)])
def test_any_history_of_alerts_is_legal(backend: Backend, histories: int) -> None:
    """On both databases: nothing un-resolves by itself, no change is without its event, one alert is open."""
    AlertMachine.backend = backend
    machine: Any = AlertMachine.TestCase
    machine.settings = settings(
        max_examples=histories,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine().runTest()
