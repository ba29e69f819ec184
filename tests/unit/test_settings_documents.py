"""The documents name every setting, with its default, and no other."""

import re
from pathlib import Path
from typing import Final

import pytest

from service.settings import Settings

ROOT: Final = Path(__file__).parents[2]
ENV_EXAMPLE: Final = ROOT / ".env.example"
SETTINGS: Final = ROOT / "docs" / "settings.md"
NAMES: Final = sorted(name.upper() for name in Settings.model_fields)
GIVEN_BY_OTHERS: Final = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "PORT"})
"""Variables that these documents may mention although other programs read them."""


def defaults_in_env_example() -> dict[str, str]:
    """Return what `.env.example` sets or would set, by name."""
    text = ENV_EXAMPLE.read_text(encoding="utf-8")
    return dict(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


def defaults_in_the_page() -> dict[str, str]:
    """Return the rows of the settings table: the default as it stands there, by name."""
    text = SETTINGS.read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([A-Z][A-Z0-9_]+)` \|([^|]*)\|", text, re.MULTILINE))


def spelled(default: object) -> set[str]:
    """Return the ways to write a default in a document."""
    if default is None:
        return {""}
    if hasattr(default, "get_secret_value"):
        return {default.get_secret_value()}
    if isinstance(default, bool):
        return {str(default).lower()}
    if isinstance(default, int | float):
        return {f"{default:g}", str(default), f"{default:,}", str(int(default))}
    return {str(default)}


@pytest.mark.parametrize("name", NAMES)
def test_the_env_example_names_every_setting(name: str) -> None:
    """Whoever copies `.env.example` finds each setting there with its default."""
    assert defaults_in_env_example().get(name) in spelled(Settings.model_fields[name.lower()].default)


@pytest.mark.parametrize("name", NAMES)
def test_the_page_of_settings_names_every_setting(name: str) -> None:
    """Its table has a row for each setting, with its default."""
    shown = defaults_in_the_page().get(name)
    assert shown is not None
    assert shown.strip().strip("`") in spelled(Settings.model_fields[name.lower()].default)


def test_both_say_what_the_settings_say() -> None:
    """The description of each setting stands in both documents, word for word."""
    page = SETTINGS.read_text(encoding="utf-8")
    env_example = ENV_EXAMPLE.read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        assert f"| {field.description} |\n" in page, name
        assert f"# {field.description}\n# {name.upper()}=" in env_example, name


def test_both_have_the_same_groups_in_the_same_order() -> None:
    """Whoever copies `.env.example` finds what a setting is about where the page has it."""
    groups = re.findall(r"\n\n# (.+)", ENV_EXAMPLE.read_text(encoding="utf-8"))
    assert groups == re.findall(r"^## (.+)$", SETTINGS.read_text(encoding="utf-8"), re.MULTILINE)
    assert list(defaults_in_env_example()) == list(defaults_in_the_page())


def test_neither_names_a_setting_that_is_none() -> None:
    """What the documents tell a person to set is read by somebody."""
    named = defaults_in_env_example().keys() | defaults_in_the_page().keys()
    assert named - set(NAMES) - GIVEN_BY_OTHERS == set()


def test_every_setting_says_what_it_is_for() -> None:
    """Each has a description of one sentence, which the documents repeat."""
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert len(field.description) <= 120, name
