"""Sound JSON is told at the encoder's speed, and only then left alone."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import quoteattr

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.kiro.wellformed import MAX_DEPTH, _repaired, brackets, quoted, repair_json

texts = st.text(st.characters(exclude_categories=()), max_size=8)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-1, 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def nested(levels: int, leaf: Any = "x") -> Any:
    for level in range(levels):
        leaf = [leaf] if level % 2 else {"[{": leaf}
    return leaf


@given(values, st.integers(0, 4))
def test_only_what_would_change_is_walked(value: Any, depth: int) -> None:
    repaired = _repaired(value, depth)
    assert repair_json(value, depth=depth) == repaired
    assert (brackets(value, depth=depth) >= 0) == (repaired is value)
    orjson.dumps(repair_json(value, depth=depth))


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 300, 5_000])
def test_depth_is_bounded_whatever_the_texts_say(levels: int) -> None:
    value = nested(levels)
    kept = repair_json(value)
    assert (kept is value) == (levels <= MAX_DEPTH)
    orjson.dumps(kept)


def test_many_brackets_are_not_depth() -> None:
    wide = [{"a": [1, 2]} for _ in range(500)]
    assert repair_json(wide) is wide
    assert repair_json(["[{" * 500]) == ["[{" * 500]


def test_lists_that_are_tuples_become_lists_where_they_are_walked() -> None:
    assert repair_json({"a": (1, "\udc80")}) == {"a": [1, "\ufffd"]}


@given(st.text(st.characters() | st.sampled_from("\"'<>&\n\r\t")))
def test_an_attribute_is_quoted_as_the_standard_library_does(text: str) -> None:
    assert quoted(text) == quoteattr(text)
