"""`audit`: who did what, as it is written down."""

from service.api.schemas.audit import AuditOut
from service.cli.command import async_command, open_ledger, print_json, report
from service.cli.identities.columns import print_columns
from service.settings import Settings


@async_command
async def print_audit(
    settings: Settings,
    *,
    limit: int,
    cursor: str | None,
    action: str | None,
    principal: str | None,
    as_json: bool,
) -> None:
    """Print entries of the audit, newest first."""
    async with open_ledger(settings) as store:
        page = await store.audit.list(limit=limit, cursor=cursor, action=action, principal=principal)
    answer = AuditOut.of(page)
    if as_json:
        print_json(answer)
        return
    titles = ("AT", "PRINCIPAL", "ACTION", "TARGET", "OUTCOME", "FROM", "REQUEST")
    rows = [
        (each.at, each.principal, each.action, each.target, each.outcome, each.address, each.request_id)
        for each in answer.entries
    ]
    print_columns(titles, rows)
    if answer.next_cursor is not None:
        report(f"there are more: --cursor {answer.next_cursor}")
