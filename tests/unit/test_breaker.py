"""The circuit breaker: when it opens, how long it rests, and the one trial after."""

from __future__ import annotations

import pytest

from relume.providers.breaker import LEAST_CALLS, REST_SECONDS, WINDOW_SECONDS, Breaker


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breaker(time: Time) -> Breaker:
    return Breaker(time)


def record(breaker: Breaker, outcomes: str) -> None:
    for outcome in outcomes:
        breaker.record(succeeded=outcome == "+")


@pytest.mark.parametrize("outcomes", ["----", "+++++", "++---+", "--+--"[:4], "+-+-+-"])
def test_it_stays_closed_while_at_most_half_failed_or_few_were_made(breaker: Breaker, outcomes: str) -> None:
    record(breaker, outcomes)
    assert breaker.state == "closed"
    assert breaker.allow()


@pytest.mark.parametrize("outcomes", ["-----", "++---", "+-+--"])
def test_it_opens_when_over_half_of_five_failed(breaker: Breaker, outcomes: str) -> None:
    assert len(outcomes) == LEAST_CALLS
    record(breaker, outcomes)
    assert breaker.state == "open"
    assert not breaker.allow()


def test_old_calls_do_not_count(breaker: Breaker, time: Time) -> None:
    record(breaker, "----")
    time.now += WINDOW_SECONDS + 1
    record(breaker, "-")
    assert breaker.state == "closed"


def test_after_its_rest_one_trial_decides(breaker: Breaker, time: Time) -> None:
    record(breaker, "-----")
    time.now += REST_SECONDS
    assert breaker.state == "half_open"
    assert breaker.allow()
    assert not breaker.allow(), "only one trial at a time"
    breaker.record(succeeded=False)
    assert breaker.state == "open"
    time.now += REST_SECONDS
    assert breaker.allow()
    breaker.record(succeeded=True)
    assert breaker.state == "closed"


def test_a_cancelled_trial_lets_the_next_one_through(breaker: Breaker, time: Time) -> None:
    record(breaker, "-----")
    time.now += REST_SECONDS
    assert breaker.allow()
    breaker.release()
    assert breaker.allow()


def test_each_opening_is_told_and_nothing_else(time: Time) -> None:
    opened: list[float] = []
    breaker = Breaker(time, on_open=lambda: opened.append(time.now))
    record(breaker, "+" + "-" * LEAST_CALLS)
    time.now += REST_SECONDS
    assert breaker.allow()
    record(breaker, "-")
    time.now += REST_SECONDS
    assert breaker.allow()
    record(breaker, "+")
    assert opened == [1000.0, 1000.0 + REST_SECONDS]
