"""What answers cost that ended before it was told: learned from those that told it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.kiro.models import ModelProfile
from kirotrio.relay.prices import INPUT_AT_FIRST, OUTPUT_AT_FIRST, Prices

SONNET = ModelProfile("claude-sonnet-4.5", "", rate=1.3)
OTHER = ModelProfile("other", "")
counts = st.integers(1, 10**6)


def test_at_first_a_guess_by_the_models_multiplier_has_to_do() -> None:
    assert Prices().estimate(SONNET, 1000, 100) == pytest.approx(1.3 * (1000 * INPUT_AT_FIRST + 100 * OUTPUT_AT_FIRST))
    assert Prices().estimate(OTHER, 1000, 0) == pytest.approx(1000 * INPUT_AT_FIRST)


@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=30), st.floats(0.01, 100), counts, counts)
def test_where_finished_answers_cost_so_many_times_the_guess_a_cut_one_does(
    finished: list[tuple[int, int]], times: float, put_in: int, put_out: int
) -> None:
    prices, guess = Prices(), Prices()
    for one in finished:
        prices.learn(SONNET, *one, times * guess.estimate(SONNET, *one))
    assert prices.estimate(SONNET, put_in, put_out) == pytest.approx(times * guess.estimate(SONNET, put_in, put_out))
    assert prices.estimate(OTHER, put_in, put_out) == guess.estimate(OTHER, put_in, put_out)


def test_what_answers_have_cost_lately_counts_most() -> None:
    prices = Prices()
    for _ in range(50):
        prices.learn(SONNET, 1000, 100, 9.0)
    for _ in range(50):
        prices.learn(SONNET, 1000, 100, 0.5)
    assert prices.estimate(SONNET, 1000, 100) == pytest.approx(0.5, rel=0.1)


def test_an_answer_of_which_nothing_is_known_teaches_nothing() -> None:
    prices = Prices()
    prices.learn(SONNET, 0, 0, 5.0)
    assert prices.estimate(SONNET, 1000, 100) == Prices().estimate(SONNET, 1000, 100)
