"""The support notice before a real mail server, and after real runs."""

import asyncio
import email
import email.policy
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from structlog.testing import capture_logs

from service.account_risk.account_at_risk import AccountAtRisk
from service.account_risk.risk_alert import RiskAlert
from service.delivery import support_notice as notice_module
from service.domain.delivery_status import Outcome
from service.settings import Settings
from service.telemetry.events import Events
from service.wiring import support_notice
from tests.support.alerts import MONTH, an_alert
from tests.support.clocks import ManualClock
from tests.support.house import AMER, Desk, House, arrivals, warning_codes
from tests.support.rows import account

RUN_ID: Final = "20260201T090000Z-0a1b2c3d"
RISK = RiskAlert(details_base_url="https://app.example.com")
PASSWORD: Final = "s3cr3t/p@ss word"
ENCODED: Final = "s3cr3t%2Fp%40ss%20word"


def read_mail(content: Any) -> EmailMessage:
    """Read a mail as a mail program reads it."""
    assert isinstance(content, bytes)
    return email.message_from_bytes(content, _class=EmailMessage, policy=email.policy.default)


@dataclass(slots=True)
class Postbox:
    """What a mail server has taken."""

    refuses: bool = False
    """Whether it takes no mail at all."""
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[bytes] = field(default_factory=list)
    port: int = 0

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name for it
        """Take or refuse a message."""
        if self.refuses:
            return "554 5.7.1 s3cr3t policy"
        self.envelopes.append(envelope)
        return "250 OK"

    def login(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any
    ) -> AuthResult:
        """Let in whoever knows the password."""
        assert isinstance(given, LoginPassword)
        self.logins.append(given.login)
        known = given.login == b"al ice" and given.password == PASSWORD.encode()
        return AuthResult(success=known, handled=False)

    @property
    def messages(self) -> list[EmailMessage]:
        """The mails, in the order of arrival."""
        return [read_mail(envelope.content) for envelope in self.envelopes]


class Connection(SMTP):  # type: ignore[misc]  # aiosmtpd has no types
    """A connection to the mail server, which knows when it is over."""

    def __init__(self, postbox: Postbox, **options: Any) -> None:
        """Serve one client."""
        super().__init__(postbox, hostname="mail.test", enable_SMTPUTF8=True, **options)
        self.over = asyncio.Event()

    def connection_lost(self, error: Exception | None) -> None:
        """Note that its socket is about to be closed."""
        super().connection_lost(error)
        self.over.set()


@asynccontextmanager
async def mail_server(postbox: Postbox, **options: Any) -> AsyncIterator[str]:
    """Run a mail server that puts everything into `postbox`; yields `host:port`."""
    connections: list[Connection] = []

    def connection() -> Connection:
        connections.append(Connection(postbox, **options))
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()
        # Python 3.11 waits for the listening socket only, and a socket left open fails the test.
        for each in connections:
            if each.transport is not None:
                each.transport.close()
            await each.over.wait()


@pytest.fixture(name="postbox")
def an_empty_postbox() -> Postbox:
    """Return a postbox without mail."""
    return Postbox()


async def notify(smtp_url: str, *alerts: AccountAtRisk) -> bool:
    """Notify support by mail."""
    settings = Settings(_env_file=None, smtp_url=smtp_url, support_email_from="risk-alerts@example.com")
    return await support_notice(settings).send(
        run_id=RUN_ID,
        period=str(MONTH),
        alerts=alerts,
        alert_type=RISK,
        undelivered={"failed": 3},
        clock=ManualClock(),
        events=Events(),
    )


# The mail


