"""Alerts: how long a page of a million takes, and the counts of them, on both databases."""

import asyncio
import http.client
import tempfile
import time
from functools import partial
from statistics import median
from typing import Final

import asyncpg
import sqlalchemy as sa

from benchmarks.report import Section, Target
from benchmarks.serving import serving
from service.domain.tenant import DEFAULT_TENANT
from service.store.store import open_store
from tests.support.databases import running_postgresql

ALERTS: Final = {"small": 100_000, "full": 1_000_000}
ROUNDS: Final = 15
_AT_ONCE: Final = 20_000
"""Rows that one transaction makes."""
PAGE_MS: Final = 50
STATS_MS: Final = 200

_NUMBERS: Final = {
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last) ",
    "postgresql": "WITH s(n) AS (SELECT generate_series(CAST(:first AS bigint), CAST(:last AS bigint))) ",
}
_ID: Final = {"sqlite": "printf('%032x', n)", "postgresql": "lpad(to_hex(n), 32, '0')"}
_MOMENT: Final = {
    "sqlite": "datetime('2026-01-01', '+' || n || ' seconds') || '.000000'",
    "postgresql": "timestamptz '2026-01-01T00:00:00Z' + n * interval '1 second'",
}
_ASKED: Final = {
    "the first page": "",
    "the page after it": "&cursor={cursor}",
    "`status=triggered`": "&status=triggered",
    "`severity=critical`": "&severity=critical",
    "`status=acknowledged&severity=low`": "&status=acknowledged&severity=low",
    "`rule_name`, one in a thousand": "&rule_name=rare",
    "`route`, one in a thousand": "&route=RARE",
    "`subject`, one of a million": "&subject=s777",
}


def bench(size: str) -> list[Section]:
    """Return the section."""
    count = ALERTS[size]
    with tempfile.TemporaryDirectory() as folder:
        found = {"SQLite": _measured(f"sqlite:///{folder}/alerts.db", count)}
    with running_postgresql() as server:
        found["PostgreSQL"] = _measured(server.new(), count)
    asked = [f"`GET /alerts`, {name}" for name in _ASKED] + ["`GET /stats/{tenant_id}`"]
    section = Section(
        title=f"Alerts, {count:,} of them",
        about=(
            f"Over one connection to a service beside this process; medians of {ROUNDS} requests, after "
            "`ANALYZE` (and `VACUUM` in PostgreSQL)."
        ),
        header=("", *(f"{name}, ms" for name in found)),
        rows=[(what, *(f"{each[at]:.1f}" for each in found.values())) for at, what in enumerate(asked)],
    )
    for name, each in found.items():
        section.targets.append(Target(f"any page, {name}", max(each[:-1]), PAGE_MS, unit=" ms"))
        section.targets.append(Target(f"the counts, {name}", each[-1], STATS_MS, unit=" ms"))
    return [section]


def _measured(url: str, count: int) -> list[float]:
    """Return the milliseconds of each page, and of the counts."""
    asyncio.run(_filled(url, count))
    # Nobody is asked who they are, so that the tenant is the one that is named.
    with serving({"DATABASE_URL": url, "AUTH": "none"}) as service:
        service.until_healthy()
        connection = service.connect()
        first = f"/alerts?tenant_id={DEFAULT_TENANT}"
        link, _ = _ask(connection, first)
        cursor = link.partition("cursor=")[2].partition(">")[0]
        paths = [first + asked.format(cursor=cursor) for asked in _ASKED.values()]
        return [
            median(_ask(connection, path)[1] for _ in range(ROUNDS)) * 1000
            for path in (*paths, f"/stats/{DEFAULT_TENANT}")
        ]


def _ask(connection: http.client.HTTPConnection, path: str) -> tuple[str, float]:
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    text = answer.read()
    took = time.perf_counter() - began
    if answer.status != 200 or text == b"[]":
        raise RuntimeError(f"{path} answered {answer.status} {text[:200]!r}")
    return answer.headers.get("Link", ""), took


async def _filled(url: str, count: int) -> None:
    """Make alerts: two in ten triggered, one acknowledged, the rest resolved, of all severities."""

    def insert(connection: sa.Connection, first: int) -> None:
        dialect = connection.dialect.name
        into = (
            "INSERT INTO alerts (id, tenant_id, alert_type, rule_name, message, severity, status, subject, "
            "route, version, created_at, updated_at, reopened) "
        )
        select = (
            f"SELECT {_ID[dialect]}, :tenant, 'created', "  # noqa: S608  # our own words
            "CASE n % 1000 WHEN 0 THEN 'rare' ELSE 'account_at_risk' END, 'a message of some words', "
            "CASE n % 4 WHEN 0 THEN 'low' WHEN 1 THEN 'medium' WHEN 2 THEN 'high' ELSE 'critical' END, "
            "CASE n % 10 WHEN 0 THEN 'triggered' WHEN 1 THEN 'triggered' WHEN 2 THEN 'acknowledged' "
            "ELSE 'resolved' END, 's' || n, CASE n % 1000 WHEN 1 THEN 'RARE' ELSE 'AMER' END, 1, "
            f"{_MOMENT[dialect]}, {_MOMENT[dialect]}, 0 FROM s"
        )
        last = min(first + _AT_ONCE - 1, count)
        values = {"first": first, "last": last, "tenant": DEFAULT_TENANT}
        connection.execute(sa.text(into + _NUMBERS[dialect] + select), values)

    # Rows that no verb would make so fast.
    async with open_store(url) as store:
        for first in range(1, count + 1, _AT_ONCE):
            await store._database.write(partial(insert, first=first), repeatable=True)  # noqa: SLF001
        if url.startswith("sqlite"):
            analyze = sa.text("ANALYZE")
            await store._database.write(lambda c: c.execute(analyze), repeatable=True)  # noqa: SLF001
            return
    # As its own daemon does from time to time.
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE alerts")
    await connection.close()
