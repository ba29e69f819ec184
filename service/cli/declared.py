"""Declared commands: what is declared is a command's options, and what does its work is loaded when it runs.

A scheduler that starts a process for every run should not wait for what its command does not need.
"""

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, ParamSpec

import typer

Options = ParamSpec("Options")


def done_by(place: str, **fixed: Any) -> Callable[[Callable[Options, None]], Callable[Options, None]]:
    """Have a declared command done by `module:function` of this package, which returns the exit code.

    The function takes the options by the names that they have in the declaration, and those that are `fixed`.
    """
    module, _, name = place.partition(":")

    def declared(command: Callable[Options, None]) -> Callable[Options, None]:
        @wraps(command)
        def run(*args: Options.args, **options: Options.kwargs) -> None:
            work = getattr(import_module(f"service.cli.{module}"), name)
            raise typer.Exit(work(*args, **options, **fixed))

        return run

    return declared
