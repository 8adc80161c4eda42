"""What a search found goes out and comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.snippets import LONGEST, MARK, seal, unseal


@given(st.text(max_size=60))
def test_a_sealed_text_comes_back(text: str) -> None:
    assert seal(text).isascii()
    assert unseal(seal(text)) == text


def test_a_long_text_is_cut_and_half_a_surrogate_pair_replaced() -> None:
    assert unseal(seal("é" * (LONGEST + 1))) == "é" * LONGEST
    assert unseal(seal("a\ud83d")) == "a\ufffd"


@pytest.mark.parametrize(
    "foreign", [None, 5, "", "EqgfCioIARgB", "ktw2.aGk=", f"{MARK}a", f"{MARK}_w==", f"{MARK}/w=="]
)
def test_what_another_service_sealed_is_not_read(foreign: object) -> None:
    assert unseal(foreign) is None
