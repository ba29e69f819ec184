"""Alerts as CSV: for a person with a spreadsheet, so all of them, and no cell is a formula."""

from collections.abc import AsyncIterator
from typing import Final

from fastapi.responses import StreamingResponse

from service.api.csv_alerts import MEDIA_TYPE, PAGE
from service.api.csv_lines import csv_lines
from service.api.schemas.managed_alert import ManagedAlertOut
from service.domain.lifecycle.managed_alert import AlertFilter, ManagedAlert
from service.domain.run import Page
from service.store.store import Store

COLUMNS: Final = [name for name in ManagedAlertOut.model_fields if name not in {"occurrences", "delivery"}]


async def managed_alerts_csv(store: Store, wanted: AlertFilter, cursor: str | None) -> StreamingResponse:
    """Return all alerts that were asked for, page by page; raises BadCursorError before anything is said."""

    async def lines(seen: Page[ManagedAlert]) -> AsyncIterator[str]:
        yield csv_lines([COLUMNS])
        while True:
            shown = (ManagedAlertOut.of(each).model_dump(mode="json") for each in seen.items)
            yield csv_lines([each[name] for name in COLUMNS] for each in shown)
            if seen.next_cursor is None:
                return
            seen = await store.alerts.list(wanted, limit=PAGE, cursor=seen.next_cursor)

    first = await store.alerts.list(wanted, limit=PAGE, cursor=cursor)
    return StreamingResponse(
        lines(first),
        media_type=f"{MEDIA_TYPE}; charset=utf-8; header=present",
        headers={"Content-Disposition": 'attachment; filename="alerts.csv"', "Vary": "Accept"},
    )
