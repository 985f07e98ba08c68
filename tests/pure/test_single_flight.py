"""One reading for many threads: never one fetch too many, never an answer that is too old."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from flow_resources.cloud.single_flight import Reading, SingleFlight

TIMEOUT = 60.0  # seconds: a test waits this long for something that is immediate, on a busy machine


class Clock:
    """A clock that advances by one whenever any thread reads it, so that no two moments are the same."""

    def __init__(self) -> None:
        self.now, self._guard = 0.0, threading.Lock()

    def __call__(self) -> float:
        """Read the clock."""
        with self._guard:
            self.now += 1.0
            return self.now


class Source:
    """A fetch that returns its number; gated, it waits for `go`."""

    def __init__(self) -> None:
        self.calls = 0
        self.failing: BaseException | None = None
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.gated = False

    def __call__(self) -> int:
        """Fetch."""
        self.calls += 1
        number, failing = self.calls, self.failing
        self.begun.release()
        if self.gated:
            assert self.go.acquire(timeout=TIMEOUT)
        if failing:
            raise failing
        return number


@contextmanager
def running(shared: SingleFlight[[], int], source: Source) -> Iterator[Callable[[float], Future[int]]]:
    """Call `get` in threads; the test goes on when each of them waits."""
    source.gated = True
    with ThreadPoolExecutor(16) as pool:

        def ask(begun_after: float) -> Future[int]:
            waiting = len(shared._condition._waiters)
            fetching = shared._fetching
            future = pool.submit(shared.get, begun_after)
            if fetching:
                settle(lambda: len(shared._condition._waiters) > waiting or future.done())
            else:
                assert source.begun.acquire(timeout=TIMEOUT)
            return future

        try:
            yield ask
        finally:
            source.go.release(100)


def settle(done: Callable[[], bool]) -> None:
    """Wait, in steps of a millisecond, for what another thread is about to do."""
    pause = threading.Event()
    for _ in range(int(TIMEOUT * 1000)):
        if done():
            return
        pause.wait(0.001)
    raise AssertionError("it did not come about")


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shared(source: Source, clock: Clock) -> SingleFlight[[], int]:
    return SingleFlight(source, clock)


def test_one_fetch_answers_all_callers_that_asked_before_it_began(
    shared: SingleFlight[[], int], source: Source, clock: Clock
) -> None:
    """Ten threads ask while an older fetch runs: one more fetch answers all of them."""
    with running(shared, source) as ask:
        first = ask(clock())
        later = [ask(clock()) for _ in range(10)]
        source.go.release()
        assert first.result(TIMEOUT) == 1
        source.go.release()
        assert [one.result(TIMEOUT) for one in later] == [2] * 10
    assert source.calls == 2


def test_a_fetch_answers_who_asked_while_it_gathered(source: Source, clock: Clock) -> None:
    """It begins when the pause before it is over, not sooner: who asks later is not answered by it."""
    asked_at = list[float]()

    def gather(asked: float) -> None:
        asked_at.append(clock())
        assert asked < asked_at[-1]

    shared = SingleFlight(source, clock, gather)
    assert shared.get(clock()) == 1
    assert shared.get(asked_at[0]) == 1
    assert shared.get(clock()) == 2
    assert source.calls == len(asked_at) == 2


def test_a_pause_that_is_cut_off_leaves_no_fetch_under_way(source: Source, clock: Clock) -> None:
    """The next caller fetches."""
    failing = [OSError("cut off")]

    def gather(_: float) -> None:
        if failing:
            raise failing.pop()

    shared = SingleFlight(source, clock, gather)
    with pytest.raises(OSError, match="cut off"):
        shared.get(clock())
    assert shared.get(clock()) == 1


def test_a_caller_that_accepts_a_running_fetch_waits_for_it(
    shared: SingleFlight[[], int], source: Source, clock: Clock
) -> None:
    """It began after the moment that the caller named."""
    moment = clock()
    with running(shared, source) as ask:
        asked = [ask(moment) for _ in range(5)]
        source.go.release()
        assert [one.result(TIMEOUT) for one in asked] == [1] * 5
    assert source.calls == 1


def test_a_later_caller_gets_a_new_fetch(shared: SingleFlight[[], int], source: Source, clock: Clock) -> None:
    """A fetch that began before the call is not an answer, unless the caller accepts its age."""
    before = clock()
    assert shared.get(before) == 1
    assert shared.get(before) == 1
    assert shared.get(float("-inf")) == 1
    assert shared.get(clock()) == 2
    assert shared.get(before) == 2
    assert source.calls == 2


def test_a_fetch_that_began_at_the_moment_of_the_call_is_fresh(source: Source) -> None:
    """A clock that stands still does not cause endless fetches, also after a change."""
    shared = SingleFlight(source, lambda: 7.0)
    assert [shared.get(7.0), shared.get(7.0), shared.get(6.0)] == [1, 1, 1]
    shared.forget()
    assert [shared.get(7.0), shared.get(7.0)] == [2, 2]


def test_an_error_is_shared_and_not_retried_by_each_caller(
    shared: SingleFlight[[], int], source: Source, clock: Clock
) -> None:
    """All callers that waited for the fetch get its error; a later caller gets a new fetch."""
    moment = clock()
    source.failing = OSError("down")
    with running(shared, source) as ask:
        asked = [ask(moment) for _ in range(8)]
        source.go.release()
        for one in asked:
            assert one.exception(TIMEOUT) is source.failing
        assert source.calls == 1
        source.failing = None
        again = ask(clock())
        source.go.release()
        assert again.result(TIMEOUT) == 2


def test_forgetting_makes_a_finished_reading_unusable(shared: SingleFlight[[], int], source: Source) -> None:
    """Whatever age a caller accepts: something has just changed."""
    assert shared.get(float("-inf")) == 1
    shared.forget()
    assert shared.get(float("-inf")) == 2
    assert shared.get(float("-inf")) == 2


def test_forgetting_during_a_fetch_makes_its_result_unusable_for_others(
    shared: SingleFlight[[], int], source: Source
) -> None:
    """The thread that fetched gets it; threads that wait, or ask later, get a fetch that began afterwards."""
    with running(shared, source) as ask:
        first = ask(float("-inf"))
        waiting = ask(float("-inf"))
        shared.forget()
        later = ask(float("-inf"))
        source.go.release()
        assert first.result(TIMEOUT) == 1
        source.go.release()
        assert (waiting.result(TIMEOUT), later.result(TIMEOUT)) == (2, 2)
    assert source.calls == 2


def test_an_error_answers_no_later_caller(shared: SingleFlight[[], int], source: Source, clock: Clock) -> None:
    """The next caller fetches again, whatever age it accepts; after a success the value answers as before."""
    before = clock()
    source.failing = OSError("down")
    for calls in (1, 2, 3):
        with pytest.raises(OSError, match="down"):
            shared.get(float("-inf") if calls == 2 else before)
        assert source.calls == calls
    source.failing = None
    assert shared.get(before) == 4
    assert [shared.get(before), shared.get(float("-inf"))] == [4, 4]
    assert source.calls == 4


def test_an_error_replaces_an_older_value(shared: SingleFlight[[], int], source: Source, clock: Clock) -> None:
    """A later caller gets a new fetch, also where it would have accepted the older value."""
    before = clock()
    assert shared.get(before) == 1
    source.failing = OSError("down")
    with pytest.raises(OSError, match="down"):
        shared.get(clock())
    source.failing = None
    assert shared.get(before) == 3


def test_one_new_fetch_answers_all_callers_after_an_error(
    shared: SingleFlight[[], int], source: Source, clock: Clock
) -> None:
    """The error went to the callers that asked while the fetch ran; later callers share the next fetch."""
    moment = clock()
    with running(shared, source) as ask:
        source.failing = OSError("down")
        during = [ask(moment) for _ in range(4)]
        source.go.release()
        assert [one.exception(TIMEOUT) for one in during] == [source.failing] * 4
        source.failing = None
        later = [ask(moment) for _ in range(4)]
        source.go.release()
        assert [one.result(TIMEOUT) for one in later] == [2] * 4
    assert source.calls == 2


def test_a_caller_that_needs_a_newer_reading_than_the_failed_one_gets_it(
    shared: SingleFlight[[], int], source: Source, clock: Clock
) -> None:
    """It asked while the failing fetch ran, but that began too early to answer it."""
    moment, failing = clock(), OSError("down")
    with running(shared, source) as ask:
        source.failing = failing
        first, patient, newest = ask(moment), ask(moment), ask(clock())
        source.failing = None
        source.go.release()
        assert first.exception(TIMEOUT) is patient.exception(TIMEOUT) is failing
        source.go.release()
        assert newest.result(TIMEOUT) == 2


@pytest.mark.parametrize("error", [None, OSError("down")], ids=["value", "failure"])
@pytest.mark.parametrize(
    ("asked", "begun_after", "good", "bad"),
    [
        (2, 5.0, True, True),
        (2, 10.0, True, True),
        (2, 10.5, False, False),
        (3, 10.0, True, False),
        (3, 15.0, False, False),
        (3, float("-inf"), True, False),
        (4, 10.0, True, False),
        (4, 25.0, False, False),
    ],
)
def test_a_reading_is_fresh_by_its_age_and_an_error_until_it_ends(
    asked: int, begun_after: float, good: Any, bad: Any, error: Any
) -> None:
    """The third fetch, from 10 to 20: it began late enough and, if it failed, had not ended when the caller asked."""
    reading = Reading(10.0, 20.0, version=3, number=3, value=1, error=error)
    assert reading.is_fresh_for(asked, begun_after, math.inf, version=3) is (bad if error else good)
    assert reading.is_fresh_for(asked, begun_after, math.inf, version=4) is False


@pytest.mark.parametrize(("ended_after", "is_fresh"), [(5.0, True), (20.0, True), (20.5, False)])
def test_a_reading_that_began_too_early_is_fresh_by_its_end(ended_after: float, is_fresh: bool) -> None:
    """Where the caller accepts that; never one from before a change, and a failure only as ever."""
    reading = Reading(10.0, 20.0, version=3, number=3, value=1)
    assert reading.is_fresh_for(3, 22.0, ended_after, version=3) is is_fresh
    assert reading.is_fresh_for(3, 22.0, ended_after, version=4) is False
    assert replace(reading, error=OSError("down")).is_fresh_for(3, 22.0, ended_after, version=3) is False


def test_an_error_answers_who_asked_before_it_ended_though_the_clock_stands_still() -> None:
    """It is counted, not timed."""
    fails = [True]

    def fetch() -> int:
        if fails.pop():
            raise OSError("down")
        return 1

    shared = SingleFlight(fetch, lambda: 1000.0)
    asked = shared.ended
    with pytest.raises(OSError, match="down"):
        shared.get(1000.0)
    with pytest.raises(OSError, match="down"):
        shared.get_ended(1000.0, math.inf, asked)
    fails.append(False)
    assert shared.get_ended(1000.0, math.inf, shared.ended) == 1


def test_a_change_in_the_same_grain_of_the_clock_makes_a_fetch_stale() -> None:
    """It may have begun before the change."""
    values = iter(range(9))
    shared = SingleFlight(lambda: next(values), lambda: 1000.0)
    assert (shared.get(1000.0), shared.get(1000.0)) == (0, 0)
    shared.forget()
    assert shared.get(1000.0) == 1


def test_an_error_that_is_forgotten_during_its_fetch_answers_no_other_caller(
    shared: SingleFlight[[], int], source: Source
) -> None:
    """Callers that wait for it get a fetch that began afterwards."""
    with running(shared, source) as ask:
        source.failing = OSError("down")
        first, waiting = ask(float("-inf")), ask(float("-inf"))
        shared.forget()
        source.failing = None
        source.go.release()
        assert isinstance(first.exception(TIMEOUT), OSError)
        source.go.release()
        assert waiting.result(TIMEOUT) == 2


def test_only_one_fetch_runs_at_a_time(clock: Clock) -> None:
    """However many threads ask for a new reading."""
    running_now, most, guard = 0, 0, threading.Lock()

    def fetch() -> int:
        nonlocal running_now, most
        with guard:
            running_now += 1
            most = max(most, running_now)
        threading.Event().wait(0.001)
        with guard:
            running_now -= 1
        return 0

    shared = SingleFlight(fetch, clock)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: shared.get(clock()), range(40))) == {0}
    assert most == 1


def test_a_fetch_that_is_interrupted_leaves_no_caller_waiting(
    shared: SingleFlight[[], int], source: Source, clock: Clock
) -> None:
    """The thread that fetched gets the KeyboardInterrupt, the others an error, and the next caller a new fetch."""
    moment = clock()
    source.failing = KeyboardInterrupt()
    with running(shared, source) as ask:
        first = ask(moment)
        waiting = ask(moment)
        source.go.release()
        assert isinstance(first.exception(TIMEOUT), KeyboardInterrupt)
        assert "cut off" in str(waiting.exception(TIMEOUT))
        source.failing = None
        again = ask(clock())
        source.go.release()
        assert again.result(TIMEOUT) == 2


def test_the_fetch_gets_the_arguments_of_the_thread_that_performs_it(clock: Clock) -> None:
    """Callers that share its result may have passed other ones."""
    calls: list[str] = []
    shared: SingleFlight[[str], str] = SingleFlight(lambda name: calls.append(name) or name, clock)
    assert [shared.get(0.0, "first"), shared.get(0.0, "second"), shared.get(clock(), "third")] == [
        "first",
        "first",
        "third",
    ]
    assert calls == ["first", "third"]


def test_none_is_a_value(clock: Clock) -> None:
    """A fetch that returns None has succeeded."""
    calls: list[None] = []
    shared = SingleFlight(lambda: calls.append(None), clock)
    assert shared.get(0.0) is None
    assert shared.get(0.0) is None
    assert len(calls) == 1
