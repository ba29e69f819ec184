"""The support notice says which accounts nobody could be told about, and says it safely."""

import email
import email.policy
import os
import stat
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service.account_risk.account_at_risk import AccountAtRisk
from service.account_risk.risk_alert import RiskAlert
from service.delivery.reporting import GivenUpLane
from service.delivery.support_notice import LISTED, SupportNotice
from service.domain.delivery_status import Reason
from service.settings import Settings
from service.telemetry.events import Events
from service.wiring import support_notice
from tests.support.alerts import MONTH, an_alert, any_alert, any_text
from tests.support.clocks import START, ManualClock

RUN_ID: Final = "20260201T090000Z-0a1b2c3d"
RISK = RiskAlert(details_base_url="https://app.example.com")


def notice_in(folder: Path, **changes: Any) -> SupportNotice:
    """Return a notice that is written to a file, as no mail server is configured."""
    given: dict[str, Any] = {
        "recipient": "support@quadsci.ai",
        "sender": "risk-alerts@example.com",
        "smtp_url": None,
        "folder": folder,
    }
    return SupportNotice(**given | changes)


async def notify(
    notice: SupportNotice,
    alerts: list[AccountAtRisk],
    *given_up: GivenUpLane,
    **undelivered: int,
) -> bool:
    """Notify support of the alerts of one run."""
    return await notice.send(
        run_id=RUN_ID,
        period=str(MONTH),
        alerts=alerts,
        alert_type=RISK,
        given_up=given_up,
        undelivered=undelivered,
        clock=ManualClock(),
        events=Events(),
    )


def written(folder: Path) -> EmailMessage:
    """Return the one notice in the folder."""
    (path,) = folder.iterdir()
    assert path.name == f"{RUN_ID}.eml"
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def nothing_in(folder: Path) -> bool:
    """Return whether the folder is empty."""
    return not any(folder.iterdir())


async def body_about(folder: Path, alerts: list[AccountAtRisk], **undelivered: int) -> list[str]:
    """Write a notice and return the lines of its body."""
    assert await notify(notice_in(folder), alerts, **undelivered)
    return str(written(folder).get_content()).splitlines()


async def test_headers_say_what_and_whose(tmp_path: Path) -> None:
    """Sender, recipient, subject and date are those of the run, and the Message-ID is made of its id."""
    await notify(notice_in(tmp_path), [an_alert(), an_alert(account_id="b")])
    message = written(tmp_path)
    assert message["From"] == "risk-alerts@example.com"
    assert message["To"] == "support@quadsci.ai"
    assert message["Subject"] == "Risk alerts 2026-01-01: 2 accounts without a Slack channel"
    assert message["Message-ID"] == f"<{RUN_ID}.unknown-region@risk-alerts>"
    assert message["Date"].datetime == START


async def test_the_body_says_run_month_count_and_each_account(tmp_path: Path) -> None:
    """Id, name, raw region, ARR and owner of every account; and nothing of what is not there."""
    lines = await body_about(
        tmp_path,
        [
            an_alert(account_region="LATAM"),
            an_alert(account_id="b", account_region=None, arr=None, account_owner=None),
            an_alert(account_id="c", account_region=" amer ", arr=-5),
        ],
    )
    assert lines[3:6] == [f"Run:   {RUN_ID}", "Month: 2026-01-01", "Count: 3"]
    assert not any("not gone out" in line for line in lines)
    assert [line for line in lines if line.startswith("- ")] == [
        "- a00636  Amber Analytics | region 'LATAM' | ARR $10,211 | owner owner@example.com",
        "- b  Amber Analytics | region null | ARR Unknown | owner unknown",
        "- c  Amber Analytics | region ' amer ' | ARR -$5 | owner owner@example.com",
    ]


@pytest.mark.parametrize(
    ("region", "shown"),
    [(None, "null"), ("", "''"), ("null", "'null'"), (" ", "' '"), ("a\nb", r"'a\nb'"), ("É", "'É'")],
)
async def test_the_region_is_shown_raw(tmp_path: Path, region: str | None, shown: str) -> None:
    """A null, a blank and a word can be told apart, and a stray character can be seen."""
    lines = await body_about(tmp_path, [an_alert(account_region=region)])
    assert any(f"| region {shown} |" in line for line in lines)


@pytest.mark.parametrize(("count", "rest"), [(1, 0), (LISTED, 0), (LISTED + 1, 1), (1234, 1034)])
async def test_two_hundred_are_listed_and_the_rest_counted(tmp_path: Path, count: int, rest: int) -> None:
    """A broken region map does not become a mail of megabytes."""
    assert LISTED == 200
    lines = await body_about(tmp_path, [an_alert(account_id=f"a{number}") for number in range(count)])
    listed = [line.split()[1] for line in lines if line.startswith("- ")]
    assert listed == [f"a{number}" for number in range(count - rest)]
    assert f"Count: {count}" in lines
    assert [line for line in lines if line.startswith("… and ")] == ([f"… and {rest} more"] if rest else [])


async def test_what_has_not_gone_out_is_counted(tmp_path: Path) -> None:
    """Alerts of any month that are still undelivered stand at the end."""
    lines = await body_about(tmp_path, [an_alert()], unknown=2, failed=7, pending=1)
    assert lines[-1] == "Alerts of all runs that have not gone out: 7 failed, 1 pending, 2 unknown."


