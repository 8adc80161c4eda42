"""The time in the head of an answer."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.web.server import http_date


@given(st.integers(0, 2**35))
def test_a_date_is_what_the_standard_library_makes_of_it(now: int) -> None:
    assert http_date(now) == formatdate(now, usegmt=True)
