"""Progress bars on stderr, from the same numbers as the API's progress."""

import sys
from contextlib import AbstractAsyncContextManager, nullcontext

from service.domain.progress import Progress


def shown(progress: Progress) -> AbstractAsyncContextManager[None]:
    """Show `progress` while the block works, if somebody is looking."""
    if not sys.stderr.isatty():
        return nullcontext()
    from service.cli.drawing import drawn  # noqa: PLC0415  # loads what draws only where it is drawn

    return drawn(progress)
