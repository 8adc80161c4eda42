"""What is learned of the difference between our count and the upstream's."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.calibration import DAY, FACTOR_BOUNDS, OFFSET_BOUNDS, Calibration, Correction

START = Correction(1.15, 4_000.0)


def taught(factor: float, offset: float, days: int = 3, noise: float = 0.03, seed: int = 1) -> Calibration:
    """A calibration after some days of answers whose truth is `factor` and `offset`."""
    chance = random.Random(seed)
    calibration = Calibration.beginning_with(START)
    for day in range(days):
        for answer in range(30):
            counted = chance.uniform(15_000, 180_000)
            measured = (factor * counted + offset) * chance.uniform(1 - noise, 1 + noise)
            calibration.learn(calibration.current.apply(counted), round(measured), day * DAY + answer * 60)
    return calibration


@given(factor=st.floats(0.75, 1.8), offset=st.floats(0, 15_000), seed=st.integers(0, 1000))
def test_estimates_come_close_to_what_was_measured(factor: float, offset: float, seed: int) -> None:
    learned = taught(factor, offset, days=4, seed=seed).current
    for counted in (25_000, 60_000, 150_000):
        truth = factor * counted + offset
        error = abs(learned.apply(counted) - truth) / truth
        assert error < 0.05, f"{learned} is {error:.1%} off for {counted} counted tokens"


def test_the_first_change_needs_three_answers() -> None:
    calibration = Calibration.beginning_with(START)
    changes = [calibration.learn(START.apply(50_000), 80_000, now) for now in (0.0, 1.0, 2.0)]
    assert changes == [False, False, True]


def test_one_change_a_day_at_most() -> None:
    calibration = Calibration.beginning_with(START)
    changed_at = [
        minute * 60.0
        for minute in range(3 * 24 * 60)
        if calibration.learn(calibration.current.apply(50_000), 70_000, minute * 60.0)
    ]
    assert len(changed_at) == 3
    assert all(later - earlier >= DAY for earlier, later in itertools.pairwise(changed_at))


def test_small_answers_and_impossible_ratios_teach_nothing() -> None:
    for counted, measured in ((10_000, 20_000), (100_000, 20_001), (20_000, 100_000), (-9_000, 30_000)):
        calibration = Calibration.beginning_with(START)
        for now in range(10):
            assert not calibration.learn(START.apply(counted), measured, now * DAY)
        assert calibration.current == START, (counted, measured)


def test_a_clock_that_was_set_back_does_not_end_the_learning() -> None:
    calibration = taught(1.3, 4_000)
    assert calibration.current.changed_at is not None
    assert calibration.learn(calibration.current.apply(50_000), 70_000, calibration.current.changed_at - 2 * DAY)


@given(
    st.lists(
        st.tuples(st.integers(-100_000, 2_000_000), st.integers(0, 2_000_000), st.floats(0, 4e9)),
        max_size=30,
    )
)
def test_whatever_is_measured_the_correction_stays_in_its_bounds(answers: list[tuple[int, int, float]]) -> None:
    calibration = Calibration.beginning_with(START)
    for estimated, measured, now in answers:
        calibration.learn(estimated, measured, now)
        assert FACTOR_BOUNDS[0] <= calibration.current.factor <= FACTOR_BOUNDS[1]
        assert OFFSET_BOUNDS[0] <= calibration.current.offset <= OFFSET_BOUNDS[1]
        assert calibration.current.apply(0) >= 0


def test_answers_of_one_size_move_factor_and_offset_little_each() -> None:
    """They cannot tell the two apart: the prior decides, and the estimate at that size is still right."""
    calibration = Calibration.beginning_with(START)
    for now in range(3):
        calibration.learn(START.apply(50_000), 70_000, float(now))
    assert abs(calibration.current.apply(50_000) - 70_000) < 700
    assert abs(calibration.current.offset - START.offset) < 3_000
