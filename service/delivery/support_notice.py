"""The support notice: one mail a run about alerts without a channel, and channels that were given up.

With `SMTP_URL` set it is mailed; without, it is written to a file beside the database and the log names the
file. The body never goes into the log.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from service.delivery.reporting import GivenUpLane
from service.domain.alert import Alert
from service.domain.alert_type import AlertType, Notice
from service.runtime.clock import Clock
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.private_files import create_private_file, make_private, make_private_folder
from service.telemetry.delivery_events import NoticeFailed, NoticeSent, NoticeWritten
from service.telemetry.events import Events

LISTED: Final = 200
"""Alerts listed in a notice; the rest is counted."""
SMTP_TIMEOUT_S: Final = 15.0
NOTICE_FOLDER: Final = "support_notices"


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportNotice:
    """Where notices go."""

    recipient: str
    sender: str
    smtp_url: str | None = field(repr=False)
    """A secret: it may hold a password."""
    folder: Path
    """Where notices are written when there is no mail server."""

    async def send(
        self,
        *,
        run_id: str,
        period: str | None,
        alerts: Sequence[Alert],
        alert_type: AlertType,
        given_up: Sequence[GivenUpLane] = (),
        undelivered: Mapping[str, int],
        clock: Clock,
        events: Events,
    ) -> bool:
        """Deliver the one notice of a run; returns whether it was delivered. Never raises for a mail server.

        `alerts` have no channel; those of the lanes `given_up` have one that could not be reached.
        The Message-ID is made of the run's id, so that a notice that is sent twice is seen once.
        """
        try:
            message = self._message(run_id, period, alerts, alert_type, undelivered, given_up)
            message["Date"] = format_datetime(clock.now())
            if self.smtp_url is None:
                path = self.folder / f"{run_id}.eml"
                await run_in_daemon_thread(_write, path, message.as_bytes())
                events.emit(NoticeWritten(run_id=run_id, accounts=len(alerts), path=str(path)))
            else:
                await _mail(self.smtp_url, message)
                events.emit(NoticeSent(run_id=run_id, accounts=len(alerts), message_id=message["Message-ID"]))
        except Exception as problem:  # noqa: BLE001  # neither a mail server nor a bad address may fail the run
            events.emit(NoticeFailed(run_id=run_id, accounts=len(alerts), error=type(problem).__name__))
            return False
        return True

    def _message(
        self,
        run_id: str,
        period: str | None,
        alerts: Sequence[Alert],
        alert_type: AlertType,
        undelivered: Mapping[str, int],
        given_up: Sequence[GivenUpLane] = (),
    ) -> EmailMessage:
        notice = alert_type.notice(len(alerts), period)
        message = EmailMessage(policy=SMTP)
        message["Subject"] = notice.subject if alerts else _only_given_up(given_up, notice)
        message["From"] = self.sender
        message["To"] = self.recipient
        message["Message-ID"] = f"<{run_id}.unknown-region@risk-alerts>"
        lines = [*notice.explanation, ""] if alerts else []
        lines += [f"Run:   {run_id}", notice.about]
        if alerts:
            lines += [f"Count: {len(alerts)}", ""]
            lines += [f"- {alert_type.notice_line(alert)}" for alert in alerts[:LISTED]]
        if len(alerts) > LISTED:
            lines.append(f"… and {len(alerts) - LISTED} more")
        if given_up:
            lines += _given_up(given_up)
        if undelivered:
            states = ", ".join(f"{number} {status}" for status, number in sorted(undelivered.items()))
            lines += ["", f"Alerts of all runs that have not gone out: {states}."]
        message.set_content("\n".join(lines) + "\n")
        return message


def _only_given_up(lanes: Sequence[GivenUpLane], notice: Notice) -> str:
    return f"Alerts: {sum(lane.alerts for lane in lanes)} could not be delivered ({notice.about})"


def _given_up(lanes: Sequence[GivenUpLane]) -> list[str]:
    return [
        "",
        "Slack failed, and these channels were given up:",
        *(f"- {lane.named}: {lane.alerts} not sent: {lane.why}" for lane in lanes),
        "What was not sent goes out with the next run of the period; what is in doubt waits for a person",
        "(risk-alerts settle).",
    ]


def _write(path: Path, content: bytes) -> None:
    make_private_folder(path.parent)
    for notice in path.parent.glob("*.eml"):
        make_private(notice)  # older versions left them to everybody
    create_private_file(path)
    path.write_bytes(content)


async def _mail(url: str, message: EmailMessage) -> None:
    import aiosmtplib  # noqa: PLC0415  # only where there is a mail server

    server = urlsplit(url)
    implicit_tls = server.scheme == "smtps"
    await aiosmtplib.send(
        message,
        hostname=server.hostname,
        port=server.port or (465 if implicit_tls else 587),
        username=unquote(server.username) if server.username else None,
        password=unquote(server.password) if server.password else None,
        use_tls=implicit_tls,
        timeout=SMTP_TIMEOUT_S,
    )
