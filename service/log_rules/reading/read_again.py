"""Late rows of files that earlier runs have read: what is there now and was not remembered. Pure.

Of a file that nobody has read every row before the period is late. One that was read before, and has grown or
was written again since, has old rows and late ones; the old ones within reach of windows are remembered.
"""

import numpy as np

from service.log_rules.episode import GroupKey, Instants, Mask, Numbers
from service.log_rules.memory import Memory
from service.log_rules.rule import Matched


class RowsReadAgain:
    """Rows before the period, of one rule, in files that an earlier run has read."""

    def __init__(self, memory: Memory, *, reach_us: int, since_us: int) -> None:
        """Rows further back than `reach_us` before the period fill no window, and are not looked at."""
        self._memory = memory
        self._first = since_us - reach_us
        self._numbers = {key: number for number, key in enumerate(memory.keys)}
        self._parts: list[tuple[Instants, Numbers, Instants]] = []
        self._has_marks = False
        self.rows = 0
        """Rows within reach, kept or not."""

    def add(self, matched: Matched, before: Mask, *, keep: bool = True) -> None:
        """Take the rows of a batch in a mask, or only count them."""
        rows = before & (matched.times > self._first)
        count = int(np.count_nonzero(rows))
        self.rows += count
        if not count or not keep:
            return
        numbers = self._numbers
        number_of = np.array([numbers.setdefault(key, len(numbers)) for key in matched.keys], np.int64)
        times = matched.times[rows]
        self._has_marks = matched.marks is not None
        marks = np.zeros(times.size, np.int64) if matched.marks is None else matched.marks[rows]
        self._parts.append((times, number_of[matched.group_of[rows]], marks))

    def late(self) -> Matched | None:
        """Return the rows that are not remembered: of equal ones as many as there are more now."""
        if not self._parts:
            return None
        memory, known = self._memory, self._memory.times.size
        mine = [np.concatenate(part) for part in zip(*self._parts, strict=True)]
        marks = memory.marks if memory.marks.size else np.zeros(known, np.int64)
        remembered = memory.times, memory.group_of, marks
        times, groups, marks = (np.concatenate(both) for both in zip(remembered, mine, strict=True))
        # Equal rows side by side, those that are remembered first.
        order = np.lexsort((np.arange(times.size) >= known, marks, groups, times))
        begins = np.ones(order.size, np.bool_)
        begins[1:] = np.any([each[order][1:] != each[order][:-1] for each in (times, groups, marks)], axis=0)
        run = np.cumsum(begins) - 1
        is_now = order >= known
        remembered_of_run = np.bincount(run, weights=~is_now)[run]
        if self._has_marks:
            # Where equal rows count once, one that is remembered stands for all that there are.
            is_late = is_now & (remembered_of_run == 0)
        else:
            place = np.arange(order.size) - np.flatnonzero(begins)[run]
            is_late = is_now & (place >= 2 * remembered_of_run)
        rows = np.sort(order[is_late])
        if not rows.size:
            return None
        keys: list[GroupKey] = list(self._numbers)
        return Matched(
            times=times[rows],
            group_of=groups[rows],
            keys=keys,
            marks=marks[rows] if self._has_marks else None,
        )
