"""What is wrong with the settings, in plain words: one line each, and never a value."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

_PLAIN: Final[Mapping[str, str]] = {
    **dict.fromkeys(("int_parsing", "int_from_float", "int_type"), "must be a whole number, such as 50000"),
    "int_parsing_size": "is too large a number",
    **dict.fromkeys(("float_parsing", "float_type"), "must be a number"),
    "finite_number": "must be a finite number",
    **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    **dict.fromkeys(("enum", "literal_error"), "must be {expected}"),
    "dict_type": 'must be JSON of the form {{"name": "value"}}',
    "model_type": "must be JSON of the form {{…}}",
    "tuple_type": "must be a list",
    "string_type": "must be text",
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "json_invalid": "is not JSON",
}
"""Pydantic's types of errors, as a person would say them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingProblem:
    """One thing that is wrong with a setting."""

    file: str | None
    """Where it is set: the name of a file, `environment`, or None where a default is concerned."""
    key: str | None
    """The setting's name as it stands there; None where the file as a whole is concerned."""
    reason: str
    """For a person; it never repeats the value."""

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.key, self.reason) if part)


class InvalidSettingsError(Exception):
    """The settings are wrong; `problems` says all that is."""

    def __init__(self, problems: list[SettingProblem]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def reasons(error: ValidationError) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield, for each problem, where in the data it is and what is wrong there, without any value."""
    for each in error.errors(include_input=False, include_url=False):
        where = tuple(_shown(part) for part in each["loc"] if part != "[key]")
        plain = _PLAIN.get(each["type"])
        if plain is None:
            yield where, each["msg"].removeprefix("Value error, ")
        else:
            yield where, plain.format_map(each.get("ctx", {}))


def in_one_line(error: ValidationError) -> str:
    """Return what is wrong with the content of a file: `regions.AMER must be …; …`."""
    return "; ".join(" ".join((".".join(where), reason)).strip() for where, reason in reasons(error))


def _shown(part: int | str) -> str:
    # A key may be a webhook that stands where its channel should, and that is a secret.
    return "(a URL)" if "://" in str(part) else str(part)
