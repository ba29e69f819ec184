"""Files for their owner alone: the ledger and the support notices name accounts and what they are worth."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def make_private_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing; one that is there stays as somebody made it.

    Raises OSError.
    """
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(mode=stat.S_IRWXU, exist_ok=True)
    folder.mkdir(exist_ok=True)  # a file in its place is an error


def create_private_file(path: Path) -> None:
    """Create an empty file where there is none; raises OSError."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, stat.S_IRUSR | stat.S_IWUSR))


def make_private(path: Path) -> None:
    """Take an older version's file from everybody but its owner, where that is this process's user."""
    with suppress(OSError):  # it is not there, or on a file system that has no such rights
        found = path.stat()
        if found.st_uid == os.geteuid() and found.st_mode & _OTHERS:
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)
