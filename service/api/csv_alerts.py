"""The alerts of a run as CSV: for a person with a spreadsheet, so all of them, and no cell is a formula."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi.responses import StreamingResponse

from service.api.csv_lines import csv_header, csv_rows
from service.api.parameters import AlertsQuery
from service.api.schemas.alert import RunAlertOut
from service.domain.run import Page, RunAlert
from service.store.store import Store

MEDIA_TYPE: Final = "text/csv"
PAGE: Final = 500
"""Alerts that are held at once."""


def prefers_csv(accept: str) -> bool:
    """Return whether an Accept header would rather have CSV than JSON; `*/*`, and no header, would not."""
    return _quality(accept, MEDIA_TYPE) > _quality(accept, "application/json")


async def alerts_csv(store: Store, run_id: str, query: AlertsQuery) -> StreamingResponse:
    """Return all alerts that were asked for, page by page; `limit` counts only where it was given.

    Raises RunNotFoundError and BadCursorError before anything has been answered.
    """
    rest = query.limit if "limit" in query.model_fields_set else None

    async def page(cursor: str | None) -> Page[RunAlert]:
        return await store.history.list_alerts(
            run_id,
            outcome=query.outcome,
            route=query.region,
            restated=query.restated,
            limit=PAGE if rest is None else min(PAGE, rest),
            cursor=cursor,
        )

    async def lines(seen: Page[RunAlert]) -> AsyncIterator[str]:
        nonlocal rest
        yield csv_header()
        while True:
            yield csv_rows(map(RunAlertOut.of, seen.items))
            if rest is not None:
                rest -= len(seen.items)
            if seen.next_cursor is None or rest == 0:
                return
            seen = await page(seen.next_cursor)

    headers = {"Content-Disposition": f'attachment; filename="alerts-{run_id}.csv"', "Vary": "Accept"}
    first = await page(query.cursor)
    return StreamingResponse(
        lines(first), media_type=f"{MEDIA_TYPE}; charset=utf-8; header=present", headers=headers
    )


def _quality(accept: str, media_type: str) -> float:
    """Return how much a media type is wanted, by the most specific range that takes it (RFC 9110, 12.5.1)."""
    family = media_type.partition("/")[0]
    ranked: dict[str, float] = {}
    for given in accept.lower().split(","):
        name, *parameters = (part.strip() for part in given.split(";"))
        weights = [part[2:] for part in parameters if part.startswith("q=")]
        try:
            ranked[name] = float(weights[0]) if weights else 1.0
        except ValueError:
            ranked[name] = 0.0
    return next((ranked[name] for name in (media_type, f"{family}/*", "*/*") if name in ranked), 0.0)
