"""A misspelled setting is recognised; the variables of other programs are left alone."""

from pathlib import Path
from typing import Final

import pytest

from service.settings import Settings
from service.settings.misspelled import meant_by
from service.settings.reading import SPELLED_BY_PEOPLE

FOREIGN: Final = sorted(
    name
    for line in Path(__file__).with_name("foreign_variables.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
    for name in line.split()
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("ARR_TRESHOLD", "ARR_THRESHOLD"),
        ("ARR_THERSHOLD", "ARR_THRESHOLD"),
        ("arr_treshold", "ARR_THRESHOLD"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("TENANTID", "TENANT_ID"),
        ("ALLOWED_HOST", "ALLOWED_HOSTS"),
        ("ALLOW_SOURCES", "ALLOWED_SOURCES"),
        ("REGION_CHANNEL", "REGION_CHANNELS"),
        ("SLACK_TIMEOUT", "SLACK_TIMEOUT_S"),
        ("SLACK_WEBHOOK", "SLACK_WEBHOOKS"),
        ("SLACK_WEBHOK_URL", "SLACK_WEBHOOK_URL"),
        ("SLACK_MESAGES_PER_SECONDS", "SLACK_MESSAGES_PER_SECOND"),
        ("AMBIGOUS_SENDS", "AMBIGUOUS_SENDS"),
    ],
)
def test_a_slip_of_the_fingers_is_recognised(written: str, meant: str) -> None:
    """A letter too many, too few or another, two that changed places, a unit left out."""
    assert meant_by(written, SPELLED_BY_PEOPLE) == [meant]


@pytest.mark.parametrize("name", sorted(SPELLED_BY_PEOPLE))
def test_any_letter_may_be_left_out_of_any_setting(name: str) -> None:
    """Whatever one letter's absence makes of a name, it is either another setting or refused by this one."""
    for place in range(len(name)):
        written = name[:place] + name[place + 1 :]
        assert written.lower() in Settings.model_fields or name in meant_by(written, SPELLED_BY_PEOPLE)


def test_the_variables_of_other_programs_are_not_ours() -> None:
    """Some 500 names of shells, build systems, clouds and other Slack programs: not one is refused."""
    assert len(FOREIGN) > 500
    known = {name.upper() for name in Settings.model_fields}
    refused = {name: meant_by(name, SPELLED_BY_PEOPLE) for name in FOREIGN if name not in known}
    assert {name: meant for name, meant in refused.items() if meant} == {}
