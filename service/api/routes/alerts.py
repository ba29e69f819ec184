"""The work on alerts: create, list, show, acknowledge, resolve, note, and count them."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from service.api.csv_alerts import prefers_csv
from service.api.csv_managed_alerts import managed_alerts_csv
from service.api.errors import InvalidRequestError
from service.api.examples import with_example
from service.api.identity.caller import Caller, Needs
from service.api.identity.internal import Internal
from service.api.routes.router import Routes
from service.api.schemas.managed_alert import (
    AlertEventOut,
    AlertIn,
    BulkIn,
    BulkOut,
    EventsQuery,
    InternalAlertIn,
    ManagedAlertOut,
    ManagedAlertsQuery,
    NoteIn,
    StatsOut,
    StepIn,
)
from service.domain.identity.errors import NotServedHereError, TenantNotFoundError
from service.domain.identity.permission import Permission
from service.domain.identity.principal import PrincipalKind
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import AlertStep
from service.domain.lifecycle.managed_alert import NewAlert
from service.settings.value_types import TenantId

NOBODY = "api"
"""Who it was, where nobody is asked who they are and the request does not say."""
_STEP_ERRORS = ("already_acknowledged", "already_resolved", "illegal_transition")

_CREATED: dict[str, Any] = {
    "gives": "managed_alert",
    "status": HTTPStatus.CREATED,
    "besides": {
        HTTPStatus.OK: {
            "model": ManagedAlertOut,
            "description": "One like it is open: it has an event more.",
            "content": {"application/json": {"examples": {"managed_alert": {}}}},
        }
    },
}

router = Routes("alerts")

MayRead = Annotated[Caller, Depends(Needs(Permission.READ_ALERTS))]
MayWork = Annotated[Caller, Depends(Needs(Permission.WRITE_ALERTS))]
AlertId = Annotated[str, Path(max_length=100, json_schema_extra=with_example("alert_id"))]


def in_tenant(caller: Caller, tenant_id: str | None, *, is_needed: bool = False) -> Caller:
    """Return the caller in the tenant that a request names.

    While nobody is asked who they are it is whichever the caller says; what is asked for by its id needs
    none. With an identity the caller's counts, and any other is not there. Raises InvalidRequestError and
    TenantNotFoundError.
    """
    scope = caller.scope
    if caller.principal.kind is PrincipalKind.ANONYMOUS:
        if tenant_id is None and is_needed:
            raise InvalidRequestError("tenant_id: Field required while nobody is asked who they are")
        scope = Scope.of_all() if tenant_id is None else Scope.of_tenant(tenant_id)
    elif tenant_id is not None:
        if not scope.includes(tenant_id):
            raise TenantNotFoundError(TenantNotFoundError.example)
        scope = Scope.of_tenant(tenant_id)
    app = replace(caller.app, store=caller.app.store.seen_by(caller.actor, scope))
    return replace(caller, scope=scope, app=app)


def _who(caller: Caller, named: str | None) -> dict[str, Any]:
    """Return who did something: an identity, else whom the request names."""
    if caller.principal.kind is PrincipalKind.ANONYMOUS:
        return {"by": named or NOBODY}
    return {"by": caller.principal.label, "given_by": named}


def _link(request: Request, response: Response, cursor: str | None) -> None:
    if cursor is not None:
        following = request.url.include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'


async def _create(caller: Caller, body: AlertIn, response: Response) -> ManagedAlertOut:
    if (body.route or body.channel) and caller.scope.one_tenant != caller.app.tenant_id:
        raise NotServedHereError("this service sends nothing for that tenant: leave out route and channel")
    new = NewAlert(**{name: getattr(body, name) for name in NewAlert.__dataclass_fields__})
    alert, is_new = await caller.app.store.alert_work.create(new, **_who(caller, body.by))
    if not is_new:
        response.status_code = HTTPStatus.OK
    return ManagedAlertOut.of(alert)


@router.declare("POST /alerts", "Create an alert", "tenant_not_found", **_CREATED)
async def create_alert(caller: MayWork, body: AlertIn, response: Response) -> ManagedAlertOut:
    """Create an alert; where one of the same rule and subject, or the same key, is open, it stays that one.

    That one keeps its notes and status, and gets an event.
    """
    tenant_id = body.tenant_id
    if tenant_id is None and caller.scope.tenant_id is None:
        tenant_id = caller.principal.tenant_id
    return await _create(in_tenant(caller, tenant_id, is_needed=True), body, response)


@router.declare(
    "POST /internal/alerts", "Create an alert, as another service", "tenant_not_found", **_CREATED
)
async def create_internal_alert(
    service: Internal, body: InternalAlertIn, response: Response
) -> ManagedAlertOut:
    """Create an alert for any tenant, as `POST /alerts` does, with the header `X-Service-Key`."""
    return await _create(await service.for_tenant(body.tenant_id), body, response)


@router.declare(
    "GET /alerts",
    "List alerts, newest first",
    "bad_cursor",
    "tenant_not_found",
    gives="managed_alerts",
    csv="managed_alerts_csv",
    response_model=list[ManagedAlertOut],
)
async def list_alerts(
    caller: MayRead, query: Annotated[ManagedAlertsQuery, Query()], request: Request, response: Response
) -> list[ManagedAlertOut] | StreamingResponse:
    """List at most 50; the header `Link` leads to those that follow. With `Accept: text/csv` it is all."""
    store = in_tenant(caller, query.tenant_id, is_needed=True).app.store
    if prefers_csv(",".join(request.headers.getlist("accept"))):
        return await managed_alerts_csv(store, query.wanted(), query.cursor)
    response.headers["Vary"] = "Accept"
    page = await store.alerts.list(query.wanted(), limit=query.limit, cursor=query.cursor)
    _link(request, response, page.next_cursor)
    return [ManagedAlertOut.of(each) for each in page.items]


@router.declare("GET /alerts/{alert_id}", "Show an alert", gives="managed_alert")
async def get_alert(caller: MayRead, alert_id: AlertId) -> ManagedAlertOut:
    """Show where the work on an alert stands, with every occurrence and its delivery."""
    return ManagedAlertOut.of(await in_tenant(caller, None).app.store.alerts.get(alert_id))


@router.declare(
    "GET /alerts/{alert_id}/events", "List what happened to an alert", "bad_cursor", gives="alert_events"
)
async def list_events(
    caller: MayRead,
    alert_id: AlertId,
    query: Annotated[EventsQuery, Query()],
    request: Request,
    response: Response,
) -> list[AlertEventOut]:
    """List every event, oldest first, a thousand at a time; the header `Link` leads to those that follow."""
    store = in_tenant(caller, None).app.store
    page = await store.alerts.events(alert_id, limit=query.limit, cursor=query.cursor)
    _link(request, response, page.next_cursor)
    return [AlertEventOut.of(each) for each in page.items]


def _step(step: AlertStep, summary: str, description: str) -> None:
    @router.declare(
        f"PUT /alerts/{{alert_id}}/{step}",
        summary,
        *_STEP_ERRORS,
        gives="managed_alert",
        name=f"{step}_alert",
        description=description,
    )
    async def take(caller: MayWork, alert_id: AlertId, body: StepIn | None = None) -> ManagedAlertOut:
        body = body or StepIn()
        work = in_tenant(caller, None).app.store.alert_work
        alert, _ = await work.take(alert_id, step, note=body.note, **_who(caller, body.by))
        return ManagedAlertOut.of(alert)


_REPEATED = "The same person again changes nothing; after somebody else it is 409, with who and when."
_step(AlertStep.ACKNOWLEDGE, "Acknowledge an alert", f"Say that somebody works on it. {_REPEATED}")
_step(AlertStep.UNACKNOWLEDGE, "Give an alert back", f"It is triggered again. {_REPEATED}")
_step(AlertStep.RESOLVE, "Resolve an alert", f"Say that it is over. {_REPEATED}")
_step(
    AlertStep.REOPEN,
    "Reopen an alert",
    f"It is triggered again, unless there is a newer one about the same. {_REPEATED}",
)


@router.declare(
    "POST /alerts/{alert_id}/notes", "Add a note to an alert", gives="alert_event", status=HTTPStatus.CREATED
)
async def add_note(caller: MayWork, alert_id: AlertId, body: NoteIn) -> AlertEventOut:
    """Add a note, whatever the status; it is kept for good, and each time it is sent it is another."""
    work = in_tenant(caller, None).app.store.alert_work
    return AlertEventOut.of(await work.note(alert_id, body.note, **_who(caller, body.by)))


@router.declare(
    "POST /alerts/bulk",
    "Change many alerts at once",
    *("tenant_not_found", "too_many_alerts", "not_as_expected"),
    gives="bulk",
)
async def change_many(caller: MayWork, body: BulkIn) -> BulkOut:
    """Take a step for many alerts in one transaction, or for none.

    What cannot take it is in `refused`, and the rest changes; of more than 1,000, or of another number than
    `expected`, none does.
    """
    filtered = body.filter
    named = None if filtered is None else filtered.tenant_id
    where = in_tenant(caller, named, is_needed=filtered is not None)
    result = await where.app.store.alert_work.take_many(
        body.action,
        of=body.ids or [] if filtered is None else filtered.wanted(),
        expected=body.expected,
        note=body.note,
        **_who(caller, body.by),
    )
    return BulkOut.of(result)


@router.declare("GET /stats/{tenant_id}", "Count the alerts of a tenant", gives="alert_stats")
async def get_stats(
    caller: MayRead, tenant_id: Annotated[TenantId, Path(json_schema_extra=with_example("tenant_id"))]
) -> StatsOut:
    """Count them by status and by severity, and say since when the oldest is open."""
    store = in_tenant(caller, tenant_id).app.store
    return StatsOut.counted(tenant_id, await store.alerts.stats())
