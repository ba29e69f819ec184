"""`keys`: API keys are made, listed and revoked by who has the database, without any key."""

import sys
from collections.abc import Sequence
from datetime import timedelta

from service.api.schemas.key import KeyMadeOut, KeyOut, KeysOut
from service.cli.command import async_command, operator, print_answer, print_json
from service.cli.identities.columns import print_columns
from service.domain.identity.api_key import KeySecret
from service.domain.identity.permission import KeyScope
from service.settings import Settings
from service.store.store import open_store_to_read
from service.wiring import open_app


@async_command
async def new_key(
    settings: Settings, *, name: str, scope: Sequence[KeyScope], expires_in_days: int | None, as_json: bool
) -> None:
    """Make a key and print it, this once."""
    secret = KeySecret.new()
    async with open_app(settings, operator=operator()) as app:
        now = app.clock.now()
        expires_at = None if expires_in_days is None else now + timedelta(days=expires_in_days)
        key = await app.store.access.keys.create(
            secret, name=name, scopes=scope, now=now, expires_at=expires_at
        )
    if as_json:
        print_json(KeyMadeOut(key=secret.text, **KeyOut.of(key).model_dump()))
    else:
        # Alone on stdout, so that it can be piped to where it is kept.
        sys.stdout.write(f"{secret.text}\n")
        sys.stderr.write(f"risk-alerts: key {key.id} is made; it is not shown again\n")


@async_command
async def list_keys(settings: Settings, *, as_json: bool) -> None:
    """Print the keys of the tenant."""
    url = settings.ledger_url()
    async with open_store_to_read(url, tenant_id=settings.tenant_id) as store:
        answer = KeysOut.of({"keys": await store.access.keys.list()})
    print_answer(answer, lambda: _print(answer.keys), as_json=as_json)


@async_command
async def revoke_key(settings: Settings, key_id: str, *, as_json: bool) -> None:
    """Revoke a key and print it."""
    async with open_app(settings, operator=operator()) as app:
        key = await app.store.access.keys.revoke(key_id, now=app.clock.now())
    answer = KeyOut.of(key)
    print_answer(answer, lambda: _print([answer]), as_json=as_json)


def _print(keys: Sequence[KeyOut]) -> None:
    titles = ("ID", "NAME", "SCOPES", "CREATED", "BY", "EXPIRES", "LAST USED", "REVOKED")
    print_columns(
        titles,
        [
            (
                key.id,
                key.name,
                " ".join(key.scopes),
                key.created_at,
                key.created_by,
                key.expires_at,
                key.last_used_at,
                key.revoked_at,
            )
            for key in keys
        ],
    )
