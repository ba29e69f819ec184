"""What the conformance tests say again and again: a run, its alerts, and what became of them."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from service.account_risk.account_at_risk import AccountAtRisk, Criteria
from service.account_risk.evaluate import MonthEvaluation
from service.account_risk.kind import month_request
from service.account_risk.risk_alert import RiskAlert
from service.account_risk.row_ledger import MonthlyRows
from service.domain.alert import RecordedAlert
from service.domain.delivery_status import AmbiguousSends, DeliveryStatus, Reason
from service.domain.evaluation import Evaluation, RunWarning
from service.domain.month import Month
from service.domain.replay import ReplayAction, RoutedAlert
from service.domain.run import Page, RunAlert, RunError
from service.domain.source_uri import SourceUri
from service.store.alerts.recovery import Seen
from service.store.outbox.send import OutboxEntry, Settlement, UntriedAlert
from service.store.runs.state import Lease
from service.store.schema.tables import outbox
from service.store.store import Store
from tests.support.alerts import MONTH, an_alert

NOW = datetime(2026, 1, 5, 9, 30, 0, 123456, tzinfo=UTC)
SOURCE = "file:///january.parquet"
CHANNELS = ("amer", "emea")
LEASE_S = 600.0
RISK = RiskAlert(details_base_url="https://app.example.com")
RESTATABLE = RISK.restatable
T = TypeVar("T")


def scope_of(month: Month) -> str:
    """Return the scope that a run of a month takes the lease of."""
    return f"risk_alert:{month}"


def routed(*alerts: AccountAtRisk | str, channel: str | None = "amer") -> list[RoutedAlert]:
    """Return alerts (or just account ids) on their way to one channel, or to none."""
    made = [an_alert(item) if isinstance(item, str) else item for item in alerts]
    return [
        RoutedAlert(
            alert=RecordedAlert.of(item),
            channel=channel,
            payload=f'{{"text":"{item.arr}"}}',
            problem=RISK.problem(item),
            why_unrouted=None if channel else RISK.why_unrouted(item),
        )
        for item in made
    ]


def an_evaluation(count: int) -> MonthEvaluation:
    """Return an evaluation that found `count` alerts in a file of twice as many rows, and balances."""
    rows = MonthlyRows(
        rows_in_source=2 * count + 5,
        outside_window=5,
        rows_scanned=2 * count,
        duplicates=count,
        account_months=count,
        at_risk=count,
        below_threshold=0,
        unknown_arr=0,
        alerts=count,
    )
    warning = RunWarning(code="near_miss_status", count=1, detail="one status is almost At Risk")
    return Evaluation(criteria=Criteria(month=MONTH).values(), alerts=(), rows=rows, warnings=(warning,))


@dataclass(frozen=True, slots=True)
class Given:
    """A store, and the shortest way to bring it into a state that a test is about."""

    store: Store

    async def a_run(
        self, run_id: str, *, month: Month = MONTH, dry_run: bool = False, source: str = SOURCE
    ) -> str:
        """Begin a run."""
        number = int("".join(filter(str.isdigit, run_id)) or 0)
        await self.store.runs.begin(
            run_id,
            month_request(SourceUri.parse(source), month, dry_run=dry_run),
            started_at=NOW + timedelta(seconds=number),
            lease_s=LEASE_S,
        )
        return run_id

    async def a_lease(self, run_id: str, *, month: Month = MONTH, source: str = SOURCE) -> Lease:
        """Begin a run that gets the month."""
        await self.a_run(run_id, month=month, source=source)
        lease = await self.store.runs.acquire_lease(run_id, scope_of(month), now=NOW)
        assert isinstance(lease, Lease)
        return lease

    async def a_recorded(
        self,
        run_id: str,
        items: Sequence[RoutedAlert],
        *,
        resend: bool = False,
        seen: Seen | None = None,
        **of_run: Any,
    ) -> tuple[Lease, list[OutboxEntry]]:
        """Begin a run that gets its lease and records alerts; return the lease and what it has to send."""
        lease = await self.a_lease(run_id, **of_run)
        await self.recorded(lease, items, resend=resend, seen=seen)
        return lease, await self.pending(lease)

    async def recorded(
        self,
        lease: Lease,
        items: Sequence[RoutedAlert],
        *,
        resend: bool = False,
        seen: Seen | None = None,
    ) -> list[ReplayAction]:
        """Evaluate and record alerts."""
        await self.store.runs.note_evaluation(lease.run_id, an_evaluation(len(items)))
        ambiguous = AmbiguousSends.RESEND if resend else AmbiguousSends.HOLD
        record = self.store.recording.record
        return await record(lease, items, ambiguous=ambiguous, restatable=RESTATABLE, seen=seen, now=NOW)

    async def rehearsed(self, run_id: str, items: Sequence[RoutedAlert]) -> list[ReplayAction]:
        """Record what a dry run would do."""
        return await self.store.recording.record_dry_run(
            run_id, scope_of(MONTH), items, ambiguous=AmbiguousSends.HOLD, restatable=RESTATABLE
        )

    async def ended_lane(
        self, lease: Lease, status: DeliveryStatus, reason: Reason, message: str = ""
    ) -> list[UntriedAlert]:
        """End the lane of one channel, and return the alerts that it did not come to."""
        end_lane = self.store.outbox.end_lane
        return await end_lane(lease, ["amer"], status=status, reason=reason, message=message, now=NOW)

    async def pending(self, lease: Lease) -> list[OutboxEntry]:
        """Return all that a run still has to send, over all its channels."""
        return await self.store.outbox.pending(lease, CHANNELS, after=-1, limit=1000)

    async def claimed(self, lease: Lease, entries: Iterable[OutboxEntry]) -> set[str] | None:
        """Claim alerts."""
        claimed = await self.store.outbox.settle_and_claim(lease, [], list(entries), now=NOW, lease_s=LEASE_S)
        return None if claimed.is_overtaken else claimed.alert_ids

    async def settled(self, lease: Lease, *settlements: Settlement) -> set[str]:
        """Settle alerts, and return those whose settlement the ledger has."""
        return (
            await self.store.outbox.settle_and_claim(lease, settlements, [], now=NOW, lease_s=LEASE_S)
        ).settled

    async def all_sent(self, lease: Lease) -> None:
        """Send everything that a run has to send."""
        entries = await self.pending(lease)
        assert await self.claimed(lease, entries) == {entry.alert_id for entry in entries}
        await self.settled(lease, *(the_answer(entry) for entry in entries))

    async def finished(
        self, run_id: str, *, alerts: int | None = None, error: RunError | None = None
    ) -> None:
        """Finish a run; `alerts` is how many its evaluation found."""
        if alerts is not None:
            await self.store.runs.note_evaluation(run_id, an_evaluation(alerts))
        await self.store.runs.finish(run_id, now=NOW + timedelta(minutes=1), error=error)

    async def expired(self, run_id: str) -> None:
        """Let the lease of a run run out, without waiting for it."""
        await self.sql("UPDATE runs SET expires_at = 0 WHERE run_id = :run_id", run_id=run_id)

    async def outcomes(self, run_id: str) -> dict[str, RunAlert]:
        """Return what a run did, by account id."""
        page = await self.store.history.list_alerts(run_id, limit=1000)
        assert page.next_cursor is None
        return {item.alert.subject: item for item in page.items}

    async def status_of(self, account_id: str) -> str:
        """Return what has become of an account's alert over all runs."""
        return str((await self.row_of(account_id))["status"])

    async def row_of(self, account_id: str) -> dict[str, Any]:
        """Return an account's row of the outbox."""
        query = sa.select(outbox).where(outbox.c.subject == account_id)
        return await self.store._database.read(
            lambda connection: dict(connection.execute(query).mappings().one())
        )

    async def sql(self, statement: str, **values: Any) -> list[dict[str, Any]]:
        """Look or reach into the tables behind the store's back."""

        def work(connection: sa.Connection) -> list[dict[str, Any]]:
            result = connection.execute(sa.text(statement), values)
            return [dict(row) for row in result.mappings()] if result.returns_rows else []

        # Repeatable, so that it works on schemas that do not number their transactions yet.
        return await self.store._database.write(work, repeatable=True)


async def every(ask: Callable[..., Awaitable[Page[T]]], *, limit: int) -> list[T]:
    """Return what a list has, asked for page by page."""
    seen: list[T] = []
    cursor = None
    while True:
        page = await ask(limit=limit, cursor=cursor)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            return seen


def the_answer(
    entry: OutboxEntry,
    status: DeliveryStatus = DeliveryStatus.SENT,
    *,
    reason: Reason | None = None,
    posted: bool = True,
    http_status: int | None = 200,
    retries: int = 0,
    rate_limits: int = 0,
    not_before: datetime | None = None,
) -> Settlement:
    """Return the settlement of the claim that comes after what `entry` says."""
    return Settlement(
        alert_id=entry.alert_id,
        claim=entry.claims + 1,
        status=status,
        claimed_at=NOW,
        settled_at=NOW + timedelta(seconds=1),
        posted=posted,
        reason=reason,
        message=reason and f"because of {reason}",
        http_status=http_status if posted else None,
        retries=retries,
        rate_limits=rate_limits,
        not_before=not_before,
    )
