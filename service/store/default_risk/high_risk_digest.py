"""What a bulk job begins to report is held until the job ends; very much of it leaves as one digest.

Held rows of the outbox name the job in the place of a run, so that no run takes them. The transaction that
closes the job, however it ended, either lets them wait for the next outbox run or puts a digest there in
their place: no moment lies between the two, and a closed job holds nothing.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from service.domain.alert import Alert
from service.domain.default_risk.high_risk import HighRisk
from service.domain.default_risk.high_risk_digest import WORST, HighRiskDigest, worst_text
from service.domain.delivery_status import DeliveryStatus, Step, starts_of
from service.domain.lifecycle.alert_status import OPEN
from service.store.outbox.waiting import NOBODYS, let_wait
from service.store.rows import alert_of
from service.store.schema.alert_tables import alerts
from service.store.schema.tables import ALERT, outbox

_IN_BILLIONTHS: Final = 1_000_000_000


def held_by(job_id: str, high: HighRisk) -> dict[str, Any]:
    """Return what a row of the outbox has besides that does not leave before its job has ended."""
    return {
        "run_id": job_id,
        "channel": high.channel,
        # The likeliest first, for the index over a run's rows to find the worst.
        "position": round((1 - high.probability) * _IN_BILLIONTHS),
    }


def release_alerts(connection: sa.Connection, job: Mapping[str, Any], *, most: int, now: datetime) -> None:
    """Let the alerts of a job leave that ends in this transaction: above `most` for a channel as a digest."""
    held = sa.and_(outbox.c.run_id == job["id"], outbox.c.status.in_(starts_of(Step.DIGEST)))
    is_high = sa.case((alerts.c.status.in_(sorted(OPEN)), outbox.c.subject))
    of_channels = (
        sa.select(
            outbox.c.channel,
            sa.func.count().label("alerts"),
            sa.func.count(outbox.c.subject.distinct()).label("companies"),
            sa.func.count(sa.distinct(is_high)).label("still_high"),
            sa.func.min(outbox.c.period).label("first_period"),
            sa.func.max(outbox.c.period).label("last_period"),
        )
        .outerjoin(alerts, alerts.c.id == outbox.c.alert_id)
        .where(held)
        .group_by(outbox.c.channel)
    )
    for found in connection.execute(of_channels).mappings().all():
        of_channel = outbox.update().where(held, outbox.c.channel == found["channel"])
        if found["alerts"] <= most:
            connection.execute(of_channel.values(run_id=NOBODYS, position=0))
            continue
        digest = HighRiskDigest(
            tenant_id=job["tenant_id"],
            job_id=job["id"],
            kind=job["kind"],
            file_name=job["file_name"],
            model=job["model_name"],
            worst=[worst_text(each) for each in _worst(connection, held, found["channel"])],
            **found,
        )
        # These keep the job's id: it says which digest has them.
        connection.execute(of_channel.values(status=DeliveryStatus.IN_DIGEST, updated_at=now))
        let_wait(connection, job["tenant_id"], digest.alert(), now=now)


def _worst(connection: sa.Connection, held: sa.ColumnElement[bool], channel: str) -> list[Alert]:
    """Return the likeliest of a channel, each by the newest statement of a company that is high still."""
    query = (
        sa.select(outbox.c.id, *(outbox.c[name] for name in ALERT))
        .join(alerts, alerts.c.id == outbox.c.alert_id)
        .where(
            held,
            outbox.c.channel == channel,
            alerts.c.status.in_(sorted(OPEN)),
            alerts.c.last_period == outbox.c.period,
        )
        .order_by(outbox.c.position, outbox.c.subject)
        .limit(WORST)
    )
    return [alert_of(dict(row), row["id"]) for row in connection.execute(query).mappings()]
