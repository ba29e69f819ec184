"""`alerts …`: the alerts that people work on, listed, shown, worked on, created and counted."""

from typing import Annotated, Final

import typer

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
def list_alerts(
    status: Annotated[AlertStatus | None, typer.Option(help="Only those.")] = None,
    severity: Annotated[Severity | None, typer.Option(help="Only those.")] = None,
    rule: Annotated[str | None, typer.Option(help="Only those of this rule_name.")] = None,
    subject: Annotated[
        str | None, typer.Option(help="Only those about this, such as an account's id.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = _LIMIT,
    cursor: Annotated[str | None, typer.Option(help="What the page before ended with.")] = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """List alerts, newest first."""
    from service.cli.lifecycle.flows import print_alerts  # noqa: PLC0415  # cold start
    from service.domain.lifecycle.managed_alert import AlertFilter  # noqa: PLC0415  # cold start

    wanted = AlertFilter(status=status, severity=severity, rule_name=rule, subject=subject)
    raise typer.Exit(print_alerts(wanted, limit=limit, cursor=cursor, as_json=json))


@alerts.command()
def show(
    alert_id: AlertId,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Show an alert, its occurrences and what became of each, and what happened to it."""
    from service.cli.lifecycle.flows import show_alert  # noqa: PLC0415  # cold start

    raise typer.Exit(show_alert(alert_id, as_json=json))


@alerts.command()
def acknowledge(
    alert_id: AlertId,
    note: Note = None,
    by: By = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Say that somebody works on an alert; after somebody else it is refused, with who and when."""
    _take(AlertStep.ACKNOWLEDGE, alert_id, note=note, by=by, as_json=json)


@alerts.command()
def resolve(
    alert_id: AlertId,
    note: Note = None,
    by: By = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Say that an alert is over."""
    _take(AlertStep.RESOLVE, alert_id, note=note, by=by, as_json=json)


@alerts.command()
def unacknowledge(
    alert_id: AlertId,
    note: Note = None,
    by: By = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Give an alert back."""
    _take(AlertStep.UNACKNOWLEDGE, alert_id, note=note, by=by, as_json=json)


@alerts.command()
def reopen(
    alert_id: AlertId,
    note: Note = None,
    by: By = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Say that an alert is not over after all."""
    _take(AlertStep.REOPEN, alert_id, note=note, by=by, as_json=json)


@alerts.command()
def note(
    alert_id: AlertId,
    text: Annotated[str, typer.Argument(help="The note.")],
    by: By = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Add a note to an alert."""
    from service.cli.lifecycle.flows import add_note  # noqa: PLC0415  # cold start

    raise typer.Exit(add_note(alert_id, text, by=by, as_json=json))


@alerts.command()
def stats(
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Count the alerts of `TENANT_ID` by status and severity."""
    from service.cli.lifecycle.flows import print_stats  # noqa: PLC0415  # cold start

    raise typer.Exit(print_stats(as_json=json))


@alerts.command()
def create(
    rule: Annotated[str, typer.Argument(metavar="RULE_NAME")],
    message: Annotated[str, typer.Argument()],
    severity: Annotated[Severity, typer.Option()] = Severity.MEDIUM,
    subject: Annotated[str | None, typer.Option(help="What it is about; one open alert for each.")] = None,
    key: Annotated[str | None, typer.Option(help="dedup_key: one open alert for each.")] = None,
    by: By = None,
    json: Json = False,  # noqa: FBT002  # how typer spells a flag
) -> None:
    """Create an alert; where one like it is open, that one gets an event."""
    from service.cli.lifecycle.flows import create_alert  # noqa: PLC0415  # cold start

    body = {"rule_name": rule, "message": message, "severity": severity, "subject": subject}
    raise typer.Exit(create_alert(body | {"dedup_key": key, "by": by}, as_json=json))


def _take(step: AlertStep, alert_id: str, *, note: str | None, by: str | None, as_json: bool) -> None:
    from service.cli.lifecycle.flows import take_step  # noqa: PLC0415  # cold start

    raise typer.Exit(take_step(step, alert_id, note=note, by=by, as_json=as_json))