async def test_channels_that_were_given_up_are_named(tmp_path: Path) -> None:
    """With or without accounts that have no channel: which, how many alerts, and why."""
    why = "answers could not be read"
    lane = GivenUpLane(channels=("west", "east"), reason=Reason.ANSWERS_UNREADABLE, why=why, alerts=27)
    for alerts, subject in (
        ([], "Alerts: 27 could not be delivered (Month: 2026-01-01)"),
        ([an_alert()], "Risk alerts 2026-01-01: 1 account without a Slack channel"),
    ):
        assert await notify(notice_in(tmp_path), alerts, lane, pending=27)
        message = written(tmp_path)
        assert message["Subject"] == subject
        lines = str(message.get_content()).splitlines()
        assert f"Run:   {RUN_ID}" in lines
        assert f"- #west, #east: 27 not sent: {why}" in lines
        assert ("Count: 1" in lines) == bool(alerts)
        assert lines[-1].endswith("27 pending.")


@given(st.lists(any_alert(), min_size=1, max_size=4))
def test_nothing_from_data_leaves_its_line(alerts: list[AccountAtRisk]) -> None:
    """Whatever stands in names, ids and owners, an account is one line and no header is added."""
    message = email.message_from_bytes(
        notice_in(Path("nowhere"))._message(RUN_ID, str(MONTH), alerts, RISK, {}).as_bytes(),
        policy=email.policy.default,
    )
    assert isinstance(message, EmailMessage)
    lines = str(message.get_content()).splitlines()
    assert [line[:2] for line in lines[7:]] == ["- "] * len(alerts)
    assert all(len(line) < 2_000 for line in lines)
    assert {name.lower() for name in message} == {
        *("subject", "from", "to", "message-id", "mime-version"),
        *("content-type", "content-transfer-encoding"),
    }


@given(any_text(min_size=1))
def test_an_account_cannot_address_anybody(name: str) -> None:
    """A name that looks like headers stays in the body."""
    alert = an_alert(account_name=f"x\r\nBcc: all@example.com\r\n\r\n{name}", account_id=f"\nTo: {name}")
    message = notice_in(Path("nowhere"))._message(RUN_ID, str(MONTH), [alert], RISK, {})
    assert message["Bcc"] is None
    assert message.get_all("To") == ["support@quadsci.ai"]


async def test_without_a_mail_server_it_is_a_file_and_a_log_line(tmp_path: Path) -> None:
    """The log says where the file is and how many accounts are in it; the body stays out of the log."""
    with capture_logs() as events:
        assert await notify(notice_in(tmp_path / "new" / "folder"), [an_alert(account_name="C4nary Ltd")])
    (event,) = events
    assert event == {
        "event": "notice_written",
        "log_level": "warning",
        "run_id": RUN_ID,
        "accounts": 1,
        "path": str(tmp_path / "new" / "folder" / f"{RUN_ID}.eml"),
    }
    assert "C4nary" in written(tmp_path / "new" / "folder").get_content()


async def test_notices_are_their_owners(tmp_path: Path) -> None:
    """Nobody else may read which accounts are at risk; what an older version left open is closed."""
    folder = tmp_path / "support_notices"
    folder.mkdir(mode=0o755)
    older = folder / "older.eml"
    older.touch()
    older.chmod(0o644)
    before = os.umask(0o022)
    try:
        assert await notify(notice_in(folder), [an_alert()])
        assert await notify(notice_in(tmp_path / "made"), [an_alert()])
    finally:
        os.umask(before)
    made = [folder, *folder.iterdir(), tmp_path / "made", *(tmp_path / "made").iterdir()]
    modes = [stat.S_IMODE(path.stat().st_mode) for path in made]
    assert modes == [0o755, 0o600, 0o600, 0o700, 0o600]


async def test_a_folder_that_cannot_be_written_fails_the_notice_only(tmp_path: Path) -> None:
    """The run goes on, and the log says that support was not notified, and why in one word."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    with capture_logs() as events:
        assert not await notify(notice_in(tmp_path / "file" / "folder"), [an_alert(account_name="C4nary")])
    (event,) = events
    assert (event["event"], event["log_level"], event["error"]) == (
        *("notice_failed", "error", "NotADirectoryError"),
    )
    assert "C4nary" not in repr(event)


@pytest.mark.parametrize("field", ["recipient", "sender"])
@pytest.mark.parametrize("address", ["a@example.com\nBcc: all@example.com", "a\r\n\r\nbody"])
async def test_an_address_cannot_smuggle_headers(tmp_path: Path, field: str, address: str) -> None:
    """A configured address with a line break is refused, and the run does not fail over it."""
    with capture_logs() as events:
        assert not await notify(notice_in(tmp_path, **{field: address}), [an_alert()])
    assert [event["event"] for event in events] == ["notice_failed"]
    assert nothing_in(tmp_path)


@pytest.mark.parametrize(
    ("database_url", "folder"),
    [
        ("sqlite:///data/risk_alerts.db", "data/support_notices"),
        ("sqlite:////var/lib/alerts/ledger.db", "/var/lib/alerts/support_notices"),
        ("sqlite+aiosqlite:////var/lib/ledger.db?timeout=5", "/var/lib/support_notices"),
        ("sqlite:///file:/var/lib/ledger.db?mode=rwc&uri=true", "/var/lib/support_notices"),
        ("postgresql://user:pw@db.example.com/alerts", "data/support_notices"),
    ],
)
def test_files_lie_beside_the_database(database_url: str, folder: str) -> None:
    """Where the ledger lasts the notices last too; with a database server they lie in data/."""
    notice = support_notice(Settings(_env_file=None, database_url=database_url))
    assert notice.folder == Path(folder)


def test_the_mail_server_is_a_secret() -> None:
    """The URL may hold a password, and does not print."""
    given = Settings(
        _env_file=None, smtp_url="smtp://user:c4nary@mail.example.com", support_email="a@b.example"
    )
    notice = support_notice(given)
    assert notice.smtp_url == "smtp://user:c4nary@mail.example.com"
    assert notice.recipient == "a@b.example"
    assert "c4nary" not in repr(notice)
