"""Account ids become numbers: the same id always the same number, different ids never."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from service.account_risk.folding.account_index import AccountIndex

IDS = st.lists(st.binary(min_size=1, max_size=40) | st.sampled_from([b"a", b"a\0", b"\0", b"\0\0", b"b" * 9]))


@given(batches=st.lists(IDS, max_size=5), large=st.booleans(), skip=st.integers(0, 3))
def test_numbers_stand_for_ids(batches: list[list[bytes]], large: bool, skip: int) -> None:  # noqa: FBT001
    """Over any batches and slices, each distinct id has one number, in the order of first sight."""
    index = AccountIndex()
    expected: dict[bytes, int] = {}
    for batch in batches:
        column = pa.array(batch, pa.large_binary() if large else pa.binary()).slice(skip)
        numbers = index.numbers(column).tolist()
        assert numbers == [expected.setdefault(one, len(expected)) for one in batch[skip:]]
    assert index.count == len(expected)


def test_many_accounts_outgrow_the_first_table() -> None:
    """The table grows without forgetting anybody."""
    index = AccountIndex()
    ids = [f"account {i}".encode() for i in range(50_000)]
    assert index.numbers(pa.array(ids)).tolist() == list(range(50_000))
    assert index.numbers(pa.array(ids[::-1])).tolist() == list(range(49_999, -1, -1))


def test_ids_of_64_k_characters() -> None:
    """Length does not matter, and the last character counts."""
    long = b"x" * 65_536
    assert AccountIndex().numbers(pa.array([long, b"x", long + b"y", long])).tolist() == [0, 1, 2, 0]


def test_the_same_seed_gives_the_same_fingerprints() -> None:
    """Two processes with the same seed can merge what they counted."""
    one, two = AccountIndex(7), AccountIndex(7)
    one.numbers(pa.array([b"a", b"bc"]))
    two.numbers(pa.array([b"a", b"bc"]))
    assert [f.tolist() for f in one.fingerprints()] == [f.tolist() for f in two.fingerprints()]
