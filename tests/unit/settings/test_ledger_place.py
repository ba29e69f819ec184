"""Where the ledger is: one for each user, whatever folder a command is given in."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from service.domain.errors import TwoLedgersError
from service.settings import Settings


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the ledger of a new user, who works in an empty folder."""
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return tmp_path / "share" / "risk-alerts" / "risk_alerts.db"


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_there_is_one_ledger_for_each_user(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same from two folders: what was sent from one is known in the other."""
    places = {Settings(_env_file=None).ledger_url()}
    monkeypatch.chdir("/")
    places.add(Settings(_env_file=None).ledger_url())
    assert places == {f"sqlite:///{home}"}
    assert Settings(_env_file=None).ledger_warning() is None
    assert not home.parent.exists()


def test_a_ledger_that_was_the_default_once_is_kept(home: Path) -> None:
    """An existing installation goes on with what it has sent, and is told how to make it lasting."""
    ledger = _made(Path("data/risk_alerts.db").absolute())
    settings = Settings(_env_file=None)
    assert settings.ledger_url() == f"sqlite:///{ledger}"
    assert settings.sqlite_path() == ledger
    warning = settings.ledger_warning()
    assert warning is not None
    assert f"set DATABASE_URL=sqlite:///{ledger}" in warning
    assert str(home) in warning


def test_two_ledgers_are_refused(home: Path) -> None:
    """Neither is guessed: the message names both, and the setting that decides."""
    ledger = _made(Path("data/risk_alerts.db").absolute())
    _made(home)
    with pytest.raises(TwoLedgersError) as refused:
        Settings(_env_file=None).ledger_url()
    for place in (ledger, home):
        assert f"DATABASE_URL=sqlite:///{place}" in refused.value.detail
    named = Settings(_env_file=None, database_url=SecretStr(f"sqlite:///{ledger}"))
    assert named.ledger_url() == f"sqlite:///{ledger}"
    assert named.ledger_warning() is None
