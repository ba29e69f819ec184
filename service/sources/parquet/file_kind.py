"""The file kind: which files of a folder are taken for Parquet, and which folders are tables instead."""

from typing import Final

from service.sources.pattern import FileKind
from service.sources.table_format import TableFormat

PARQUET: Final = FileKind(
    suffixes=(".parquet", ".parq", ".pq"),
    tables=(
        TableFormat("Delta Lake", "_delta_log", "*"),
        TableFormat("Apache Iceberg", "metadata", "*.metadata.json"),
        TableFormat("Apache Hudi", ".hoodie", "hoodie.properties"),
    ),
)
