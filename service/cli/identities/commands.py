"""The groups of commands about identities."""

from pathlib import Path
from typing import Annotated, Final

import typer

from service.cli.declared import done_by
from service.domain.identity.permission import KeyScope, Role

keys = typer.Typer(
    help="Make, list and revoke the API keys of TENANT_ID.", rich_markup_mode=None, no_args_is_help=True
)
users = typer.Typer(
    help="Make the users of TENANT_ID, and give them passwords.", rich_markup_mode=None, no_args_is_help=True
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of columns.")]
Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The person's e-mail address.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from stdin instead of asking for it.")
]
_EVERY_SCOPE: Final = ", ".join(KeyScope)


@keys.command()
@done_by("identities.keys:new_key")
def new(
    name: Annotated[str, typer.Option(help="What it is for: a name in lists and in the audit.")],
    scope: Annotated[list[KeyScope], typer.Option(help=f"What it may do; once for each of {_EVERY_SCOPE}.")],
    expires_in_days: Annotated[
        int | None, typer.Option(help="When it ends by itself; by default it does not.", min=1, max=3_650)
    ] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Make an API key and print it: this once, since only a hash of it is kept.

    With the first identity the API stops being open: from then on every request has to show one. Two keys may
    be valid at once: make the new one, hand it out, then revoke the old one.
    """


@keys.command(name="list")
@done_by("identities.keys:list_keys")
def list_(
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """List the keys, newest first: what each may do, until when, and when it was last used."""


@keys.command()
@done_by("identities.keys:revoke_key")
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `keys list` shows it.")],
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Revoke a key: it opens nothing any more, from the next request on.

    Revoking the last one does not open the API again.
    """


@done_by("identities.audit:print_audit")
def audit(
    limit: Annotated[int, typer.Option(help="How many entries to show.", min=1, max=1_000)] = 50,
    cursor: Annotated[str | None, typer.Option(help="next_cursor of the previous page.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action, such as run.begin.")] = None,
    principal: Annotated[str | None, typer.Option(help="Only what this one did, such as cli:ann.")] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show who did what: every change, and every change that was refused, newest first."""


@keys.command()
@done_by("identities.signing:new_signing_key")
def jwt(
    file: Annotated[
        Path | None, typer.Option(help="The file of the keys; by default JWT_KEYS_FILE.", metavar="PATH")
    ] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Make a key that signs access tokens, in a file that only its owner can read.

    The key that was there before still verifies; an older one ends. A service that is running notices within
    a second. Without such a file nobody can log in.
    """


@users.command(name="new")
@done_by("identities.users:new_user")
def new_user(
    email: Email,
    role: Annotated[Role, typer.Option(help="What the person is; super_admins are made here only.")],
    name: Annotated[str | None, typer.Option(help="By default what stands before the @.")] = None,
    organization_id: Annotated[
        str | None,
        typer.Option(
            "--organization", metavar="ID", help="The organisation; org_admin and org_member need one."
        ),
    ] = None,
    reads_stdin: FromStdin = False,  # noqa: FBT002  # how typer spells a flag
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Make a user, and ask for the password.

    With the first identity the API stops being open: from then on every request has to show one.
    """


@users.command(name="list")
@done_by("identities.users:list_users")
def list_users(
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """List the users by id."""


@users.command()
@done_by("identities.users:set_password")
def password(
    email: Email,
    reads_stdin: FromStdin = False,  # noqa: FBT002  # how typer spells a flag
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Give a user another password, which ends all their log-ins."""


@users.command()
@done_by("identities.users:set_active", is_active=False)
def deactivate(
    email: Email,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Let a user in no more, from the next request on; a super_admin, too."""


@users.command()
@done_by("identities.users:set_active", is_active=True)
def activate(
    email: Email,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Let a user in again."""
