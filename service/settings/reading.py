"""The settings are read from the environment and `.env`, and nothing in them is ignored unseen."""

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dotenv.parser import parse_stream
from pydantic import ValidationError
from pydantic_settings import SettingsError

from service.settings.misspelled import meant_by
from service.settings.problems import InvalidSettingsError, SettingProblem, reasons
from service.settings.settings import Settings

ENV_FILE: Final = ".env"
ENVIRONMENT: Final = "environment"

_MALFORMED: Final = "must be written NAME=value, with every quote closed"
_NAMES: Final = frozenset(name.upper() for name in Settings.model_fields)
SPELLED_BY_PEOPLE: Final = frozenset(
    name.upper()
    for name, setting in Settings.model_fields.items()
    if not (setting.description or "").startswith("Set by ")
)
"""The settings but for those that platforms set: the other variables of these have names much like them."""


def read_settings() -> Settings:
    """Return the settings of this process; raises InvalidSettingsError, which names all that is wrong.

    What comes close to a setting's name in the environment is taken for a misspelled one, and refused like
    every name in `.env` that is not a setting: what it was meant to change would silently stay as it is.
    """
    given = {name.upper() for name, value in os.environ.items() if value}
    file = _EnvFile.read(Path(ENV_FILE))
    problems = [*file.problems, *_misspelled(given)]
    if file.is_readable:
        try:
            settings = Settings()
        except ValidationError as error:
            problems += (_located(where, reason, given, file.lines) for where, reason in reasons(error))
        except SettingsError as error:
            # Its text names the setting and the kind of source, never the value.
            problems.append(SettingProblem(file=None, key=None, reason=str(error)))
        else:
            if not problems:
                return settings
    raise InvalidSettingsError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class _EnvFile:
    """The names that `.env` sets, and what is wrong with it."""

    lines: Mapping[str, str] = field(default_factory=dict)
    """By the setting's name: the file, and the line that counts."""
    problems: tuple[SettingProblem, ...] = ()
    is_readable: bool = True

    @classmethod
    def read(cls, path: Path) -> "_EnvFile":
        if not path.is_file():
            return cls()
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else "it is not UTF-8"
            unread = SettingProblem(file=path.name, key=None, reason=f"cannot be read: {why}")
            return cls(problems=(unread,), is_readable=False)
        lines: dict[str, str] = {}
        problems: list[SettingProblem] = []
        is_readable = True
        for binding in parse_stream(io.StringIO(text)):
            begins = binding.original.string
            line = binding.original.line + begins[: len(begins) - len(begins.lstrip())].count("\n")
            where = f"{path.name} line {line}"
            if binding.error or (binding.key is not None and binding.value is None):
                # What follows it may have been read as a part of it, so that no value is relied on.
                is_readable = False
                problems.append(SettingProblem(file=where, key=binding.key, reason=_MALFORMED))
            elif binding.key is not None and binding.key.upper() not in _NAMES:
                problems.append(SettingProblem(file=where, key=binding.key, reason=_unknown(binding.key)))
            elif binding.key is not None:
                lines[binding.key.upper()] = where
        return cls(lines=lines, problems=tuple(problems), is_readable=is_readable)


def _misspelled(given: set[str]) -> Iterator[SettingProblem]:
    for name in sorted(given - _NAMES):
        if meant := meant_by(name, SPELLED_BY_PEOPLE):
            reason = f"there is no such setting; did you mean {' or '.join(meant)}?"
            yield SettingProblem(file=ENVIRONMENT, key=name, reason=reason)


def _unknown(key: str) -> str:
    meant = meant_by(key, SPELLED_BY_PEOPLE)
    hint = f"did you mean {' or '.join(meant)}?" if meant else "other programs do not see what stands here"
    return f"there is no such setting; {hint}"


def _located(
    where: tuple[str, ...], reason: str, given: set[str], lines: Mapping[str, str]
) -> SettingProblem:
    """Return a problem with the file that it is in; one without a place begins with its setting's name."""
    if not where:
        first, _, rest = reason.partition(" ")
        where, reason = ((first,), rest) if first in _NAMES else ((), reason)
    name, *inside = where or ("",)
    name = name.upper()
    file = ENVIRONMENT if name in given else lines.get(name)
    return SettingProblem(file=file, key=".".join((name, *inside)) or None, reason=reason)
