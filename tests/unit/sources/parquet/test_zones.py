"""Wall clocks: the seconds of many instants at once are those of each by itself."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sources.parquet.zones import wall_seconds, zone

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  # on a wall
AROUND_A_CHANGE = int(dt.datetime(2026, 3, 29, 1, tzinfo=dt.UTC).timestamp())


@given(
    instants=st.lists(
        st.one_of(st.integers(AROUND_A_CHANGE - 9, AROUND_A_CHANGE + 9), st.integers(-(10**10), 10**11)),
        min_size=1,
    ),
    name=st.sampled_from(["Europe/Berlin", "Pacific/Apia", "Africa/Monrovia", "America/Sao_Paulo"]),
)
def test_wall_clocks_show_what_python_says(instants: list[int], name: str) -> None:
    """Before, on and after the days on which clocks were changed."""
    expected = [
        (dt.datetime.fromtimestamp(instant, ZoneInfo(name)).replace(tzinfo=None) - EPOCH).total_seconds()
        for instant in instants
    ]
    assert wall_seconds(np.array(instants), name).tolist() == expected


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC+3"])
def test_instants_that_no_calendar_has(name: str) -> None:
    """They stay far away, and are no error."""
    far = np.array([-(2**62), 2**62])
    assert np.abs(wall_seconds(far, name) - far).max() < 86_400


def test_a_zone_that_there_is_not() -> None:
    """Whoever asks for the wall clock has looked before."""
    assert zone("tzlocal()") is None
    with pytest.raises(ValueError, match="tzlocal"):
        wall_seconds(np.array([0]), "tzlocal()")
