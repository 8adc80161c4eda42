"""Hypothesis strategies that the tests of every dialect share: words and JSON, bodies that were broken somewhere, and
runs of generation events in batches."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from kirotrio.conversation.events import Event, RedactedThinkingBlock, TextDelta, ThinkingDelta, ThinkingSignature


def scalars_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """What JSON has beside lists and objects, with these texts."""
    numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    return st.none() | st.booleans() | numbers | texts


def json_of(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Any JSON, with these as its texts and names."""
    return st.recursive(
        scalars_of(texts),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
        max_leaves=8,
    )


words = st.text(max_size=12)
json_values = json_of(words)
json_objects = st.dictionaries(words, json_values, max_size=3)
encoded = st.binary(min_size=1, max_size=8).map(lambda raw: base64.b64encode(raw).decode())
image_urls = encoded.map(lambda data: f"data:image/png;base64,{data}") | st.just("https://example.com/a.png")

any_text = st.text(st.characters(exclude_categories=()), max_size=8)  # halves of surrogate pairs included
texts = st.builds(TextDelta, any_text)
thoughts = st.builds(ThinkingDelta, any_text)
signatures = st.builds(ThinkingSignature, any_text)
redactions = st.builds(RedactedThinkingBlock, words)
call_ids = st.sampled_from(["t1", "t2", "call_x|fc_y", ""])


@st.composite
def broken(draw: st.DrawFn, bodies: st.SearchStrategy[Any]) -> Any:
    """One of these bodies in which one value, anywhere, was replaced by any JSON or taken away."""
    body = json.loads(json.dumps(draw(bodies)))
    node: Any = body
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return body
        key = draw(st.sampled_from(keys))
        deeper = isinstance(node[key], (dict, list)) and node[key]
        if deeper and draw(st.booleans()):
            node = node[key]
            continue
        if draw(st.booleans()):
            node[key] = draw(json_values)
        else:
            del node[key]
        return body


def weighted(*strategies: st.SearchStrategy[Any]) -> st.SearchStrategy[Event]:
    """One of these as often as it is named: `one_of` would flatten them, and most runs would end at once."""
    return st.sampled_from(strategies).flatmap(lambda chosen: chosen)


def long_lists(of: st.SearchStrategy[Event], most: int) -> st.SearchStrategy[list[Event]]:
    """Of every length alike: lists alone are mostly short, too short for a run to get anywhere."""
    return st.integers(0, most).flatmap(lambda size: st.lists(of, min_size=size, max_size=size))


@st.composite
def cut(draw: st.DrawFn, of: st.SearchStrategy[list[Event]]) -> list[list[Event]]:
    """A list of events in batches, some of them empty."""
    drawn = draw(of)
    bounds = sorted(draw(st.lists(st.integers(0, len(drawn)), max_size=6)))
    return [drawn[begin:end] for begin, end in pairwise([0, *bounds, len(drawn)])]
