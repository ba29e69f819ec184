"""The wiring: every resource of one process is opened and closed here, and policies are made of settings."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from service.delivery.channels import Channels, Destination
from service.delivery.policy import DeliveryPolicy
from service.domain.delivery_status import AmbiguousSends
from service.domain.errors import ClusterUnreachableError
from service.domain.identity.actor import Actor
from service.domain.identity.principal import Principal
from service.domain.identity.scope import Scope
from service.kinds import kinds_of, storage_access
from service.runs.context import App, Reading, RunPolicy
from service.runtime.clock import Clock, SystemClock
from service.runtime.on_demand import on_demand
from service.settings import Settings
from service.settings.value_types import plain

if TYPE_CHECKING:
    from service.access.bearer import JwtDoor
    from service.access.people import People
    from service.default_risk.predictor import Predictor
    from service.delivery.slack.bot import Bot
    from service.delivery.slack.outgoing import MessageSender
    from service.delivery.slack.sender import SlackSender
    from service.delivery.support_notice import SupportNotice
    from service.store.store import Store
    from service.telemetry.events import Events

__all__ = ["App", "Reading", "check_extras", "open_app", "open_reading", "storage_access"]


@asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    events: "Events | None" = None,
    resumes: bool = False,
    begin: asyncio.Event | None = None,
    operator: str | None = None,
) -> AsyncIterator[App]:
    """Open everything a process needs; raises DatabaseUnusableError, and ValueError for a bad CONFIG_FILE.

    With `resumes`, runs whose process died are resumed here, and old ones deleted, once `begin` is set; else
    both are left to whoever does. All is done under the name of `operator`, who is at the command line.
    """
    # What runs is loaded here: a preview, which a person waits for, needs none of it.
    from service.access.authentication import Authenticator  # noqa: PLC0415
    from service.runs.waiting.kind import with_outbox  # noqa: PLC0415
    from service.store.store import open_store  # noqa: PLC0415
    from service.telemetry.events import Events  # noqa: PLC0415

    check_extras(settings)
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            open_store(settings.ledger_url(), tenant_id=settings.tenant_id)
        )
        people = people_of(settings, clock)
        authenticator = Authenticator(
            store,
            auth=settings.auth,
            tenant_id=settings.tenant_id,
            clock=clock,
            tokens=_token_door(settings, people, store, clock),
            internal_key=plain(settings.internal_service_key),
        )
        stack.push_async_callback(authenticator.close)
        if operator is None and settings.oidc_issuers:
            # An issuer is an identity, too, and the only one that the database would not know of.
            await store.access.door.close(now=clock.now())
        if operator is not None:
            person = Actor(principal=Principal.command_line(operator, settings.tenant_id))
            store = store.seen_by(person, Scope.of_tenant(settings.tenant_id))
        events = events or Events()
        channels = channels_of(settings)
        policy = _run_policy(settings, channels)
        sender = await stack.enter_async_context(on_demand(partial(sender_of, settings, clock, events)))
        shipped = await stack.enter_async_context(on_demand(partial(_predictor_of, settings)))

        async def predictor() -> "Predictor":
            return await (await shipped()).current(store.default_risk.models)

        app = App(
            channels=channels,
            store=store,
            tenant_id=settings.tenant_id,
            authenticator=authenticator,
            people=people,
            sender=sender,
            predictor=predictor,
            notice=partial(support_notice, settings),
            storage=storage_access(settings),
            kinds=with_outbox(kinds_of(settings, store, clock), store.waiting, clock, policy.replays),
            clock=clock,
            events=events,
            policy=policy,
            delivery=_delivery_policy(settings),
        )
        _say_what_was_opened(settings, app)
        stack.push_async_callback(_finish, app)
        stack.push_async_callback(_end, asyncio.create_task(_work_unasked(app, begin, resumes=resumes)))
        yield app


@asynccontextmanager
async def open_reading(settings: Settings) -> AsyncIterator[Reading]:
    """Open what a preview needs, and write nothing; raises as `open_store_to_read` does.

    Raises ValueError for a bad CONFIG_FILE.
    """
    from service.store.store import open_store_to_read  # noqa: PLC0415  # a plan needs no database

    check_extras(settings)
    async with open_store_to_read(settings.ledger_url(), tenant_id=settings.tenant_id) as store:
        clock, channels = SystemClock(), channels_of(settings)
        yield Reading(
            channels=channels,
            store=store,
            storage=storage_access(settings),
            kinds=kinds_of(settings, store, clock),
            clock=clock,
            policy=_run_policy(settings, channels),
            delivery=_delivery_policy(settings),
        )


def check_extras(settings: Settings) -> None:
    """Refuse a setting whose library is not installed: at start, and not when a run gets there."""
    if settings.evaluate_on and find_spec("distributed") is None:
        raise ClusterUnreachableError("EVALUATE_ON needs the extra `dask`: pip install 'risk-alerts[dask]'")


def _say_what_was_opened(settings: Settings, app: App) -> None:
    from service.telemetry.events import LedgerMayBeLost, LedgerNotNamed, Opened  # noqa: PLC0415  # as above

    database = settings.database_shown()
    app.events.emit(Opened(database=database, slack=app.channels.destination))
    if warning := settings.ledger_warning():
        app.events.emit(LedgerNotNamed(database=database, detail=warning))
    if settings.kubernetes_service_host and settings.sqlite_path() and not settings.allow_ephemeral_database:
        app.events.emit(LedgerMayBeLost(database=database))


def sender_of(
    settings: Settings, clock: Clock, events: "Events"
) -> AbstractAsyncContextManager["MessageSender"]:
    """Return what posts, to be opened: a bot where that is how channels are reached, else webhooks."""
    if channels_of(settings).destination is Destination.BOT:
        return bot_of(settings, clock, events)
    return slack_of(settings, clock)


def bot_of(settings: Settings, clock: Clock, events: "Events") -> AbstractAsyncContextManager["Bot"]:
    """Return the bot, to be opened."""
    from service.delivery.slack.bot import open_bot  # noqa: PLC0415  # as below

    return open_bot(
        api_url=settings.slack_api_url,
        token=plain(settings.slack_bot_token) or "",
        marker_key=plain(settings.marker_key) or "",
        concurrency=settings.slack_concurrency,
        timeout_s=settings.slack_timeout_s,
        clock=clock,
        events=events,
    )


def slack_of(settings: Settings, clock: Clock) -> AbstractAsyncContextManager["SlackSender"]:
    """Return this process's connections to Slack's webhooks, to be opened."""
    # aiohttp is a tenth of a service's start: nothing needs it before the first message.
    from service.delivery.slack.sender import open_slack  # noqa: PLC0415

    return open_slack(
        concurrency=settings.slack_concurrency,
        auth_token=plain(settings.slack_auth_token),
        clock=clock,
    )


def _predictor_of(settings: Settings) -> AbstractAsyncContextManager["Predictor"]:
    """Return what scores companies; there is nothing to close."""
    # NumPy and Arrow, which a start does without.
    from service.default_risk.levels import RiskThresholds  # noqa: PLC0415
    from service.default_risk.predictor import Predictor  # noqa: PLC0415

    thresholds = RiskThresholds.parse(settings.risk_thresholds)
    return nullcontext(Predictor.shipped(prior=settings.prior, thresholds=thresholds))


def people_of(settings: Settings, clock: Clock) -> "People":
    """Return how people log in; the keys are read when they are first needed."""
    # Loaded where somebody can come, as what sends is.
    from service.access.access_tokens import AccessTokens  # noqa: PLC0415
    from service.access.passwords import Passwords  # noqa: PLC0415
    from service.access.people import People  # noqa: PLC0415
    from service.access.signing_keys import SigningKeys  # noqa: PLC0415
    from service.access.throttle import Throttle  # noqa: PLC0415

    path = settings.jwt_keys_file
    return People(
        tokens=AccessTokens(SigningKeys(path, clock), settings.jwt_issuer, clock) if path else None,
        passwords=Passwords(),
        throttle=Throttle(
            changes=settings.limit_changes, failed_logins=settings.limit_failed_logins, clock=clock
        ),
    )


def _token_door(settings: Settings, people: "People", store: "Store", clock: Clock) -> "JwtDoor":
    """Return what reads tokens that are no API keys."""
    from service.access.bearer import JwtDoor  # noqa: PLC0415  # as above
    from service.access.oidc import Guest, Issuer, Oidc  # noqa: PLC0415  # as above

    issuers = tuple(
        Issuer(
            url=each.issuer,
            audience=each.audience,
            guests={
                email: Guest(guest.tenant_id or settings.tenant_id, guest.scopes)
                for email, guest in each.emails.items()
            },
        )
        for each in settings.oidc_issuers or ()
    )
    every = store.seen_by(Actor.system(settings.tenant_id), Scope.of_all())
    return JwtDoor(people, Oidc(issuers, clock), every.access.sessions)


def channels_of(settings: Settings) -> Channels:
    """Return where alerts go; raises ValueError for a bad CONFIG_FILE or SLACK_WEBHOOKS_FILE."""
    return Channels(
        by_region=settings.channels_by_region(),
        webhook_base_url=plain(settings.slack_webhook_base_url),
        webhooks=settings.webhooks_by_channel(),
        bot_token=plain(settings.slack_bot_token),
        api_url=settings.slack_api_url,
        signing_secret=plain(settings.slack_signing_secret),
        webhook_url=plain(settings.slack_webhook_url),
    )


def support_notice(settings: Settings) -> "SupportNotice":
    """Return where notices go: the folder is the one that the SQLite database lies in, else `data/`."""
    from service.delivery.support_notice import NOTICE_FOLDER, SupportNotice  # noqa: PLC0415  # as above

    database = settings.sqlite_path()
    beside = Path("data") if database is None else database.parent
    return SupportNotice(
        recipient=settings.support_email,
        sender=settings.support_email_from,
        smtp_url=plain(settings.smtp_url),
        folder=beside / NOTICE_FOLDER,
    )


def _run_policy(settings: Settings, channels: Channels) -> RunPolicy:
    in_container = any(
        (
            settings.k_service,
            settings.cloud_run_job,
            settings.ecs_container_metadata_uri_v4,
            settings.aws_lambda_function_name,
        )
    )
    return RunPolicy(
        database_is_durable=settings.allow_ephemeral_database
        or not (in_container and settings.sqlite_path()),
        lease_s=settings.lease_s,
        resume_within=timedelta(hours=settings.resume_within_h),
        keep_runs=timedelta(days=settings.keep_runs_days),
        ambiguous_sends=settings.ambiguous_sends,
        replays=AmbiguousSends.HOLD if channels.destination is Destination.BOT else settings.ambiguous_sends,
        reconcile_after_s=settings.reconcile_after_s,
        reconcile_for_s=settings.reconcile_for_s,
        repeats_notices=settings.support_notice == "always",
        summarizes=settings.summary,
        most_of_a_rule=settings.max_alerts_per_rule,
    )


def _delivery_policy(settings: Settings) -> DeliveryPolicy:
    return DeliveryPolicy(
        messages_per_second=settings.slack_messages_per_second,
        timeout_s=settings.slack_timeout_s,
        max_retries=settings.slack_max_retries,
        deadline_s=settings.delivery_deadline_s,
        lease_s=settings.lease_s,
        shutdown_grace_s=settings.shutdown_grace_s,
    )


async def _work_unasked(app: App, begin: asyncio.Event | None, *, resumes: bool) -> None:
    if begin is not None:
        await begin.wait()
    from service.jobs.unasked import work_unasked  # noqa: PLC0415  # what runs, which no answer waits for

    await work_unasked(app, resumes=resumes)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _finish(app: App) -> None:
    """Give the runs that are still at work their grace.

    What has not even been released by then is found when its lease has run out.
    """
    await app.at_work.close(app.clock, grace_s=app.delivery.shutdown_grace_s)
