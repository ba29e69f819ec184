"""Blocks of CSV: cut where records end, in memory that is used again."""

import io

import pytest

from service.log_rules.reading.csv_blocks import CsvBlocks


def test_what_is_released_is_read_into_again() -> None:
    """A block that somebody still looks at is left alone."""
    lines = [b"%07d\n" % number for number in range(400)]
    blocks = CsvBlocks(io.BytesIO(b"".join(lines)), block=83)
    held, seen, rooms = None, [], set()
    for place, block in enumerate(blocks):
        seen.append(bytes(block))
        rooms.add(id(block.obj))
        if place == 1:
            held = (block, bytes(block))
        else:
            blocks.release(block)
    assert b"".join(seen) == b"".join(lines)
    assert len(rooms) == 2
    assert held is not None
    assert bytes(held[0]) == held[1]


@pytest.mark.parametrize("place", [0, (1 << 18) - 2, 1 << 18, (1 << 19) + 7])
def test_blocks_end_where_a_quote_is_open(place: int) -> None:
    """Wherever it stands in a block; one more closes it."""
    text = bytearray(b"value,\n" * 100_000)
    text[place] = ord('"')
    blocks = CsvBlocks(io.BytesIO(text), block=600_000, rows=1 << 20)
    assert list(blocks) == []
    assert blocks.rest == bytes(text[:600_000])
    text[place + 1] = ord('"')
    blocks = CsvBlocks(io.BytesIO(text), block=600_000, rows=1 << 20)
    assert b"".join(blocks) == text
    assert blocks.rest is None


def test_blocks_of_short_records_are_short() -> None:
    """What is made of a block goes by its records. One longer than all before it fits too."""
    text = b"".join(b"%07d\n" % place for place in range(3_000))
    text += b"".join(b"%099d\n" % place for place in range(3_000)) + b"x" * 9_000 + b"\n"
    blocks = list(map(bytes, CsvBlocks(io.BytesIO(text), block=8_000, rows=50)))
    assert b"".join(blocks) == text
    assert max(map(len, blocks)) > 9_000
    assert max(block.count(b"\n") for block in blocks) <= 51
    assert len(blocks) < 150
