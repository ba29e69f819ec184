"""Account ids as text: what is shown leads back to the bytes that stand in the source."""

import pyarrow as pa
from hypothesis import example, given
from hypothesis import strategies as st

from service.sources.parquet.text import identified, identifiers


@example([b"\\x41", b"A", b"\\x5cx41", b"\\", b"a\x00", b"\xff\\xff", "\u00e9".encode()])
@given(st.lists(st.binary(min_size=1, max_size=12), unique=True))
def test_an_id_that_is_shown_is_found_again(ids: list[bytes]) -> None:
    """Whatever bytes an id has, in whatever company, its text is its own and leads back to it."""
    shown = identifiers(pa.array(ids, pa.large_binary()))
    assert [identified(text) for text in shown] == ids
    assert len(set(shown)) == len(ids)
