"""The collector of test processes: what they have loaded and collected stays, and is looked through in vain.

It stands up here to be read before anything of the service, which goes back to the thresholds that it found.
"""

import gc

gc.disable()
gc.set_threshold(10_000, 10, 10)


def pytest_collection_finish() -> None:
    """Let garbage be collected while tests run, seldom: each look through everything takes 150 ms of CPU."""
    gc.freeze()
    gc.enable()
