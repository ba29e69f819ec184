"""Room: the memory for evaluations is one process's, so that one at a time has it and the next ones wait."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_POLL_S: Final = 0.1
"""How often one that waits looks whether it still shall."""


class TurnGivenUpError(Exception):
    """Whoever waited for the room was asked to stop."""


class Room:
    """Has room for one evaluation, from the end of its planning until its result has been used."""

    def __init__(self) -> None:
        self._turns: deque[Turn] = deque()
        """In the order in which they came; the first has the room."""
        self._changed = threading.Condition()

    @contextmanager
    def turn(self) -> Iterator["Turn"]:
        """Prepare a turn, for one evaluation and for the use of its result inside the block."""
        turn = Turn(self)
        try:
            yield turn
        finally:
            self.leave(turn)

    def wait_for(self, turn: "Turn", stop: threading.Event) -> None:
        """Return when the room is the turn's; raises TurnGivenUpError once `stop` is set."""
        with self._changed:
            self._turns.append(turn)
            while not stop.is_set():
                if self._turns[0] is turn:
                    turn.users += 1
                    return
                self._changed.wait(_POLL_S)
            self._turns.remove(turn)
            self._changed.notify_all()
        raise TurnGivenUpError

    def leave(self, turn: "Turn") -> None:
        """Give the room back, once all who use the turn have left."""
        with self._changed:
            turn.users -= 1
            if not turn.users and turn in self._turns:
                self._turns.remove(turn)
                self._changed.notify_all()


class Turn:
    """One evaluation's turn to have the room; its threads may outlive the flow that asked for it."""

    def __init__(self, room: Room) -> None:
        self.users = 1
        """The flow, and the evaluation while it is at work."""
        self._room = room

    @contextmanager
    def taken(self, stop: threading.Event) -> Iterator[None]:
        """Wait for the room in the evaluation's thread; raises TurnGivenUpError once `stop` is set."""
        self._room.wait_for(self, stop)
        try:
            yield
        finally:
            self._room.leave(self)
