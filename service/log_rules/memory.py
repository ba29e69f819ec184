"""The memory of a rule: what it hands from one run to the next. Pure."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from service.log_rules.episode import EPISODE, Episodes, GroupKey, Instants, Numbers, no_episodes

KEPT_BYTES: Final = 12
"""Of a matched row that waits, or that windows still reach, for one rule: its time and its group."""
AGAIN_BYTES: Final = 200
"""Of a row before the period in a file that was read before, until it is known what is late: measured."""
GROUP_BYTES: Final = 280
"""Of a group that is known to a rule, of some forty characters: measured."""
REMEMBERED_BYTES: Final = 16
"""Of a row that is handed on: its time and its group; 8 more where equal rows count once."""
OPEN_BYTES: Final = EPISODE.itemsize
"""Of an open episode that is handed on."""
FOUND_BYTES: Final = 240
"""Of an episode at the moment it is found, before it can be counted: measured."""
LEAST_STEPS: Final = 4
"""Where there is no memory for more, the rows of a step of counting are settled in so many."""
ALERT_BYTES: Final = 4_096
"""Of an episode or a reminder, from the end of the counting until it is recorded: measured as 3.7 KB."""


class DisorderedError(Exception):
    """A row came that is older than what was settled: the rows must be collected and counted at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What a rule remembers from one run to the next: rows that windows still reach, and open episodes."""

    keys: tuple[GroupKey, ...] = ()
    times: Instants = field(default_factory=lambda: np.zeros(0, np.int64))
    group_of: Numbers = field(default_factory=lambda: np.zeros(0, np.int64))
    marks: Instants = field(default_factory=lambda: np.zeros(0, np.int64))
    """All 0 unless equal rows count once."""
    opened: Episodes = field(default_factory=no_episodes)
    """Sorted by group, which is a place in `keys`; `continued` is set."""
