"""Nothing in the environment and `.env` is ignored unseen; what is wrong is one plain line each."""

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from service.settings import Settings
from service.settings.problems import InvalidSettingsError
from service.settings.reading import read_settings

HOOK: Final = "https://hooks.slack.com/services/T0/B0/c4nary"
_ANY_TEXT: Final = """
    aws_lambda_function_name cloud_run_job ecs_container_metadata_uri_v4 gcs_token
    jwt_keys_file marker_key rules_folder
    google_cloud_project k_service kubernetes_service_host slack_auth_token
"""
TAKES_ANY_TEXT: Final = frozenset(_ANY_TEXT.split())


pytestmark = pytest.mark.usefixtures("nothing_set")


def lines() -> list[str]:
    """Return what is wrong with the settings as they stand, line by line."""
    with pytest.raises(InvalidSettingsError) as refused:
        read_settings()
    return [str(problem) for problem in refused.value.problems]


def test_a_close_miss_in_the_environment_is_refused_with_the_right_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fifty thousand alerts would go out at the default threshold, and nobody would know why."""
    monkeypatch.setenv("ARR_TRESHOLD", "50000")
    monkeypatch.setenv("SUPORT_EMAIL", "")
    assert lines() == ["environment: ARR_TRESHOLD: there is no such setting; did you mean ARR_THRESHOLD?"]


def test_every_name_in_the_file_is_a_setting_or_refused(tmp_path: Path) -> None:
    """The file is this service's alone; each line is named, and so is one that cannot be read at all."""
    (tmp_path / ".env").write_text(
        "# Slack\nARR_TRESHOLD=5\n\n\nexport AWS_REGION=eu\narr_threshold=7\nLOG_LEVEL=loud\n"
    )
    assert lines() == [
        ".env line 2: ARR_TRESHOLD: there is no such setting; did you mean ARR_THRESHOLD?",
        ".env line 5: AWS_REGION: there is no such setting; other programs do not see what stands here",
        ".env line 7: LOG_LEVEL: must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
    ]


@pytest.mark.parametrize(
    ("line", "named"),
    [("LEASE_S 40", ""), ("LEASE_S", "LEASE_S: "), ("LOG_FORMAT='json", ""), ("=x", "")],
)
def test_a_line_of_the_file_that_is_none_is_refused(
    tmp_path: Path, line: str, named: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It could mean anything; nobody but the one line says so."""
    (tmp_path / ".env").write_text(f"ARR_THRESHOLD=5\n{line}\n")
    assert lines() == [f".env line 2: {named}must be written NAME=value, with every quote closed"]
    assert capfd.readouterr() == ("", "")


def test_what_is_in_the_file_counts(tmp_path: Path) -> None:
    """In any case, behind `export`, in quotes, over several lines; platforms' own names included."""
    hooks, regions = json.dumps({"all": HOOK}, indent=1), json.dumps({"AMER": "all"})
    (tmp_path / ".env").write_text(
        f"export arr_threshold=7\nSLACK_WEBHOOKS='{hooks}'\nREGION_CHANNELS={regions}\nK_SERVICE=x\n"
    )
    settings = read_settings()
    assert (settings.arr_threshold, settings.k_service) == (7, "x")
    assert settings.webhooks_by_channel() == {"all": HOOK}


def test_the_environment_is_named_where_it_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong value is looked for where it stands; an empty variable leaves it to the file."""
    (tmp_path / ".env").write_text("ARR_THRESHOLD=10,000\nLEASE_S=1\nHISTORY_MONTHS=0\n")
    monkeypatch.setenv("LEASE_S", "never")
    monkeypatch.setenv("HISTORY_MONTHS", "")
    assert sorted(lines()) == [
        ".env line 1: ARR_THRESHOLD: must be a whole number, such as 50000",
        ".env line 3: HISTORY_MONTHS: must be 1 or more",
        "environment: LEASE_S: must be a number",
    ]


@pytest.mark.parametrize("content", [b"ARR_THRESHOLD=\xff\n", b"\xff\xfeA\x00"])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    """It ends the start in one line."""
    (tmp_path / ".env").write_bytes(content)
    assert lines() == [".env: cannot be read: it is not UTF-8"]


def test_settings_that_contradict_each_other_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The first of them is the line's key, wherever it is set; a default has no file."""
    monkeypatch.setenv("SLACK_TIMEOUT_S", "40")
    assert lines() == ["LEASE_S: must exceed SLACK_TIMEOUT_S by at least 2 seconds"]
    monkeypatch.delenv("SLACK_TIMEOUT_S")
    (tmp_path / "hooks.json").write_text(json.dumps({"other": HOOK}))
    (tmp_path / ".env").write_text("SLACK_WEBHOOKS_FILE=hooks.json\n")
    missing = "amer-risk-alerts, apac-risk-alerts, emea-risk-alerts"
    assert lines() == [f".env line 1: SLACK_WEBHOOKS_FILE: has no webhook for {missing}"]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "CONFIG_FILE",
            '{"regions": {"AMER": "a b"}, "x": 1}',
            "regions.AMER must be the name of a Slack channel",
        ),
        ("CONFIG_FILE", '{"regions": {"AMER": "a b"}, "x": 1}', "; x is not known here"),
        ("CONFIG_FILE", "{}", "regions is missing"),
        ("CONFIG_FILE", "{", "is not JSON"),
        ("CONFIG_FILE", "[]", "must be JSON of the form {…}"),
        ("SLACK_WEBHOOKS_FILE", '{"amer": "c4nary"}', "amer must be an http:// or https:// URL"),
        ("SLACK_WEBHOOKS_FILE", f'{{"{HOOK}": "amer"}}', "(a URL) must be the name of a"),
        ("SLACK_WEBHOOKS_FILE", '{"amer": 1}', "amer must be text"),
    ],
)
def test_a_file_that_a_setting_names_is_wrong_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, reason: str
) -> None:
    """The line names the setting, the file and the key in it, and repeats no value."""
    (tmp_path / "given.json").write_text(content)
    monkeypatch.setenv(name, "given.json")
    [line] = lines()
    assert line.startswith(f"environment: {name}: given.json: ")
    assert reason in line
    assert "\n" not in line
    assert "c4nary" not in line


@pytest.mark.parametrize(
    "value", ["c4nary text", '{"a": ["c4nary"], "b c": {}}', "[1, {}]", "{", "\x1b[31m", "-1e999!"]
)
def test_a_bad_value_is_one_plain_line(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands in a setting: where, its name, and what it must be, in words and without the value."""
    for name in sorted(name.upper() for name in Settings.model_fields.keys() - TAKES_ANY_TEXT):
        monkeypatch.setenv(name, value)
        shown = lines()
        monkeypatch.delenv(name)
        assert shown
        for line in shown:
            assert re.fullmatch(rf"environment: {name}[^:]*: [^\n]+", line), line
            assert not re.search(r"Input|valid |pattern|pydantic|validation", line), line
            assert name.endswith("_FILE") or not re.search(r"c4nary t|\x1b|\]:", line), line


def test_all_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nobody mends one setting to be shown the next."""
    wrong: dict[str, Any] = {"LOG_LEVEL": "loud", "SLACK_CONCURRENCY": "0", "ALERT_ON_UNKOWN_ARR": "true"}
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    (tmp_path / ".env").write_text("NONSENSE=1\n")
    assert {line.split(": ")[1] for line in lines()} == {*wrong, "NONSENSE"}
