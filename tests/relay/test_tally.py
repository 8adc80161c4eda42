"""What was done within the last minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.relay.tally import WINDOW, Lately, Tally
from kirotrio.store.request_endings import Ending


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 9))))
def test_the_last_minute_is_what_is_told_to_within_one_step(requests: list[tuple[float, int]]) -> None:
    clock = 0.0
    tally = Tally(lambda: clock)
    at: list[tuple[float, int]] = []
    for pause, tokens in requests:
        clock += pause
        tally.put(Ending.FINISHED, None, tokens)
        at.append((clock, tokens))
    told = tally.lately()
    surely = [tokens for moment, tokens in at if moment > clock - WINDOW + 5]
    perhaps = [tokens for moment, tokens in at if moment >= clock - WINDOW]
    assert len(surely) <= told.answers <= len(perhaps)
    assert sum(surely) <= told.output_tokens <= sum(perhaps)
    assert len(tally._steps) <= 13


def test_what_came_to_no_end_of_its_own_is_told_apart() -> None:
    tally = Tally(lambda: 0.0)
    for ending in (Ending.FINISHED, *Ending):
        tally.put(ending, 3, 2, 0.5)
    one_of_each = {"refused": 1, "failed": 1, "input_tokens": 21, "output_tokens": 14, "credits": 3.5}
    assert tally.lately() == Lately(answers=6, unfinished=4, **one_of_each)
