"""The service's time: what the last readable `Date` said, going on with a clock that nobody sets."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from flow_resources.cloud.service_clock import ServiceClock

NOON = datetime(2027, 1, 15, 12, tzinfo=timezone.utc)


class Monotonic:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.seconds = 5.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def monotonic() -> Monotonic:
    return Monotonic()


def test_before_the_first_answer_the_time_is_not_known(monotonic: Monotonic) -> None:
    """The clock of the machine is no substitute."""
    assert ServiceClock(monotonic).now() is None


def test_the_time_goes_on_between_answers(monotonic: Monotonic) -> None:
    """With the monotonic clock."""
    clock = ServiceClock(monotonic)
    clock.record("Fri, 15 Jan 2027 12:00:00 GMT")
    assert clock.now() == NOON
    monotonic.seconds += 90.5
    assert clock.now() == NOON + timedelta(seconds=90.5)


@pytest.mark.parametrize("date", [None, "", "yesterday", "2027-01-15T12:00:00Z", "Fri, 99 Jan 2027 12:00:00 GMT", "0"])
def test_a_date_that_cannot_be_read_changes_nothing(date: str | None, monotonic: Monotonic) -> None:
    """Neither what is known nor what is not."""
    clock = ServiceClock(monotonic)
    clock.record(date)
    assert clock.now() is None
    clock.record("Fri, 15 Jan 2027 12:00:00 GMT")
    clock.record(date)
    assert clock.now() == NOON


@pytest.mark.parametrize(
    "date",
    [
        "Fri, 15 Jan 2027 12:00:00 GMT",
        "Fri, 15 Jan 2027 12:00:00 -0000",
        "Friday, 15-Jan-27 12:00:00 GMT",
        "Fri Jan 15 12:00:00 2027",
        "Fri, 15 Jan 2027 14:00:00 +0200",
    ],
)
def test_each_form_of_an_http_date_is_read_as_utc(date: str, monotonic: Monotonic) -> None:
    """RFC 9110 names three; the obsolete ones have no zone."""
    clock = ServiceClock(monotonic)
    clock.record(date)
    assert clock.now() == NOON


def test_the_last_answer_counts(monotonic: Monotonic) -> None:
    """A fake is moved forward, a service is corrected."""
    clock = ServiceClock(monotonic)
    clock.record("Fri, 15 Jan 2027 12:00:00 GMT")
    monotonic.seconds += 10
    clock.record("Fri, 15 Jan 2027 11:00:00 GMT")
    assert clock.now() == NOON - timedelta(hours=1)
