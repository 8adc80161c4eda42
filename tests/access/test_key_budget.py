"""What a key may use: windows of the calendar, and what is left in them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.access.budget import Amount, Budget, Used
from kirotrio.access.windows import Window
from kirotrio.errors import RateLimited

MOMENTS = st.floats(0, 4e9)
WINDOWS = st.sampled_from(Window)


def seconds(*date: int) -> float:
    return datetime(*date, tzinfo=UTC).timestamp()


@given(WINDOWS, MOMENTS)
def test_every_moment_lies_in_one_window_and_the_next_begins_where_it_ends(window: Window, at: float) -> None:
    begin, end = window.begin(at), window.end(at)
    assert begin <= at < end
    assert window.begin(begin) == window.begin(end - 1) == begin
    assert window.begin(end) == end


@pytest.mark.parametrize(
    ("window", "at", "begin", "end"),
    [
        (Window.MINUTE, (2026, 11, 21, 23, 59, 59), (2026, 11, 21, 23, 59), (2026, 11, 22)),
        (Window.DAY, (2028, 2, 28, 12), (2028, 2, 28), (2028, 2, 29)),
        (Window.MONTH, (2026, 12, 31, 23, 59, 59), (2026, 12, 1), (2027, 1, 1)),
        (Window.MONTH, (2028, 2, 29), (2028, 2, 1), (2028, 3, 1)),
    ],
)
def test_windows_are_those_of_the_calendar(window, at, begin, end) -> None:
    assert window.begin(seconds(*at)) == seconds(*begin)
    assert window.end(seconds(*at)) == seconds(*end)


AMOUNTS = st.builds(
    Amount, *(st.none() | st.integers(0, 5) for _ in range(2)), st.none() | st.floats(0, 5, allow_nan=False)
)
USED = st.builds(Used, st.integers(0, 6), st.integers(0, 6), st.floats(0, 6, allow_nan=False))


@given(st.dictionaries(WINDOWS, AMOUNTS), st.dictionaries(WINDOWS, USED), MOMENTS)
def test_a_request_is_let_in_while_something_is_left_of_everything(limits, used, now) -> None:
    spent = [
        window
        for window, limit in limits.items()
        if any(
            most is not None and getattr(used.get(window, Used()), name) >= most
            for name in ("requests", "tokens", "credits")
            for most in [getattr(limit, name)]
        )
    ]
    if not spent:
        Budget(limits).check(used, now)
        return
    with pytest.raises(RateLimited) as refused:
        Budget(limits).check(used, now)
    # Not before the last of them is over would another request be let in.
    assert refused.value.retry_after == max(window.end(now) for window in spent) - now


def test_the_refusal_names_the_limit_and_the_window() -> None:
    budget = Budget({Window.DAY: Amount(tokens=2_000_000), Window.MINUTE: Amount(requests=10)})
    with pytest.raises(RateLimited, match="its 2,000,000 tokens of this day"):
        budget.check({Window.DAY: Used(tokens=2_000_001)}, 0.0)


def test_what_is_not_limited_is_not_counted() -> None:
    assert Budget({Window.DAY: Amount(), Window.MONTH: Amount(credits=0.0)}).limited == (Window.MONTH,)
