"""The collector: set aside while alerts are sent, and back as it was after."""

import gc

import pytest

from service.runtime.garbage import rare_collections


def test_it_is_as_before_after_a_failure_too() -> None:
    """Thresholds are back, and nothing stays out of the collector's sight."""
    before = gc.get_threshold()

    def fail() -> None:
        with rare_collections():
            assert gc.get_freeze_count() > 0
            assert gc.get_threshold()[0] > before[0]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
