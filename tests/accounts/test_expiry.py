"""Every way of writing a time down is read as the same moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.accounts.expiry import format_expiry, known_expiry
from kirotrio.kiro.times import epoch_seconds

FORMS: list[Any] = [
    *(None, "", True, 1_700_000_000, 1_700_000_000.5, 1_700_000_000_000, "1700000000", "1700000000000"),
    *("2025-01-01T00:00:00Z", "2025-01-01T00:00:00.123456789Z", "2025-01-01T00:00:00"),
]

seconds = st.integers(1, 4_102_444_800)  # up to 2100
offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(at=seconds, offset=offsets, fraction=st.text("0123456789", max_size=9))
def test_every_rfc3339_spelling_is_the_same_moment(at: int, offset: timezone, fraction: str) -> None:
    decimals = f".{fraction}" if fraction else ""
    exact = at + float(f"0{decimals or '.0'}")
    utc = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    local = datetime.fromtimestamp(at, offset)
    hours = local.strftime("%z")
    elsewhere = local.strftime("%Y-%m-%dT%H:%M:%S") + decimals + f"{hours[:3]}:{hours[3:]}"
    spellings = [f"{utc}{decimals}Z", f"{utc}{decimals}z", f"{utc}{decimals}", f" {utc}{decimals}+00:00 ", elsewhere]
    for spelling in spellings:
        assert epoch_seconds(spelling) == pytest.approx(exact, abs=2e-6), spelling


@given(at=st.integers(100_000_001, 4_102_444_800))
def test_seconds_and_milliseconds_as_numbers_and_as_text(at: int) -> None:
    for spelling in (at, float(at), str(at), at * 1000, str(at * 1000), float(at * 1000)):
        assert epoch_seconds(spelling) == at, repr(spelling)


@given(
    at=st.floats(1e9, 4e9),
    like=st.sampled_from(FORMS),
)
def test_what_is_written_reads_back_and_keeps_its_form(at: float, like: Any) -> None:
    written = format_expiry(at, like)
    assert epoch_seconds(written) == pytest.approx(at, abs=0.51)
    if isinstance(like, str) or like is None or like is True:
        assert isinstance(written, str)
        assert written.endswith("Z") or written.isdigit()
        assert written.isdigit() == (isinstance(like, str) and like.isdigit())
    else:
        assert isinstance(written, int)
        assert (written > 1e11) == (like > 1e11)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(value=anything)
def test_anything_else_is_unknown_and_never_a_strange_number(value: Any) -> None:
    known = known_expiry(value)
    assert known is None or 0 < known <= 253_402_300_799


@pytest.mark.parametrize(
    "value", [float("nan"), "NaN", "inf", True, 0, -1, "", "soon", [], {}, None, 10**400, "2025-13-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        epoch_seconds(value)
    assert known_expiry(value) is None
