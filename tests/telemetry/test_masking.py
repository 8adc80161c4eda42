"""What a mask keeps and what not."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.telemetry.masking import in_one, mask_document, mask_json, mask_sentence, mask_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=10,
)


@given(TEXTS)
def test_length_and_bytes_stay_and_twice_is_once(text: str) -> None:
    masked = mask_text(text)
    assert (len(masked), len(masked.encode())) == (len(text), len(text.encode()))
    assert mask_text(masked) == masked


@given(st.lists(TEXTS))
def test_pieces_are_cut_where_they_were(pieces: list[str]) -> None:
    masked = in_one(pieces, mask_text)
    assert [len(piece) for piece in masked] == [len(piece) for piece in pieces]
    assert "".join(masked) == mask_text("".join(pieces))


def test_marks_that_steer_a_parser_stay() -> None:
    assert mask_text("<thinking>Bob 42\n</thinking>```json") == "<thinking>Xxx 00\n</thinking>```json"
    assert mask_text("data:image/png;base64,aGk=") == "data:image/png;base64,xXx="
    assert mask_text("名前 é") == "文文 ø"


@given(VALUES)
def test_masked_json_is_json_of_the_same_shape_and_length(value: Any) -> None:
    text = json.dumps(value)
    masked = mask_json(text)
    assert len(masked) == len(text)
    shape_of(json.loads(masked), value)


def shape_of(masked: Any, value: Any) -> None:
    assert type(masked) is type(value) or {type(masked), type(value)} == {int, float}
    if isinstance(value, list):
        assert len(masked) == len(value)
        for one, other in zip(masked, value, strict=True):
            shape_of(one, other)


@given(st.text(st.characters(categories=["L", "N"]), min_size=3))
def test_no_string_of_an_argument_stays(word: str) -> None:
    secret = f"Zq{word}7"
    for text in (json.dumps({"path": secret, "n": [1, secret]}), json.dumps({"a": secret}, ensure_ascii=False)[:-3]):
        assert secret not in mask_json(text)
        assert "Zq" not in mask_json(text)


def test_members_of_the_protocol_stay_but_not_in_what_a_caller_handed_over() -> None:
    asked = {
        "model": "claude-sonnet-4.5",
        "messages": [{"role": "user", "name": "bob", "content": [{"type": "text", "text": "my words"}]}],
        "tools": [{"name": "look", "input_schema": {"required": ["q"], "properties": {"q": {"enum": ["a b"]}}}}],
        "call": {
            "type": "tool_use",
            "name": "look",
            "id": "t_1",
            "input": {"name": "bob", "type": "secret", "n": 4711},
        },
        "error": {"message": "'my words' is no address"},
        "type": "not a name, but a sentence",
        "max_tokens": 4096,
    }
    masked = mask_document(asked)
    assert masked["model"] == "claude-sonnet-4.5"
    assert masked["messages"] == [{"role": "user", "name": "xxx", "content": [{"type": "text", "text": "xx xxxxx"}]}]
    assert masked["tools"][0]["name"] == "look"
    assert masked["tools"][0]["input_schema"] == {"required": ["q"], "properties": {"q": {"enum": ["x x"]}}}
    assert masked["call"]["input"] == {"name": "xxx", "type": "xxxxxx", "n": 1}
    assert masked["error"]["message"] == "'xx xxxxx' is no address"
    assert "sentence" not in masked["type"]
    assert masked["max_tokens"] == 4096
    assert mask_sentence('no "Bob" here') == 'no "Xxx" here'
