"""What `alerts …` does: questions to the ledger, and changes under the name of whoever works here."""

import sys
from typing import Any, Final

from pydantic import ValidationError

from service.api.errors import InvalidRequestError
from service.api.schemas.managed_alert import AlertEventOut, AlertIn, ManagedAlertOut, StatsOut
from service.cli.command import async_command, open_ledger, operator, print_answer, print_json
from service.domain.lifecycle.alert_status import AlertStep
from service.domain.lifecycle.managed_alert import AlertFilter, NewAlert
from service.settings import Settings

_MOST_EVENTS: Final = 1000


@async_command
async def print_alerts(
    settings: Settings, /, *, limit: int, cursor: str | None, as_json: bool, **wanted: Any
) -> None:
    """Print a page of the alerts that an `AlertFilter` of these lets through."""
    async with open_ledger(settings) as store:
        page = await store.alerts.list(AlertFilter(**wanted), limit=limit, cursor=cursor)
    shown = [ManagedAlertOut.of(each) for each in page.items]
    if as_json:
        print_json([each.model_dump(mode="json", by_alias=True) for each in shown])
    else:
        from service.cli.lifecycle.tables import print_list  # noqa: PLC0415  # not needed with --json

        print_list(shown, page.next_cursor)


@async_command
async def show_alert(settings: Settings, alert_id: str, *, as_json: bool) -> None:
    """Print an alert, and in words also what happened to it."""
    async with open_ledger(settings) as store:
        alert = ManagedAlertOut.of(await store.alerts.get(alert_id))
        events = await store.alerts.events(alert_id, limit=_MOST_EVENTS)
    if as_json:
        print_json(alert)
    else:
        from service.cli.lifecycle.tables import print_one  # noqa: PLC0415  # not needed with --json

        print_one(alert, [AlertEventOut.of(each) for each in events.items])


@async_command
async def take_step(
    settings: Settings, alert_id: str, *, step: AlertStep, note: str | None, by: str | None, as_json: bool
) -> None:
    """Take a step for an alert and print what it is now."""
    from service.wiring import open_app  # noqa: PLC0415  # whoever only reads needs none of it

    async with open_app(settings, operator=operator()) as app:
        who = by or operator()
        alert, changed = await app.store.alert_work.take(alert_id, step, note=note, by=who)
    _said(ManagedAlertOut.of(alert), "" if changed else " (as before)", as_json=as_json)


@async_command
async def add_note(settings: Settings, alert_id: str, text: str, *, by: str | None, as_json: bool) -> None:
    """Add a note to an alert."""
    from service.wiring import open_app  # noqa: PLC0415  # as above

    async with open_app(settings, operator=operator()) as app:
        event = await app.store.alert_work.note(alert_id, text, by=by or operator())
    words = f"noted, as number {event.number}\n"
    print_answer(AlertEventOut.of(event), lambda: sys.stdout.write(words), as_json=as_json)


@async_command
async def create_alert(settings: Settings, /, *, as_json: bool, **body: Any) -> None:
    """Create an alert and print it; raises InvalidRequestError."""
    from service.wiring import open_app  # noqa: PLC0415  # as above

    try:
        asked = AlertIn.model_validate(body)
    except ValidationError as problem:
        first = problem.errors()[0]
        raise InvalidRequestError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    new = NewAlert(**{name: getattr(asked, name) for name in NewAlert.__dataclass_fields__})
    async with open_app(settings, operator=operator()) as app:
        alert, is_new = await app.store.alert_work.create(new, by=asked.by or operator())
    _said(ManagedAlertOut.of(alert), "" if is_new else " (it was open)", as_json=as_json)


@async_command
async def print_stats(settings: Settings, *, as_json: bool) -> None:
    """Print how many alerts there are."""
    async with open_ledger(settings) as store:
        counts = StatsOut.counted(settings.tenant_id, await store.alerts.stats())
    if as_json:
        print_json(counts)
    else:
        from service.cli.lifecycle.tables import print_counts  # noqa: PLC0415  # not needed with --json

        print_counts(counts)


def _said(alert: ManagedAlertOut, besides: str, *, as_json: bool) -> None:
    words = f"{alert.id}: {alert.status}{besides}\n"
    print_answer(alert, lambda: sys.stdout.write(words), as_json=as_json)
