"""What every command shares: settings, logs, errors, output."""

import asyncio
import getpass
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec
from urllib.parse import quote

import orjson
from pydantic import BaseModel

from service.api.schemas.error import ErrorOut
from service.cli.exit_codes import OK, RUN_FAILED, USAGE
from service.domain.errors import RiskAlertsError
from service.domain.source_uri import SourceUri
from service.runtime.garbage import loaded
from service.settings import Settings
from service.settings.problems import InvalidSettingsError
from service.settings.reading import read_settings
from service.telemetry.logs import configure_logging
from service.telemetry.redaction import Redactor
from service.telemetry.structured import structlog
from service.telemetry.terminal import harmless, harmless_json

if TYPE_CHECKING:
    from service.store.store import Store

Options = ParamSpec("Options")

NOBODY: Final = "cli"
"""Who it was, where the system does not know its user's name."""


def command(work: Callable[Concatenate[Settings, Options], int | None]) -> Callable[Options, int]:
    """Make a command of what is done with the settings; called with the rest, it returns the exit code.

    None is that of success. Errors are reported on stderr, and with the option `as_json` as JSON, too.
    """

    @wraps(work)
    def run(*args: Options.args, **options: Options.kwargs) -> int:
        as_json = bool(options.get("as_json"))
        try:
            settings = read_settings()
        except InvalidSettingsError as error:
            return _invalid_settings(error, as_json=as_json)
        redact = Redactor(settings.secrets())
        loaded()
        try:
            return work(settings, *args, **options) or OK
        except RiskAlertsError as error:
            detail = redact(error.detail)
            run = f" (run {error.run_id})" if error.run_id else ""
            report(f"{error.code}: {detail}{run}")
            if as_json:
                print_json(ErrorOut(error=error.code, detail=detail, run_id=error.run_id))
            return error.exit_code
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001  # the outermost door: whatever it was goes to the log, with its stack
            structlog.get_logger().error("command_failed", exc_info=error)
            report("internal_error: something unexpected went wrong; the log says what")
            if as_json:
                answer = ErrorOut(error="internal_error", detail="the log says what went wrong", run_id=None)
                print_json(answer)
            return RUN_FAILED

    return run


def async_command(
    work: Callable[Concatenate[Settings, Options], Coroutine[Any, Any, int | None]],
) -> Callable[Options, int]:
    """Make a command of what finishes by itself on an event loop; its logs go to stderr. See `command`."""

    @command
    @wraps(work)
    def run(settings: Settings, /, *args: Options.args, **options: Options.kwargs) -> int | None:
        log_to_stderr(settings)
        with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
            return runner.run(work(settings, *args, **options))

    return run


@async_command
async def with_ledger(
    settings: Settings, ask: "Callable[[Store], Coroutine[Any, Any, BaseModel]]", *, as_json: bool
) -> None:
    """Open the ledger, without writing to it, and print what is asked of it."""
    async with open_ledger(settings) as store:
        answer = await ask(store)
    print_answer(answer, as_json=as_json)
    if not as_json:
        print_ledger_place(settings)


@asynccontextmanager
async def open_ledger(settings: Settings) -> "AsyncIterator[Store]":
    """Open the ledger to read it; raises as `open_store_to_read` does, and TwoLedgersError."""
    from service.store.store import open_store_to_read  # noqa: PLC0415  # some commands need no database

    url = settings.ledger_url()
    warn_of_ledger(settings)
    async with open_store_to_read(url, tenant_id=settings.tenant_id) as store:
        yield store


def warn_of_ledger(settings: Settings) -> None:
    """Warn of a ledger that nobody named, as the log of a run does."""
    if warning := settings.ledger_warning():
        report(f"warning: {warning}")


def print_ledger_place(settings: Settings) -> None:
    """Print where the ledger is, without a password."""
    path = settings.sqlite_path()
    missing = "" if path is None or path.exists() else " (nothing there yet)"
    sys.stdout.write(f"Ledger: {harmless(settings.database_shown())}{missing}\n")


def operator() -> str:
    """Return who works at the command line: the operating system's name for its user, where it has one."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # Containers often run under a number without a name.
        return NOBODY


def log_to_stderr(settings: Settings) -> None:
    """Keep stdout clean for the answer; at a terminal say only what deserves attention, unless asked."""
    quiet = sys.stderr.isatty() and "log_level" not in settings.model_fields_set
    configure_logging(
        level="WARNING" if quiet else settings.log_level,
        format=settings.log_format,
        stream="stderr",
        redact=Redactor(settings.secrets()),
    )


def print_answer(answer: object, in_words: Callable[[], object] | None = None, *, as_json: bool) -> None:
    """Print an answer: as JSON, or `in_words`; without those it is one of the API's, which has its table."""
    if as_json:
        print_json(answer)
    elif in_words is not None:
        in_words()
    else:
        from service.cli.tables import print_tables  # noqa: PLC0415  # not needed with --json

        print_tables(answer)


def print_json(answer: object) -> None:
    """Print an answer: one of the API's as the API gives it, anything else as it is."""
    if isinstance(answer, BaseModel):
        text = answer.model_dump_json(indent=2, by_alias=True)
    else:
        text = orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()
    sys.stdout.write(f"{harmless_json(text)}\n")
    sys.stdout.flush()


def report(text: str) -> None:
    """Say on stderr, in one line, what went wrong."""
    sys.stderr.write(f"risk-alerts: {harmless(text)}\n")


def parsed_source(source: str) -> SourceUri:
    """Return what SOURCE, a URI or a path, means; raises BadSourceUriError."""
    if "://" in source:
        return SourceUri.parse(source)
    path = os.path.abspath(source)  # noqa: PTH100  # Path.absolute keeps `..`
    if source.endswith("/") and not path.endswith("/"):
        path += "/"
    # A file that is really called so is not a glob.
    return SourceUri.parse("file://" + quote(path, safe="/" if Path(path).exists() else "/*?[]"))


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loops, where it is installed: it delivers half as much again a second."""
    try:
        import uvloop  # noqa: PLC0415  # not to be had everywhere
    except ImportError:
        return None
    return uvloop.new_event_loop


def _invalid_settings(error: InvalidSettingsError, *, as_json: bool) -> int:
    # No setting could be read, so that what is a secret can only be known by its form.
    redact = Redactor()
    for problem in error.problems:
        report(f"invalid settings: {redact(str(problem))}")
    if as_json:
        answer = ErrorOut(error="invalid_settings", detail=str(error), run_id=None).model_dump()
        answer["problems"] = [asdict(problem) for problem in error.problems]
        print_json(orjson.loads(redact(orjson.dumps(answer).decode())))
    return USAGE
