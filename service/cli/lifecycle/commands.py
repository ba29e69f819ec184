"""`alerts …`: the alerts that people work on, listed, shown, worked on, created and counted."""

from typing import Annotated, Final

import typer

from service.cli.declared import done_by
from service.domain.lifecycle.alert_status import AlertStatus, AlertStep, Severity

alerts = typer.Typer(help="List alerts, work on them, and count them.", rich_markup_mode=None)

AlertId = Annotated[str, typer.Argument(metavar="ID", help="The alert's id, or that of an occurrence.")]
Note = Annotated[str | None, typer.Option("--note", help="Why; kept for good.")]
By = Annotated[str | None, typer.Option("--by", help="Who; by default the system's user.")]
Json = Annotated[bool, typer.Option("--json", help="Print the API's own answer instead of tables.")]
_LIMIT: Final = 50


@alerts.callback()
def work() -> None:
    """List alerts, work on them, and count them."""


@alerts.command(name="list")
@done_by("lifecycle.flows:print_alerts")
def list_alerts(
    status: Annotated[AlertStatus | None, typer.Option(help="Only those.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only those.")] = None,
    rule_name: Annotated[str | None, typer.Option("--rule", help="Only those of this rule_name.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only those about this, such as an account's id.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = _LIMIT,
    cursor: Annotated[str | None, typer.Option(help="What the page before ended with.")] = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """List alerts, newest first."""


@alerts.command()
@done_by("lifecycle.flows:show_alert")
def show(
    alert_id: AlertId,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show an alert, its occurrences and what became of each, and what happened to it."""


def _step(step: AlertStep, what_it_says: str) -> None:
    @alerts.command(name=step, help=what_it_says)
    @done_by("lifecycle.flows:take_step", step=step)
    def take(
        alert_id: AlertId,
        note: Note = None,
        by: By = None,
        as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
    ) -> None:
        pass


_step(
    AlertStep.ACKNOWLEDGE,
    "Say that somebody works on an alert; after somebody else it is refused, with who and when.",
)
_step(AlertStep.RESOLVE, "Say that an alert is over.")
_step(AlertStep.UNACKNOWLEDGE, "Give an alert back.")
_step(AlertStep.REOPEN, "Say that an alert is not over after all.")


@alerts.command()
@done_by("lifecycle.flows:add_note")
def note(
    alert_id: AlertId,
    text: Annotated[str, typer.Argument(help="The note.")],
    by: By = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Add a note to an alert."""


@alerts.command()
@done_by("lifecycle.flows:print_stats")
def stats(
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Count the alerts of `TENANT_ID` by status and severity."""


@alerts.command()
@done_by("lifecycle.flows:create_alert")
def create(
    rule_name: Annotated[str, typer.Argument(metavar="RULE_NAME")],
    message: Annotated[str, typer.Argument()],
    severity: Annotated[Severity, typer.Option()] = Severity.MEDIUM,
    subject: Annotated[str | None, typer.Option(help="What it is about; one open alert for each.")] = None,
    dedup_key: Annotated[
        str | None, typer.Option("--key", help="dedup_key: one open alert for each.")
    ] = None,
    by: By = None,
    as_json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Create an alert; where one like it is open, that one gets an event."""
