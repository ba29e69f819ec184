"""The file kind: which files of a folder are taken for Parquet."""

from typing import Final

from service.sources.pattern import FileKind

PARQUET: Final = FileKind(".parquet")
