"""Blocks of CSV: cut where records end, in memory that is used again."""

import io

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
