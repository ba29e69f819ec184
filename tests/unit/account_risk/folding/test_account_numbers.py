"""Numbers by account keep what was written to them however often they grow."""

import numpy as np

from service.account_risk.folding.account_numbers import AccountNumbers


def test_numbers_stay_while_room_is_made_for_more() -> None:
    """New accounts have 0, those before them what they had, and nothing is counted beyond the last."""
    numbers = AccountNumbers(np.zeros(0, np.uint32))
    for end in (1, 2, 100, 200_000, 200_001, 3_000_000):
        values = numbers.up_to(end)
        assert values.size == numbers.numbers.size == end
        assert values[-1] == 0
        values[-1] = end
    assert numbers.of(np.array([0, 1, 2, 99, 199_999, 200_000])).tolist() == [1, 2, 0, 100, 200_000, 200_001]
    assert np.count_nonzero(numbers.numbers) == 6


def test_fewer_are_needed_than_there_are() -> None:
    """Asked for fewer accounts, it returns all that it has."""
    numbers = AccountNumbers(np.array([3, 4, 5], np.uint8))
    assert numbers.up_to(1).tolist() == [3, 4, 5]
    assert numbers.of(np.array([4, 1])).tolist() == [0, 4]
    assert numbers.of(np.zeros(0, np.int64)).tolist() == []
