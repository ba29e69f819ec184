"""Alerts against a small model: months of two accounts and two tenants in any order, and people who work.

Hypothesis runs months late, again and restated, sends what waits or leaves it, and lets people take every
step. After each of them the alerts must stand where the model says, and every change must have its event.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from service.domain.errors import RefusedError
from service.domain.identity.actor import Actor
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import PERSONAL, TRANSITIONS, AlertStatus, AlertStep, end_of
from service.domain.month import Month
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import open_store
from tests.support.alerts import MONTH, an_alert
from tests.support.databases import Backend
from tests.support.given import Given, routed

ACCOUNTS: Final = "ab"
TENANTS: Final = (DEFAULT_TENANT, "00000000-0000-4000-8000-000000000001")
tenants = st.sampled_from(TENANTS)
months = st.integers(0, 3)
accounts = st.sampled_from(ACCOUNTS)
choices = st.integers(0, 100)
LEGAL: Final = {(way.start, way.end) for way in TRANSITIONS}


class AlertMachine(RuleBasedStateMachine):
    """Any history of alerts."""

    backend: Backend

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.runs = 0
        self.at_risk: set[tuple[str, str, int]] = set()
        """What the data say: tenant, account, month."""
        self.said: dict[tuple[str, int], set[str]] = {}
        """What the last run of a tenant's month found."""
        self.last_by: dict[str, tuple[AlertStep, str]] = {}
        """Which step a person took last, by alert; none where a run came after."""

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

    @rule(tenant=tenants, account=accounts, month=months)
    def restate(self, tenant: str, account: str, month: int) -> None:
        """Let the data say otherwise."""
        self.at_risk ^= {(tenant, account, month)}

    @rule(tenant=tenants, month=months, sends=st.booleans())
    def run_a_month(self, tenant: str, month: int, *, sends: bool) -> None:
        """Run a month, in whatever order."""
        given, period = self.given[tenant], MONTH.minus(-month)
        found = {account for account in ACCOUNTS if (tenant, account, month) in self.at_risk}
        before, was = self.alerts(), self.occurrences()
        self.runs += 1
        self.runner.run(self.evaluated(given, period, found, tenant, sends=sends))
        after = self.alerts()
        if self.said.get((tenant, month)) == found and was == self.occurrences():
            # A replay: people's work and everything else stays, unless the month had been taken back between.
            assert {key: row["version"] for key, row in after.items()} == {
                key: row["version"] for key, row in before.items()
            }
        self.said[tenant, month] = found
        for alert_id, row in after.items():
            old = before.get(alert_id)
            if old is None or old["version"] != row["version"]:
                self.last_by.pop(alert_id, None)
            if old is not None and old["evaluated_period"] > str(period):
                assert row["reopened"] == old["reopened"], "a late month reopened something"
            if old is not None and old["tenant_id"] != tenant:
                assert row == old
        for account in found:
            # What the newest month has is open, unless a person said that it is over.
            newest = [
                row for row in after.values() if (row["tenant_id"], row["subject"]) == (tenant, account)
            ]
            last = max(newest, key=lambda row: row["last_period"])
            if last["evaluated_period"] == str(period) and last["resolution_reason"] != "person":
                assert last["status"] != AlertStatus.RESOLVED

    async def evaluated(
        self, given: Given, period: Month, found: set[str], tenant: str, *, sends: bool
    ) -> None:
        """Run a month with these accounts, since when the data say."""
        alerts = []
        for account in sorted(found):
            first = period.index - MONTH.index
            while (tenant, account, first - 1) in self.at_risk:
                first -= 1
            since = MONTH.minus(-first)
            changes = {"duration_months": period.index - since.index + 1, "risk_start_month": since}
            alerts.append(an_alert(account, month=period, tenant_id=tenant, **changes))
        run_id = f"r{self.runs}"
        lease, _ = await given.a_recorded(run_id, routed(*alerts), month=period)
        if sends:
            await given.all_sent(lease)
        await given.finished(run_id, alerts=len(alerts))

    @precondition(lambda self: self.alerts())
    @rule(choice=choices, step=st.sampled_from(PERSONAL), by=st.sampled_from(["ann", "bob"]))
    def take(self, choice: int, step: AlertStep, by: str) -> None:
        """Take a step as a person: it succeeds as the table says, and else nothing has changed."""
        before = self.alerts()
        alert_id = sorted(before)[choice % len(before)]
        row = before[alert_id]
        work = self.given[row["tenant_id"]].store.alert_work
        end = end_of(step, AlertStatus(row["status"]))
        newer = [
            each
            for each in before.values()
            if (each["tenant_id"], each["subject"]) == (row["tenant_id"], row["subject"])
            and each["last_period"] > row["last_period"]
        ]
        is_legal = end is not None and not (step is AlertStep.REOPEN and newer)
        try:
            alert, changed = self.runner.run(work.take(alert_id, step, note=None, by=by))
        except RefusedError:
            assert not is_legal
            assert self.last_by.get(alert_id) != (step, by)
            assert self.alerts() == before
            return
        if is_legal:
            assert (changed, alert.status) == (True, end)
            self.last_by[alert_id] = step, by
        else:
            assert not changed
            assert self.last_by[alert_id] == (step, by)
            assert self.alerts() == before

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
    def one_alert_about_an_account_is_open(self) -> None:
        """And every occurrence belongs to an alert of its own tenant and account."""
        alerts = self.alerts()
        is_open = [row for row in alerts.values() if row["status"] != AlertStatus.RESOLVED]
        assert len({(row["tenant_id"], row["subject"]) for row in is_open}) == len(is_open)
        for (tenant, subject, _), alert_id in self.occurrences().items():
            assert (alerts[alert_id]["tenant_id"], alerts[alert_id]["subject"]) == (tenant, subject)

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Return all alerts by id."""
        return {row["id"]: row for row in self.sql("SELECT * FROM alerts")}

    def occurrences(self) -> dict[tuple[str, str, str], str]:
        """Return the alert of each occurrence that was not withdrawn."""
        rows = self.sql("SELECT * FROM outbox WHERE status <> 'withdrawn'")
        return {(row["tenant_id"], row["subject"], row["period"]): row["alert_id"] for row in rows}

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Look into the tables, over all tenants."""
        every = self.given[DEFAULT_TENANT].store.seen_by(Actor.system(DEFAULT_TENANT), Scope.of_all())
        return self.runner.run(Given(every).sql(query))


@pytest.mark.timeout(400)  # success takes seconds, but telling a failure in the fewest steps takes minutes
@pytest.mark.parametrize("histories", [8, pytest.param(50, marks=pytest.mark.fault)])
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
