"""What was done within the last minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.relay.tally import WINDOW, Lately, Tally
from kirotrio.store.request_record import RequestRecord


def record(outcome: str = "end_turn", tokens: int | None = None) -> RequestRecord:
    return RequestRecord(id="one", at=0.0, outcome=outcome, seconds=1.0, output_tokens=tokens, credits=0.5)


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 9))))
def test_the_last_minute_is_what_is_told_to_within_one_step(requests: list[tuple[float, int]]) -> None:
    clock = 0.0
    tally = Tally(lambda: clock)
    at: list[tuple[float, int]] = []
    for pause, tokens in requests:
        clock += pause
        tally.put(record(tokens=tokens))
        at.append((clock, tokens))
    told = tally.lately()
    surely = [tokens for moment, tokens in at if moment > clock - WINDOW + 5]
    perhaps = [tokens for moment, tokens in at if moment >= clock - WINDOW]
    assert len(surely) <= told.answers <= len(perhaps)
    assert sum(surely) <= told.output_tokens <= sum(perhaps)
    assert len(tally._steps) <= 13


def test_what_came_to_no_end_of_its_own_is_told_apart() -> None:
    tally = Tally(lambda: 0.0)
    for outcome in ("end_turn", "tool_use", "client gone", "cancelled", "upstream_failed"):
        tally.put(record(outcome))
    assert tally.lately() == Lately(answers=5, unfinished=3, credits=2.5)
