"""Pressing a button: who it was, whether they may, and what they read of it."""

import asyncio
from dataclasses import dataclass
from html import escape
from typing import Final

from service.delivery.slack.answer import WebApiError
from service.delivery.slack.bot import Bot
from service.delivery.slack.pressing.buttons import Press, is_user_id
from service.delivery.slack.pressing.users import NotVouchedForError, vouched_user
from service.domain.errors import AlertNotFoundError, DatabaseUnusableError, RefusedError
from service.domain.identity.actor import Actor
from service.domain.identity.errors import ForbiddenError, UserNotFoundError
from service.domain.identity.login_errors import TooManyRequestsError
from service.domain.identity.permission import Permission
from service.domain.identity.principal import Principal, PrincipalKind
from service.domain.identity.scope import Scope
from service.domain.lifecycle.alert_status import AlertStatus, Resolution
from service.domain.lifecycle.managed_alert import ManagedAlert
from service.runs.context import App
from service.store.store import Store
from service.telemetry.access_events import ButtonPressed, PressNotAnswered

IDENTIFY_WITHIN_S: Final = 2.0
"""How long Slack may take to say who it was: it waits for its own answer for 3 seconds."""
_WHY_NOT: Final = (
    *(TooManyRequestsError, NotVouchedForError, WebApiError, TimeoutError),
    *(ForbiddenError, AlertNotFoundError, DatabaseUnusableError),
)


class BadSignatureError(RefusedError, code="bad_signature", http_status=401):
    """The request is not signed as Slack signs those to this app, or not within five minutes."""

    example = "the request must be signed by Slack for this app, at most five minutes ago"


@dataclass(frozen=True, slots=True)
class _Said:
    """What came of a press: for the log, and for the person."""

    outcome: str
    text: str | None
    """None where nothing is to be said: the message itself changes."""


async def carry_out(app: App, press: Press, *, address: str | None, request_id: str | None) -> str | None:
    """Take the step that a button stands for; return what the person reads who pressed it, if anything."""
    said = await _carried_out(app, press, address=address, request_id=request_id)
    app.events.emit(
        ButtonPressed(
            step=press.step, alert_id=press.alert_id, slack_user=press.user_id, outcome=said.outcome
        )
    )
    return said.text


async def reply(app: App, press: Press, working: asyncio.Task[str | None]) -> None:
    """Say to the person what came of it; where that cannot be said, it is done all the same."""
    text = await working
    if text is None:
        return
    bot = await _bot(app)
    if press.response_url is None or not await bot.answer(press.response_url, text):
        app.events.emit(PressNotAnswered(slack_user=press.user_id))


async def _carried_out(app: App, press: Press, *, address: str | None, request_id: str | None) -> _Said:
    try:
        await app.people.throttle.change(f"{PrincipalKind.SLACK}:{press.user_id}")
        async with asyncio.timeout(IDENTIFY_WITHIN_S):
            principal = await _presser(app, press)
        actor = Actor(principal=principal, address=address, request_id=request_id)
        return await _taken(app, press, actor)
    except _WHY_NOT as problem:
        return _why_not(problem)


def _why_not(problem: Exception) -> _Said:
    match problem:
        case TooManyRequestsError():
            outcome, why = "too_many", problem.detail
        case NotVouchedForError():
            outcome, why = "not_vouched_for", str(problem)
        case WebApiError():
            outcome, why = "unidentified", f"Slack does not say who you are ({problem})"
        case TimeoutError():
            outcome, why = "unidentified", "Slack took too long to say who you are, please try again"
        case ForbiddenError():
            outcome, why = "forbidden", "your role here may not work on alerts"
        case AlertNotFoundError():
            outcome, why = "not_found", "there is no such alert"
        case _:
            return _Said("unavailable", "The database cannot be used now: please look again, and try again.")
    return _Said(outcome, f"Nothing was changed: {why}.")


async def _presser(app: App, press: Press) -> Principal:
    """Return who pressed; raises NotVouchedForError, WebApiError and DatabaseUnusableError."""
    user = await vouched_user(await _bot(app), press.user_id, team_id=press.team_id)
    if await app.authenticator.is_open():
        return Principal.slack(user.user_id, app.tenant_id)
    if user.email is None:
        raise NotVouchedForError("Slack shows the bot no e-mail address of yours")
    account = await _every(app).access.sessions.account(user.email)
    if account is None or not account.is_active:
        raise NotVouchedForError("no active account here has your e-mail address")
    return account.principal


async def _taken(app: App, press: Press, actor: Actor) -> _Said:
    principal = actor.principal
    is_somebody = principal.kind is not PrincipalKind.SLACK
    try:
        # While nobody is asked who they are, an alert is found by its id, whichever tenant it is of.
        scope = principal.scope(Permission.WRITE_ALERTS) if is_somebody else Scope.of_all()
    except ForbiddenError:
        own = app.store.seen_by(actor, Scope.of_tenant(principal.tenant_id))
        await own.audit.note(Permission.WRITE_ALERTS, press.alert_id)
        raise
    store = app.store.seen_by(actor, scope)
    given_by = f"{PrincipalKind.SLACK}:{press.user_id}" if is_somebody else None
    try:
        alert, is_changed = await store.alert_work.take(
            press.alert_id, press.step, note=None, by=principal.label, given_by=given_by
        )
    except AlertNotFoundError:
        raise
    except RefusedError:
        alert, is_changed = await store.alerts.get(press.alert_id), False
    if is_changed:
        return _Said("done", None)
    return _Said("known", await _stands(_every(app), alert, by=principal.label))


async def _stands(store: Store, alert: ManagedAlert, *, by: str) -> str:
    """Say who was there before, and when."""
    who, at = alert.acknowledged_by, alert.acknowledged_at
    if alert.status is AlertStatus.RESOLVED:
        who, at = alert.resolved_by, alert.resolved_at
    if alert.status is AlertStatus.TRIGGERED or at is None:
        return "Nothing was changed: the alert has changed meanwhile. Please look again."
    name = "you" if who == by else await _named(store, who or "")
    if alert.status is AlertStatus.RESOLVED and alert.resolution_reason != Resolution.PERSON:
        name = "the newest data"
    return f"It has been {alert.status} by {name} already, on {at:%Y-%m-%d at %H:%M} UTC."


async def _named(store: Store, label: str) -> str:
    """Return the name of a principal, as Slack shows it."""
    kind, _, user_id = label.partition(":")
    if kind == PrincipalKind.SLACK and is_user_id(user_id):
        return f"<@{user_id}>"
    if kind == PrincipalKind.USER:
        try:
            label = (await store.access.users.get(user_id)).name
        except UserNotFoundError:
            label = "somebody"
    return escape(label, quote=False)


async def _bot(app: App) -> Bot:
    bot = await app.sender()
    if not isinstance(bot, Bot):
        raise TypeError("only a bot's messages have buttons")
    return bot


def _every(app: App) -> Store:
    """Return the store as the process itself sees it: whose an address is, and who somebody is."""
    return app.store.seen_by(Actor.system(app.tenant_id), Scope.of_all())
