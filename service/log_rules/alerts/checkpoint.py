"""The checkpoint: what a run of a stream leaves for the one that begins where it ended, as bytes. Pure.

A JSON header, then the columns of each rule's memory, compressed. Groups and rows are in an order of their
own, so that equal memories have equal bytes, whatever the order of rows was.
"""

import hashlib
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from service.log_rules.episode import EPISODE, Episodes
from service.log_rules.memory import Memory

FORM: Final = 1
"""Counted up when the bytes mean something else; a checkpoint of another form is none."""
_COLUMNS: Final = (("times", np.dtype("<i8")), ("group_of", np.dtype("<i8")), ("marks", np.dtype("<i8")))
_EPISODE: Final = EPISODE.newbyteorder("<")
_MOST_FILES: Final = 10_000
"""Paths that are remembered besides those of the last run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """All that a run leaves: each rule's memory with the digest of that rule, files, and values seen."""

    memories: Mapping[str, tuple[str, Memory]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    values: Mapping[str, Collection[str]] = field(default_factory=dict)


def packed(remembered: Remembered) -> tuple[bytes, str]:
    """Return the bytes of a checkpoint, and 32 hex digits over what decides about later episodes."""
    rules: list[dict[str, Any]] = []
    columns: list[bytes] = []
    for rule_id, (digest, memory) in sorted(remembered.memories.items()):
        ordered = _in_order(memory)
        parts = [*(getattr(ordered, name).astype(kind) for name, kind in _COLUMNS)]
        rules.append(
            {
                "id": rule_id,
                "digest": digest,
                "keys": ordered.keys,
                "rows": [part.size for part in parts],
                "opened": ordered.opened.size,
            }
        )
        columns += [*(part.tobytes() for part in parts), ordered.opened.astype(_EPISODE).tobytes()]
    seen = {"files": remembered.files, "values": {name: sorted(of) for name, of in remembered.values.items()}}
    over = hashlib.blake2b(orjson.dumps([FORM, rules]), digest_size=16)
    for column in columns:
        over.update(column)
    header = orjson.dumps({"form": FORM, "rules": rules} | seen)
    content = b"".join([len(header).to_bytes(8, "little"), header, *columns])
    return zlib.compress(content, 1), over.hexdigest()


def unpacked(content: bytes) -> Remembered | None:
    """Read a checkpoint; None where another version wrote it in a form of its own."""
    try:
        return _unpacked(zlib.decompress(content))
    except (zlib.error, ValueError, KeyError, TypeError):
        return None


def _unpacked(content: bytes) -> Remembered | None:
    begins = 8 + int.from_bytes(content[:8], "little")
    header = orjson.loads(content[8:begins])
    if header["form"] != FORM:
        return None
    memories: dict[str, tuple[str, Memory]] = {}
    for rule in header["rules"]:
        columns: dict[str, Any] = {}
        for (name, kind), count in zip(_COLUMNS, rule["rows"], strict=True):
            columns[name] = np.frombuffer(content, kind, count, begins).astype(np.int64)
            begins += count * kind.itemsize
        opened = np.frombuffer(content, _EPISODE, rule["opened"], begins).astype(EPISODE)
        begins += opened.size * _EPISODE.itemsize
        keys = tuple(tuple(key) for key in rule["keys"])
        memories[rule["id"]] = rule["digest"], Memory(keys=keys, opened=opened, **columns)
    return Remembered(memories=memories, files=tuple(header["files"]), values=header["values"])


def files_known(before: Collection[str], now: Collection[str]) -> tuple[str, ...]:
    """Return the paths to remember: those of this run, and the last of those before."""
    read = set(now)
    earlier = [path for path in before if path not in read]
    return (*earlier[-_MOST_FILES:], *sorted(now))


def _in_order(memory: Memory) -> Memory:
    """Return the same memory with its groups sorted, and its rows by time, group and mark."""
    order = sorted(range(len(memory.keys)), key=memory.keys.__getitem__)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    group_of = place[memory.group_of] if memory.group_of.size else memory.group_of
    by = (memory.marks, group_of, memory.times) if memory.marks.size else (group_of, memory.times)
    rows = np.lexsort(by)
    opened: Episodes = memory.opened.copy()
    opened["group"] = place[opened["group"]]
    return Memory(
        keys=tuple(memory.keys[number] for number in order),
        times=memory.times[rows],
        group_of=group_of[rows],
        marks=memory.marks[rows] if memory.marks.size else memory.marks,
        opened=np.sort(opened, order="group"),
    )
