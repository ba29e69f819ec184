"""Every step of the state machine is tried on alerts in every state: it leads where the table says."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import pytest
import sqlalchemy as sa

from service.domain.delivery_status import TRANSITIONS, DeliveryStatus, Reason, SettleAs, Step
from service.domain.errors import NotInDoubtError
from service.domain.tenant import DEFAULT_TENANT
from service.store.default_risk.high_risk_digest import release_alerts
from service.store.outbox.send import OutboxEntry
from service.store.runs.state import Lease
from service.store.store import open_store
from tests.support.databases import Backend
from tests.support.given import NOW, Given, routed, the_answer

_Try = Callable[[Given, Lease, Sequence[OutboxEntry]], Awaitable[None]]
STATES: Final = tuple(map(str, DeliveryStatus))
"""And the accounts: each is put into the state of its name."""


def _record(*, channel: str | None = "amer", resend: bool = False) -> _Try:
    async def record(given: Given, lease: Lease, _: Sequence[OutboxEntry]) -> None:
        await given.recorded(lease, routed(*STATES, channel=channel), resend=resend)

    return record


async def _withdraw(given: Given, lease: Lease, _: Sequence[OutboxEntry]) -> None:
    await given.recorded(lease, [])


async def _claim(given: Given, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
    await given.claimed(lease, [replace(entry, claims=entry.claims + 1) for entry in entries])


def _settle(status: DeliveryStatus) -> _Try:
    async def settle(given: Given, lease: Lease, entries: Sequence[OutboxEntry]) -> None:
        await given.settled(lease, *(the_answer(entry, status) for entry in entries))

    return settle


async def _end_lane(given: Given, lease: Lease, _: Sequence[OutboxEntry]) -> None:
    await given.ended_lane(lease, DeliveryStatus.FAILED, Reason.SLACK_UNREACHABLE, "refused")


async def _lose(given: Given, lease: Lease, _: Sequence[OutboxEntry]) -> None:
    await given.store.runs.release(lease, now=NOW)


def _settle_doubt(settle_as: SettleAs) -> _Try:
    async def settle(given: Given, _: Lease, entries: Sequence[OutboxEntry]) -> None:
        for entry in entries:
            with suppress(NotInDoubtError):
                await given.store.doubts.settle(entry.alert_id, settle_as, by="ann", note=None, now=NOW)

    return settle


async def _digest(given: Given, _: Lease, __: Sequence[OutboxEntry]) -> None:
    def work(connection: sa.Connection) -> None:
        job = {"id": "job", "tenant_id": DEFAULT_TENANT, "kind": "annual", "file_name": "a.csv"}
        release_alerts(connection, job | {"model_name": "small"}, most=0, now=NOW)

    # As if a job had recorded them; and the accounts are no companies.
    facts = '{"company_name": "A", "company_symbol": "A", "probability": 0.7}'
    await given.sql("UPDATE outbox SET run_id = 'job', facts = :facts", facts=facts)
    await given.store._database.write(work)


TRIES: Final[dict[tuple[Step, ...], tuple[_Try, ...]]] = {
    (Step.RECORD,): (_record(), _record(channel=None), _record(resend=True)),
    (Step.WITHDRAW,): (_withdraw,),
    (Step.CLAIM,): (_claim,),
    (Step.SETTLE, Step.SETTLE_LATE): tuple(
        _settle(way.end) for way in TRANSITIONS if way.step is Step.SETTLE
    ),
    (Step.END_LANE,): (_end_lane,),
    (Step.LOSE,): (_lose,),
    (Step.SETTLE_DOUBT,): tuple(map(_settle_doubt, SettleAs)),
    (Step.DIGEST,): (_digest,),
}


def test_every_step_is_tried() -> None:
    """No step of the table is left out below."""
    assert {step for steps in TRIES for step in steps} == set(Step)


@pytest.mark.parametrize("steps", TRIES, ids="+".join)
async def test_a_step_leads_where_the_table_says_and_nowhere_else(
    backend: Backend, steps: tuple[Step, ...]
) -> None:
    """Alerts in every state, one step: exactly its transitions happen, and every other alert stays."""
    seen: set[tuple[str, str]] = set()
    for attempt in TRIES[steps]:
        async with open_store(backend.new()) as store:
            given = Given(store)
            lease, entries = await _one_in_every_state(given)
            if {Step.RECORD, Step.WITHDRAW} & set(steps):
                # Another run does that, once the one before has ended.
                await given.expired(lease.run_id)
                lease = await given.a_lease("r2")
            before = await _states(given)
            await attempt(given, lease, entries)
            after = await _states(given)
        seen |= {(before[account], after[account]) for account in STATES if before[account] != after[account]}
    assert seen == {(way.start, way.end) for way in TRANSITIONS if way.step in steps and way.start}


async def _one_in_every_state(given: Given) -> tuple[Lease, list[OutboxEntry]]:
    """Bring one alert into each state; returns the lease, and the entries as they were before their claim."""
    lease, entries = await given.a_recorded("r1", routed(*STATES))
    await given.claimed(lease, entries)
    await given.sql("UPDATE outbox SET status = subject")
    return lease, entries


async def _states(given: Given) -> dict[str, str]:
    return {account: await given.status_of(account) for account in STATES}