async def test_a_notice_arrives_as_a_mail(postbox: Postbox) -> None:
    """Support gets one mail with a fixed Message-ID that says run, month, count, accounts and the rest."""
    async with mail_server(postbox) as address:
        assert await notify(
            f"smtp://{address}",
            an_alert(account_region="LATAM", account_name="株式会社 <!channel>\nBcc: x"),
            an_alert(account_id="b", account_region=None, arr=None, account_owner=None),
        )
    (envelope,) = postbox.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == ("risk-alerts@example.com", ["support@quadsci.ai"])
    (message,) = postbox.messages
    assert message["Message-ID"] == f"<{RUN_ID}.unknown-region@risk-alerts>"
    assert message["To"] == "support@quadsci.ai"
    assert message["Bcc"] is None
    lines = message.get_content().splitlines()
    assert [f"Run:   {RUN_ID}", "Month: 2026-01-01", "Count: 2"] == lines[3:6]
    assert [line for line in lines if line.startswith("- ")] == [
        "- a00636  株式会社 <!channel> Bcc: x | region 'LATAM' | ARR $10,211 | owner owner@example.com",
        "- b  Amber Analytics | region null | ARR Unknown | owner unknown",
    ]
    assert lines[-1].endswith("3 failed.")


async def test_a_long_list_arrives_whole(postbox: Postbox) -> None:
    """Two hundred accounts with long names in any script come through a mail server's limits on lines."""
    alerts = [an_alert(account_id=f"a{number}", account_name="é." * 2_000) for number in range(201)]
    async with mail_server(postbox) as address:
        assert await notify(f"smtp://{address}", *alerts)
    (message,) = postbox.messages
    lines = message.get_content().splitlines()
    assert sum(line.startswith("- ") for line in lines) == 200
    assert "… and 1 more" in lines


async def test_the_log_names_the_mail_and_not_its_content(postbox: Postbox) -> None:
    """One line: the run, how many accounts, and the Message-ID to look for."""
    async with mail_server(postbox) as address:
        with capture_logs() as events:
            await notify(f"smtp://{address}", an_alert(account_name="C4nary Ltd"))
    assert events == [
        {
            "event": "notice_sent",
            "log_level": "info",
            "run_id": RUN_ID,
            "accounts": 1,
            "message_id": f"<{RUN_ID}.unknown-region@risk-alerts>",
        }
    ]


async def test_the_password_opens_the_mail_server(postbox: Postbox) -> None:
    """User and password of the URL, percent-encoded there, are what the server gets."""
    options = {"authenticator": postbox.login, "auth_require_tls": False}
    async with mail_server(postbox, **options) as address:
        assert await notify(f"smtp://al%20ice:{ENCODED}@{address}", an_alert())
    assert postbox.logins == [b"al ice"]
    assert len(postbox.messages) == 1


async def test_a_wrong_password_fails_the_notice_only(postbox: Postbox) -> None:
    """The run goes on, and neither password nor user is in the log."""
    options = {"authenticator": postbox.login, "auth_require_tls": False}
    async with mail_server(postbox, **options) as address:
        with capture_logs() as events:
            assert not await notify(f"smtp://mallory:{ENCODED}@{address}", an_alert())
    assert postbox.messages == []
    # Other libraries log here, too, once anybody in this process has configured logging.
    assert [event["event"] for event in events if "logger" not in event] == ["notice_failed"]
    assert "s3cr3t" not in repr(events)
    assert "mallory" not in repr(events)


async def test_a_refused_mail_fails_the_notice_only(postbox: Postbox) -> None:
    """What the server says may hold anything, so the log names the kind of failure alone."""
    postbox.refuses = True
    async with mail_server(postbox) as address:
        with capture_logs() as events:
            assert not await notify(f"smtp://{address}", an_alert())
    (event,) = events
    assert (event["event"], event["run_id"], event["accounts"]) == ("notice_failed", RUN_ID, 1)
    assert "s3cr3t" not in repr(event)


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("host", ["127.0.0.1:{free}", "mail.invalid:25"])
async def test_no_mail_server_fails_the_notice_only(scheme: str, host: str) -> None:
    """A server that is down, unknown or impossible: no exception, one error line without the URL."""
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        free = taken.getsockname()[1]
    with capture_logs() as events:
        assert not await notify(f"{scheme}://c4nary:c4nary@{host.format(free=free)}", an_alert())
    assert [event["event"] for event in events] == ["notice_failed"]
    assert "c4nary" not in repr(events)


