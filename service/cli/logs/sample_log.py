"""Sample logs: a day of events with the 24 columns of a standard log, to try rules with.

The same arguments always write the same rows. Every day begins and ends with errors that are a burst only
together with those of the neighbouring day, and has a bundle that goes wrong around noon.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from service.log_rules.rule import LOG_COLUMNS

SCHEMA: Final = pa.schema([(name, pa.string()) for name in LOG_COLUMNS])
_CHUNK: Final = 200_000
_DAY_US: Final = 86_400_000_000
_SECOND: Final = 1_000_000
_EDGE: Final = 8
"""Fatal errors in the first and in the last twenty seconds of a day."""
_NOON: Final = 60
_WORDS: Final = {
    "error_code": ("0", "17", "102", "404", "500"),
    "error_message": ("ok", "timeout", "no fill", "render failed, retried", 'asset "hero" missing'),
    "log_location": ("boot", "shop", "battle", "<!channel>"),
    "mode": ("release",),
    "model": ("Pixel 8", "iPhone15,2", "SM-S918B"),
    "graphics": ("Vulkan", "Metal", "OpenGLES3"),
    "sdkv": ("4.2.0", "4.2.1", "5.0.0"),
    "test_mode": ("0", "1"),
    "flow_type": ("banner", "video", "reward"),
    "sdk_date": ("2025-11-01",),
    "language": ("en", "de", "ja", "pt-BR"),
    "os": ("android", "ios"),
    "gdpr": ("0", "1"),
    "ccpa": ("0", "1"),
    "country_code": ("US", "DE", "JP", "BR", ""),
}
_SEVERITIES: Final = ("error", "warning", "Success")


def write_sample_log(path: Path, *, rows: int, day: date, seed: int, fatal: float = 0.0005) -> int:
    """Write about `rows` rows as CSV (also .gz, .zst) or Parquet, as the name says; returns how many.

    Raises OSError when the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with ExitStack() as stack:
        writer: Any
        if path.suffix == ".parquet":
            writer = stack.enter_context(pq.ParquetWriter(path, SCHEMA, compression="zstd"))
        else:
            sink = stack.enter_context(pa.output_stream(path, compression=_compression(path)))
            writer = stack.enter_context(pyarrow.csv.CSVWriter(sink, SCHEMA))
        for table in sample_log(rows=rows, day=day, seed=seed, fatal=fatal):
            writer.write_table(table)
            written += table.num_rows
    return written


def sample_log(*, rows: int, day: date, seed: int, fatal: float) -> Iterator[Any]:
    """Yield tables of a day's rows in the order of their times; a share of `fatal` are fatal."""
    chance = np.random.default_rng([seed, day.toordinal()])
    midnight = (day.toordinal() - date(1970, 1, 1).toordinal()) * _DAY_US
    bursts = [
        chance.integers(0, 20 * _SECOND, _EDGE),
        _DAY_US // 2 + chance.integers(0, 600 * _SECOND, _NOON),
        _DAY_US - 1 - chance.integers(0, 20 * _SECOND, _EDGE),
    ]
    times = np.sort(np.concatenate([chance.integers(0, _DAY_US, rows), *bursts]))
    is_burst = np.isin(times, np.concatenate(bursts))
    for first in range(0, times.size, _CHUNK):
        chunk = slice(first, first + _CHUNK)
        yield _table(times[chunk] + midnight, is_burst[chunk], chance, fatal)


def _table(times: npt.NDArray[np.int64], is_burst: Any, chance: np.random.Generator, fatal: float) -> Any:
    size = times.size
    columns: dict[str, Any] = {name: _picked(words, chance, size) for name, words in _WORDS.items()}
    severities = (*_SEVERITIES, "fatal")
    places = np.where(
        is_burst | (chance.random(size) < fatal), len(_SEVERITIES), chance.integers(0, len(_SEVERITIES), size)
    )
    columns["severity"] = pa.DictionaryArray.from_arrays(places.astype(np.int8), severities).cast(pa.string())
    bundles = np.where(is_burst, 7, chance.zipf(1.3, size) % 300)
    numbered = {"bundle_id": ("com.example.game", bundles), "game_id": ("g", bundles * 13)}
    numbered |= {"publisher_id": ("p", bundles % 40), "appv": ("1.", bundles % 9)}
    for name in ("session_id", "flow_id", "adv_id"):
        numbered[name] = (f"{name[0]}-", chance.integers(10**15, 10**16, size))
    for name, (prefix, numbers) in numbered.items():
        columns[name] = pc.binary_join_element_wise(prefix, pa.array(numbers).cast(pa.string()), "")
    texts = pa.array(times, pa.timestamp("us")).cast(pa.string())
    columns["date"] = pc.replace_substring(texts, " ", "T", max_replacements=1)
    return pa.table({name: columns[name] for name in LOG_COLUMNS}, SCHEMA)


def _picked(words: tuple[str, ...], chance: np.random.Generator, size: int) -> Any:
    places = chance.integers(0, len(words), size).astype(np.int8)
    return pa.DictionaryArray.from_arrays(places, words).cast(pa.string())


def _compression(path: Path) -> str | None:
    return {".gz": "gzip", ".zst": "zstd"}.get(path.suffix)
