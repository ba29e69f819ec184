"""The settings: the environment's variables, and what cannot be."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

import mock_slack
from mock_slack import controls, server, webhook
from mock_slack.settings import GivenSettings, Settings
from mock_slack.web_api import interactivity
from mock_slack.web_api import routes as web_api


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("MOCK_SLACK_"):
            monkeypatch.delenv(name)


def test_the_defaults_are_those_of_the_specification() -> None:
    """Without a variable the mock is the one the project's documents describe."""
    expected = {
        "fail_rate_429": 0.10,
        "fail_rate_500": 0.05,
        "min_retry_after": 1,
        "max_retry_after": 5,
        "seed": None,
        "log_path": Path("mock_slack_requests.jsonl"),
        "port": 8001,
        "auth_token": None,
        "bot_token": None,
        "channels": None,
        "rate_limit": 0,
    }
    assert Settings().model_dump() == expected


def test_every_setting_is_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is read from MOCK_SLACK_ and its name."""
    values = {
        "FAIL_RATE_429": "0.5",
        "FAIL_RATE_500": "0",
        "MIN_RETRY_AFTER": "0.02",
        "MAX_RETRY_AFTER": "0.1",
        "SEED": "42",
        "LOG_PATH": "/tmp/x.jsonl",  # noqa: S108  never opened
        "PORT": "9001",
        "AUTH_TOKEN": "canary",
        "BOT_TOKEN": "xoxb-canary",
        "CHANNELS": '["amer", "emea"]',
        "RATE_LIMIT": "1",
    }
    assert {name.lower() for name in values} == set(Settings.model_fields)
    for name, value in values.items():
        monkeypatch.setenv(f"MOCK_SLACK_{name}", value)
    settings = Settings()
    assert (settings.fail_rate_429, settings.seed, settings.max_retry_after) == (0.5, 42, 0.1)
    assert settings.channels == frozenset({"amer", "emea"})
    assert "canary" not in repr(settings)
    assert GivenSettings().seed is None, "settings given in code do not depend on the environment"


def test_an_empty_variable_is_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """`MOCK_SLACK_AUTH_TOKEN=` asks for no token."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"MOCK_SLACK_{name.upper()}", "")
    assert Settings().model_dump() == GivenSettings().model_dump()


@pytest.mark.parametrize("text", ["amer,emea", " amer , emea, ", '["amer", "emea"]'])
def test_channels_are_a_list_in_either_spelling(text: str) -> None:
    """Commas or JSON."""
    assert GivenSettings(channels=text).channels == frozenset({"amer", "emea"})


@pytest.mark.parametrize(
    "wrong",
    [
        {"fail_rate_429": 1.1},
        {"fail_rate_500": -0.1},
        {"fail_rate_429": "nan"},
        {"fail_rate_429": 0.6, "fail_rate_500": 0.6},
        {"min_retry_after": 6},
        {"max_retry_after": "inf"},
        {"min_retry_after": -1},
        {"rate_limit": -1},
        {"port": 70000},
        {"channels": '["amer"'},
        {"seed": "x"},
        {"fail_rate": 0.5},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any]) -> None:
    """A wrong value or an unknown name stops the mock from starting."""
    with pytest.raises(ValidationError):
        GivenSettings(**wrong)


def test_app_is_made_of_the_environment_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`mock_slack.server:app` is what an ASGI server finds, always the same, and making it writes nothing."""
    monkeypatch.setenv("MOCK_SLACK_SEED", "42")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(vars(server), "app", raising=False)
    app = server.app
    assert isinstance(app, FastAPI)
    assert app.state.workspace.seed == 42
    assert server.app is app
    assert list(tmp_path.iterdir()) == []
    monkeypatch.delitem(vars(server), "app")


def test_a_wrong_environment_is_reported_in_plain_words(tmp_path: Path) -> None:
    """`python -m mock_slack` exits with 2 and the setting's name, without traceback or value."""
    environment = os.environ | {"MOCK_SLACK_SEED": "canary", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, "-m", "mock_slack"]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "seed" in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stderr


def test_the_readme_names_every_setting_and_every_route() -> None:
    """What can be set and asked is documented."""
    text = Path(str(mock_slack.__file__)).with_name("README.md").read_text(encoding="utf-8")
    names = [f"MOCK_SLACK_{name.upper()}" for name in Settings.model_fields]
    routes = [
        f"{method} {path}"
        for path, operations in server.create_app(GivenSettings()).openapi()["paths"].items()
        for method in map(str.upper, operations)
    ]
    assert len(routes) == sum(len(each.router.routes) for each in (webhook, controls, web_api, interactivity))
    assert [name for name in names + routes if name not in text] == []
