"""The collector: Python's search for reference cycles, kept out of the way while alerts are made and sent."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Final

_USUAL: Final = gc.get_threshold()
_RARE: Final = (20_000, 20, 50)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Set aside what exists already, and search the rest less often.

    Every POST makes and drops many objects, and so set off walk after walk through all the modules and alerts
    in memory: measured as a quarter of the CPU time of sending. Making tens of thousands of alerts does the
    same, and a walk holds up the event loop: who asks for `/health` meanwhile waits for its end.
    It holds for the whole process; where two runs overlap, the first to end ends it, which does no harm.
    """
    gc.freeze()
    gc.set_threshold(*_RARE)
    try:
        yield
    finally:
        gc.set_threshold(*_USUAL)
        gc.unfreeze()


def loading() -> None:
    """Collect nothing while modules are loaded: what they make stays, and would be looked through in vain."""
    gc.disable()


def loaded() -> None:
    """Collect again, but leave alone what has been loaded by now."""
    gc.freeze()
    gc.enable()


def load(module: str) -> None:
    """Load a module that is loaded late, as what is loaded at the start is."""
    loading()
    try:
        import_module(module)
    finally:
        loaded()


def ending() -> None:
    """Collect nothing more: the process is about to end, and its memory goes with it."""
    gc.freeze()