async def test_a_mail_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts and says nothing holds the run up for a limited time only."""
    assert notice_module.SMTP_TIMEOUT_S <= 15
    monkeypatch.setattr(notice_module, "SMTP_TIMEOUT_S", 0.2)
    gone = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with asyncio.timeout(10):
        assert not await notify(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", an_alert())
        await gone.wait()
    server.close()
    await server.wait_closed()


# The notice of a run


@asynccontextmanager
async def open_desk(house: House, postbox: Postbox, **changes: Any) -> AsyncIterator[Desk]:
    """Open the app with a mail server beside it."""
    async with mail_server(postbox) as address, house.open(smtp_url=f"smtp://{address}", **changes) as desk:
        yield desk


def rows(*regions: str | None) -> list[dict[str, Any]]:
    """Return an account for each region: a0, a1 and so on."""
    return [account(f"a{number}", account_region=region) for number, region in enumerate(regions)]


def accounts_reported(message: EmailMessage) -> set[str]:
    """Return the accounts that a notice lists."""
    return {line.split()[1] for line in message.get_content().splitlines() if line.startswith("- ")}


async def test_a_run_notifies_support_once(house: House, postbox: Postbox) -> None:
    """One mail lists exactly the accounts whose region leads nowhere; the others went to Slack."""
    async with open_desk(house, postbox) as desk:
        run = await desk.run(house.source(rows("AMER", None, "", "LATAM", "amer")))
        outcomes = await desk.outcomes(run)
    (message,) = postbox.messages
    assert accounts_reported(message) == {"a1", "a2", "a3", "a4"}
    assert message["Message-ID"] == f"<{run.run_id}.unknown-region@risk-alerts>"
    assert arrivals(house.slack) == [(AMER, "a0")]
    assert outcomes == {"a0": Outcome.SENT} | dict.fromkeys(("a1", "a2", "a3", "a4"), Outcome.FAILED)
    assert (run.counts.failed_deliveries, run.counts.unknown_region) == (4, 4)
    assert warning_codes(run)["unknown_region"] == 4


async def test_the_notice_counts_what_has_not_gone_out(house: House, postbox: Postbox) -> None:
    """The failures of this run and of earlier months stand in it."""
    async with open_desk(house, postbox) as desk:
        earlier = [account("e", account_region=None, month="2025-12-01")]
        await desk.run(house.source(earlier, "earlier.parquet"), month="2025-12-01")
        await desk.run(house.source(rows(None, None)))
    assert "Alerts of all runs that have not gone out: 3 failed." in postbox.messages[1].get_content()


async def test_a_replay_notifies_support_again_where_that_is_wanted(house: House, postbox: Postbox) -> None:
    """Each run that meets such accounts says so, under its own Message-ID."""
    async with open_desk(house, postbox, support_notice="always") as desk:
        source = house.source(rows("AMER", None))
        runs = [await desk.run(source), await desk.run(source)]
    assert [message["Message-ID"] for message in postbox.messages] == [
        f"<{run.run_id}.unknown-region@risk-alerts>" for run in runs
    ]
    assert [accounts_reported(message) for message in postbox.messages] == [{"a1"}, {"a1"}]


async def test_a_region_that_is_mapped_later_is_reported_no_more(house: House, postbox: Postbox) -> None:
    """Once the region has a channel the alert goes out, and support hears nothing of it any more."""
    source = house.source(rows("LATAM"))
    async with open_desk(house, postbox) as desk:
        await desk.run(source)
    async with open_desk(house, postbox, region_channels={"LATAM": "latam-risk-alerts"}) as desk:
        run = await desk.run(source)
    assert len(postbox.messages) == 1
    assert run.counts.alerts_sent == 1
    assert arrivals(house.slack) == [("latam-risk-alerts", "a0")]


async def test_without_a_mail_server_the_notice_lies_beside_the_database(house: House) -> None:
    """A file named after the run, in a folder beside the ledger."""
    async with house.open() as desk:
        run = await desk.run(house.source(rows(None)))
    file = house.database.parent / "support_notices" / f"{run.run_id}.eml"
    assert accounts_reported(read_mail(file.read_bytes())) == {"a0"}
