"""One reading for many threads: never one fetch too many, never an answer that is too old."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from flow_resources.cloud.single_flight import Reading, SingleFlight

PATIENCE = 60.0  # seconds: what a test waits for something that comes at once, on a machine that is busy


class Clock:
    """A clock that goes on by one at every look, of whatever thread, so that no two moments are the same."""

    def __init__(self) -> None:
        self.now, self._guard = 0.0, threading.Lock()

    def __call__(self) -> float:
        """Look at the clock."""
        with self._guard:
            self.now += 1.0
            return self.now


class Source:
    """A fetch that answers with its number, when it is told to."""

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
            assert self.go.acquire(timeout=PATIENCE)
        if failing:
            raise failing
        return number


@contextmanager
def running(shared: SingleFlight[int], source: Source) -> Iterator[Callable[[float], Future[int]]]:
    """Start askers in threads, each of them waiting for good before the test goes on."""
    source.gated = True
    with ThreadPoolExecutor(16) as pool:

        def ask(begun_after: float) -> Future[int]:
            waiting = len(shared._turn._waiters)
            fetching = shared._fetching
            future = pool.submit(shared.get, begun_after)
            if fetching:
                settle(lambda: len(shared._turn._waiters) > waiting or future.done())
            else:
                assert source.begun.acquire(timeout=PATIENCE)
            return future

        try:
            yield ask
        finally:
            source.go.release(100)


def settle(done: Callable[[], bool]) -> None:
    """Wait, in steps of a millisecond, for what another thread is about to do."""
    pause = threading.Event()
    for _ in range(int(PATIENCE * 1000)):
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
def shared(source: Source, clock: Clock) -> SingleFlight[int]:
    return SingleFlight(source, clock)


def test_one_fetch_serves_all_who_asked_before_it_began(
    shared: SingleFlight[int], source: Source, clock: Clock
) -> None:
    """Ten threads ask while an older fetch runs: one more fetch answers all of them."""
    with running(shared, source) as ask:
        first = ask(clock())
        later = [ask(clock()) for _ in range(10)]
        source.go.release()
        assert first.result(PATIENCE) == 1
        source.go.release()
        assert [one.result(PATIENCE) for one in later] == [2] * 10
    assert source.calls == 2


def test_who_can_live_with_a_running_fetch_waits_for_it(
    shared: SingleFlight[int], source: Source, clock: Clock
) -> None:
    """A moment before it began is a moment that it answers."""
    moment = clock()
    with running(shared, source) as ask:
        asked = [ask(moment) for _ in range(5)]
        source.go.release()
        assert [one.result(PATIENCE) for one in asked] == [1] * 5
    assert source.calls == 1


def test_a_later_asker_gets_a_new_fetch(shared: SingleFlight[int], source: Source, clock: Clock) -> None:
    """What began before the question is no answer; what is old enough for the asker is."""
    before = clock()
    assert shared.get(before) == 1
    assert shared.get(before) == 1
    assert shared.get(float("-inf")) == 1
    assert shared.get(clock()) == 2
    assert shared.get(before) == 2
    assert source.calls == 2


def test_an_answer_as_old_as_the_question_is_fresh_enough(source: Source) -> None:
    """A clock that stands still makes no endless fetching, also after a change."""
    shared = SingleFlight(source, lambda: 7.0)
    assert [shared.get(7.0), shared.get(7.0), shared.get(6.0)] == [1, 1, 1]
    shared.forget()
    assert [shared.get(7.0), shared.get(7.0)] == [2, 2]


def test_a_failure_is_shared_and_not_tried_again_one_by_one(
    shared: SingleFlight[int], source: Source, clock: Clock
) -> None:
    """All who waited for the fetch get its error; who asks later gets a new try."""
    moment = clock()
    source.failing = OSError("down")
    with running(shared, source) as ask:
        asked = [ask(moment) for _ in range(8)]
        source.go.release()
        for one in asked:
            assert one.exception(PATIENCE) is source.failing
        assert source.calls == 1
        source.failing = None
        again = ask(clock())
        source.go.release()
        assert again.result(PATIENCE) == 2


def test_forgetting_makes_a_finished_reading_unusable(shared: SingleFlight[int], source: Source) -> None:
    """Whatever age is accepted: something has just changed."""
    assert shared.get(float("-inf")) == 1
    shared.forget()
    assert shared.get(float("-inf")) == 2
    assert shared.get(float("-inf")) == 2


def test_forgetting_during_a_fetch_makes_its_result_unusable_for_others(
    shared: SingleFlight[int], source: Source
) -> None:
    """Who began it gets it; whoever waits for it, or asks later with any age, gets a fetch that began afterwards."""
    with running(shared, source) as ask:
        first = ask(float("-inf"))
        waiting = ask(float("-inf"))
        shared.forget()
        later = ask(float("-inf"))
        source.go.release()
        assert first.result(PATIENCE) == 1
        source.go.release()
        assert (waiting.result(PATIENCE), later.result(PATIENCE)) == (2, 2)
    assert source.calls == 2


def test_a_failure_answers_nobody_who_asks_after_it(shared: SingleFlight[int], source: Source, clock: Clock) -> None:
    """The next asker, of whatever patience, tries again; a value answers again as before."""
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


def test_a_failure_takes_the_place_of_an_older_value(shared: SingleFlight[int], source: Source, clock: Clock) -> None:
    """Whoever asks after it gets a new fetch, also where the older value would have done."""
    before = clock()
    assert shared.get(before) == 1
    source.failing = OSError("down")
    with pytest.raises(OSError, match="down"):
        shared.get(clock())
    source.failing = None
    assert shared.get(before) == 3


def test_one_new_fetch_serves_all_who_ask_after_a_failure(
    shared: SingleFlight[int], source: Source, clock: Clock
) -> None:
    """The failure went to those who asked while it lasted; the later ones share the next fetch."""
    moment = clock()
    with running(shared, source) as ask:
        source.failing = OSError("down")
        during = [ask(moment) for _ in range(4)]
        source.go.release()
        assert [one.exception(PATIENCE) for one in during] == [source.failing] * 4
        source.failing = None
        later = [ask(moment) for _ in range(4)]
        source.go.release()
        assert [one.result(PATIENCE) for one in later] == [2] * 4
    assert source.calls == 2


def test_who_needs_a_newer_reading_than_the_failed_one_gets_it(
    shared: SingleFlight[int], source: Source, clock: Clock
) -> None:
    """Asked while the failing fetch ran, but it began too early for the asker: it is no answer, good or bad."""
    moment, failing = clock(), OSError("down")
    with running(shared, source) as ask:
        source.failing = failing
        first, patient, newest = ask(moment), ask(moment), ask(clock())
        source.failing = None
        source.go.release()
        assert first.exception(PATIENCE) is patient.exception(PATIENCE) is failing
        source.go.release()
        assert newest.result(PATIENCE) == 2


@pytest.mark.parametrize("error", [None, OSError("down")], ids=["value", "failure"])
@pytest.mark.parametrize(
    ("asked", "begun_after", "good", "bad"),
    [
        (5.0, 5.0, True, True),
        (5.0, 10.0, True, True),
        (15.0, 10.0, True, True),
        (15.0, 5.0, True, True),
        (15.0, 15.0, False, False),
        (5.0, 10.5, False, False),
        (25.0, 5.0, True, False),
        (25.0, float("-inf"), True, False),
        (20.5, 10.0, True, False),
        (25.0, 25.0, False, False),
    ],
)
def test_a_reading_answers_by_its_age_and_a_failure_until_it_ends(
    asked: float, begun_after: float, good: Any, bad: Any, error: Any
) -> None:
    """A fetch from 10 to 20: old enough for the asker, and, where it failed, not over when he asked."""
    reading = Reading(10.0, 20.0, version=3, value=1, error=error)
    assert reading.is_fresh_for(asked, begun_after, version=3) is (bad if error else good)
    assert reading.is_fresh_for(asked, begun_after, version=4) is False


def test_a_change_at_the_very_moment_of_a_fetch_makes_it_stale() -> None:
    """Clocks have grains: what is as old as the change was not begun after it."""
    values = iter(range(9))
    shared = SingleFlight(lambda: next(values), lambda: 1000.0)
    assert (shared.get(1000.0), shared.get(1000.0)) == (0, 0)
    shared.forget()
    assert shared.get(1000.0) == 1


def test_a_failure_that_is_forgotten_while_it_lasts_answers_nobody_else(
    shared: SingleFlight[int], source: Source
) -> None:
    """Who waits for it gets the fetch that began afterwards."""
    with running(shared, source) as ask:
        source.failing = OSError("down")
        first, waiting = ask(float("-inf")), ask(float("-inf"))
        shared.forget()
        source.failing = None
        source.go.release()
        assert isinstance(first.exception(PATIENCE), OSError)
        source.go.release()
        assert waiting.result(PATIENCE) == 2


def test_only_one_fetch_runs_at_a_time(clock: Clock) -> None:
    """However many threads ask for the newest."""
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


def test_a_fetch_that_is_interrupted_leaves_nobody_waiting(
    shared: SingleFlight[int], source: Source, clock: Clock
) -> None:
    """Ctrl-C goes to the one who fetched; the others are told, and the next one fetches anew."""
    moment = clock()
    source.failing = KeyboardInterrupt()
    with running(shared, source) as ask:
        first = ask(moment)
        waiting = ask(moment)
        source.go.release()
        assert isinstance(first.exception(PATIENCE), KeyboardInterrupt)
        assert "cut off" in str(waiting.exception(PATIENCE))
        source.failing = None
        again = ask(clock())
        source.go.release()
        assert again.result(PATIENCE) == 2


def test_nothing_is_a_value_too(clock: Clock) -> None:
    """A fetch that answers None has answered."""
    calls: list[None] = []
    shared = SingleFlight(lambda: calls.append(None), clock)
    assert shared.get(0.0) is None
    assert shared.get(0.0) is None
    assert len(calls) == 1
