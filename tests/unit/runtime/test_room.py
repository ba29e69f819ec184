"""Room: one evaluation at a time has the memory, from its plan until its result has been used."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from service.runtime.room import Room, Turn, TurnGivenUpError
from tests.support.waiting import PATIENCE_S, wait_until


class Evaluations:
    """Threads that evaluate: each takes its turn, says so, and ends when it is told to."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self.room = Room()
        self.admitted: list[str] = []
        self.stop = threading.Event()
        self._pool = pool
        self._ends: dict[str, threading.Event] = {}

    def begin(self, name: str, turn: Turn) -> Future[None]:
        """Begin one; returns once it has the room or waits for it."""
        end = self._ends[name] = threading.Event()

        def work() -> None:
            with turn.taken(self.stop):
                self.admitted.append(name)
                assert end.wait(PATIENCE_S)

        future = self._pool.submit(work)
        wait_until(lambda: turn in self.room._turns, what=f"{name} stands in line")
        return future

    def end(self, name: str) -> None:
        """Let one end."""
        self._ends[name].set()


@pytest.fixture
def evaluations() -> Iterator[Evaluations]:
    """Return a room, and threads for it."""
    with ThreadPoolExecutor() as pool:
        yield Evaluations(pool)


def has_been(admitted: list[str], *names: str) -> Callable[[], bool]:
    """Return the question whether these, and no others, have had the room."""
    return lambda: admitted == list(names)


def test_the_next_has_room_when_the_result_before_has_been_used(evaluations: Evaluations) -> None:
    """That the evaluation has ended is not enough: its alerts are in memory still."""
    with evaluations.room.turn() as second:
        with evaluations.room.turn() as first:
            done = evaluations.begin("first", first)
            evaluations.begin("second", second)
            evaluations.end("first")
            done.result(PATIENCE_S)
            assert evaluations.admitted == ["first"]
        wait_until(has_been(evaluations.admitted, "first", "second"))
        evaluations.end("second")


def test_threads_that_outlive_their_flow_keep_the_room(evaluations: Evaluations) -> None:
    """A run that was cancelled does not wait until its threads have seen it."""
    with evaluations.room.turn() as first:
        done = evaluations.begin("first", first)
        wait_until(has_been(evaluations.admitted, "first"))
    with evaluations.room.turn() as second:
        evaluations.begin("second", second)
        assert not done.done()
        assert evaluations.admitted == ["first"]
        evaluations.end("first")
        wait_until(has_been(evaluations.admitted, "first", "second"))
        evaluations.end("second")


def test_who_came_first_is_first(evaluations: Evaluations) -> None:
    """Nobody is overtaken while waiting."""
    names = [str(number) for number in range(5)]
    with ExitStack() as stack:
        turns = {name: ExitStack() for name in names}
        for name, flow in turns.items():
            stack.enter_context(flow)
            evaluations.begin(name, flow.enter_context(evaluations.room.turn()))
        for place, (name, flow) in enumerate(turns.items(), start=1):
            wait_until(has_been(evaluations.admitted, *names[:place]))
            evaluations.end(name)
            flow.close()


def test_who_gives_up_waiting_is_interrupted_and_stands_in_nobodys_way(evaluations: Evaluations) -> None:
    """Its caller has gone away, or the process has to stop."""
    with evaluations.room.turn() as second:
        with evaluations.room.turn() as first:
            evaluations.begin("first", first)
            waiting = evaluations.begin("second", second)
            evaluations.stop.set()
            with pytest.raises(TurnGivenUpError):
                waiting.result(PATIENCE_S)
            evaluations.end("first")
        evaluations.stop.clear()
        with evaluations.room.turn() as third:
            evaluations.begin("third", third)
            wait_until(has_been(evaluations.admitted, "first", "third"))
            evaluations.end("third")
