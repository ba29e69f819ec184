"""The support notice: one mail a run about the accounts whose region leads to no channel.

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

from service.delivery.message import arr_text
from service.domain.alert import Alert
from service.domain.month import Month
from service.runtime.clock import Clock
from service.runtime.daemon_thread import run_in_daemon_thread
from service.runtime.private_files import create_private_file, make_private, make_private_folder
from service.telemetry.events import Events, NoticeFailed, NoticeSent, NoticeWritten

LISTED: Final = 200
"""Accounts listed in a notice; the rest is counted."""
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

    async def tell(
        self,
        *,
        run_id: str,
        month: Month,
        alerts: Sequence[Alert],
        undelivered: Mapping[str, int],
        clock: Clock,
        events: Events,
    ) -> bool:
        """Deliver the one notice of a run; returns whether it was delivered. Never raises for a mail server.

        The Message-ID is made of the run's id, so that a notice that is sent twice is seen once.
        """
        try:
            message = self._message(run_id, month, alerts, undelivered)
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
        self, run_id: str, month: Month, alerts: Sequence[Alert], undelivered: Mapping[str, int]
    ) -> EmailMessage:
        count = len(alerts)
        accounts = "1 account" if count == 1 else f"{count} accounts"
        message = EmailMessage(policy=SMTP)
        message["Subject"] = f"Risk alerts {month}: {accounts} without a Slack channel"
        message["From"] = self.sender
        message["To"] = self.recipient
        message["Message-ID"] = f"<{run_id}.unknown-region@risk-alerts>"
        lines = [
            f"{accounts} At Risk could not be told to anyone: the region leads to no Slack channel.",
            "They go out with the next run of the month once the region is corrected or gets a channel.",
            "",
            f"Run:   {run_id}",
            f"Month: {month}",
            f"Count: {count}",
            "",
            *(_account_line(alert) for alert in alerts[:LISTED]),
        ]
        if count > LISTED:
            lines.append(f"… and {count - LISTED} more")
        if undelivered:
            states = ", ".join(f"{number} {status}" for status, number in sorted(undelivered.items()))
            lines += ["", f"Alerts of all months that have not gone out: {states}."]
        message.set_content("\n".join(lines) + "\n")
        return message


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


def _account_line(alert: Alert) -> str:
    region = "null" if alert.account_region is None else repr(alert.account_region[:100])
    values = (
        f"{_plain(alert.account_id)}  {_plain(alert.account_name)}",
        f"region {region}",
        f"ARR {arr_text(alert.arr)}",
        f"owner {_plain(alert.account_owner or 'unknown')}",
    )
    return "- " + " | ".join(values)


def _plain(value: str) -> str:
    """Keep a value from the source on its line, and within reason."""
    text = "".join(character if character.isprintable() else " " for character in value[:200])
    return text.encode("utf-8", "replace").decode("utf-8")
