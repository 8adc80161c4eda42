"""A body that begins as an earlier one did is read as if it were the first."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation.growing import Beginning, Memory, rest_of
from kirotrio.dialects.anthropic import DecodedRequest, Remembered, decode_request
from kirotrio.errors import KirotrioError

WORDS = st.sampled_from(["", "a", "1", "go on", '"":', "[null", "é\U0001f600", '],"messages":[', "\\"])
BLOCKS: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS),
    st.builds(lambda text: {"type": "text", "text": text, "colour": 1}, WORDS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, WORDS),
    st.builds(
        lambda n, value: {"type": "tool_use", "id": f"t{n}", "name": "look", "input": {"a": value}},
        st.integers(0, 3),
        st.sampled_from([1, 1.0, True, "1"]),
    ),
    st.builds(
        lambda n, text: {"type": "tool_result", "tool_use_id": f"t{n}", "content": text}, st.integers(0, 3), WORDS
    ),
    st.just({"type": "nothing known"}),
)
RARE = st.sampled_from(
    [
        {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": {"name": "more"}}},
        {"type": "text"},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"": 1}},
        {"type": "text", "text": "\ud83d"},
    ]
)
USUAL = st.builds(
    lambda role, content: {"role": role, "content": content},
    st.sampled_from(["user", "assistant"]),
    st.one_of(WORDS, st.lists(BLOCKS, max_size=2)),
)
MESSAGES = st.one_of(
    USUAL,
    USUAL,
    USUAL,
    st.just({"role": "system", "content": [], "output_config": {"effort": "low"}}),
    st.just({"role": "user", "content": "for now", "clear_at": "next_user_message"}),
    st.just({"role": "nobody", "content": "a"}),
    st.builds(lambda block: {"role": "user", "content": [block]}, RARE),
)
TOOLS = st.lists(
    st.sampled_from(
        [
            {"name": "look", "input_schema": {"type": "object"}},
            {"name": "ask", "input_schema": {"type": "object"}, "unknown": 1},
            {"name": "web_search", "type": "web_search_20250305"},
        ]
    ),
    max_size=2,
    unique_by=lambda tool: tool["name"],
)


def said(body: bytes, memory: Memory[Remembered] | None = None) -> DecodedRequest | tuple[type, str]:
    try:
        return decode_request(body, memory=memory)
    except KirotrioError as error:
        return type(error), error.message


def written(messages: list[Any], tools: list[Any], more: dict[str, Any], shape: str) -> bytes:
    parts = {"model": "m", "messages": messages, "max_tokens": 10, "tools": tools, **more}
    names = {"first": ["messages", "model"], "last": ["tools", "model", "max_tokens", "messages"]}.get(shape, [])
    document = {name: parts[name] for name in [*names, *(name for name in parts if name not in names)]}
    separators = (", ", ": ") if shape == "spaced" else (",", ":")
    return json.dumps(document, separators=separators, ensure_ascii=shape == "escaped").encode("utf-8", "replace")


@st.composite
def requests(draw: st.DrawFn) -> list[bytes]:
    """Bodies of one conversation that grows, shrinks and changes."""
    messages = draw(st.lists(USUAL, min_size=5, max_size=9))
    tools = draw(TOOLS)
    shape = draw(st.sampled_from(["first", "first", "first", "last", "spaced", "escaped"]))
    bodies: list[bytes] = []
    for _ in range(draw(st.integers(4, 9))):
        match draw(
            st.sampled_from(["grow", "grow", "grow", "grow", "grow", "last", "last", "odd", "any", "tools", "cut"])
        ):
            case "grow":
                messages = [*messages, *draw(st.lists(USUAL, max_size=3))]
            case "last":
                messages = [*messages[:-1], draw(USUAL)]
            case "odd":
                bodies.append(written([*messages, draw(MESSAGES)], tools, {}, shape))
            case "any":
                at = draw(st.integers(0, len(messages) - 1))
                messages = [*messages[:at], draw(MESSAGES), *messages[at + 1 :]]
            case "tools":
                tools = draw(TOOLS)
            case "cut":
                messages = messages[: draw(st.integers(1, len(messages)))]
        members = [{}, {}, {}, {}, {}, {"": 1}, {"colour": 1}, {"thread": {}}, {"metadata": {"user_id": "u"}}]
        more: dict[str, Any] = draw(st.sampled_from(members))
        body = written(messages, tools, more, shape)
        ending = draw(st.sampled_from(["", "", "", "", "", "", "]", ',"messages":[]}', ',"model":"n"}', ',"":[]}']))
        bodies.append(body[:-1] + ending.encode() if ending.startswith(",") else body + ending.encode())
    return bodies


@given(requests())
def test_with_a_memory_every_request_of_a_conversation_reads_the_same(bodies: list[bytes]) -> None:
    memory = Memory[Remembered](worth=0, key=4)
    for body in bodies:
        with_memory, without = said(body, memory), said(body)
        assert repr(with_memory) == repr(without)
        assert with_memory == without


def conversation(count: int, **more: Any) -> bytes:
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": f"message {number} of them"} for number in range(count)]
    return orjson.dumps({"model": "m", "messages": messages, "max_tokens": 10, **more})


def test_what_was_read_is_not_read_again() -> None:
    memory = Memory[Remembered](worth=0, key=16)
    for count in (11, 13, 15):
        decoded = decode_request(conversation(count), memory=memory)
    again = decode_request(conversation(17), memory=memory)
    assert [turn.path for turn in again.conversation.turns] == [f"messages.{number}" for number in range(17)]
    same = [new is old for new, old in zip(again.conversation.turns, decoded.conversation.turns, strict=False)]
    assert same == [True] * 11 + [False] * 4


def test_values_that_python_takes_for_equal_are_told_apart() -> None:
    memory = Memory[Remembered](worth=0, key=16)
    for value in (1, 1, 1.0, True):
        use = {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "b", "input": {"c": value}}]}
        rest = [{"role": "user", "content": str(number)} for number in range(6)]
        body = orjson.dumps({"model": "m", "max_tokens": 1, "messages": [rest[0], use, *rest]})
        assert repr(decode_request(body, memory=memory)) == repr(decode_request(body))


def test_a_place_that_is_none_is_not_believed() -> None:
    body = b'{"a":[1],"messages":[1,2],"b":[3,4]}'
    for head, count in ((b'{"a":[1', 1), (b'{"a":[1],"messages":[1,2],"b":[3', 2), (b'{"a":[1],"messages":[1', 2)):
        assert rest_of(body, Beginning(head, count, None), "messages") is None
    rest = rest_of(body, Beginning(b'{"a":[1],"messages":[1', 1, None), "messages")
    assert rest is not None
    assert rest.document == {"a": [1], "messages": [2], "b": [3, 4]}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(5, 40)), max_size=60))
def test_what_is_remembered_stays_below_its_ceiling(asked: list[tuple[int, int]]) -> None:
    memory = Memory[Remembered](most=60_000, worth=0, key=24)
    for session, count in asked:
        decode_request(conversation(count).replace(b'"model":"m', b'"model":"m%09d' % session), memory=memory)
        assert memory.weight <= 60_000
        assert memory.weight == sum(known.weight for known in memory._known.values())


@pytest.mark.parametrize("size", [3, 400])
def test_what_comes_once_or_is_small_is_not_remembered(size: int) -> None:
    memory = Memory[Remembered]()
    decode_request(conversation(size), memory=memory)
    decode_request(conversation(size), memory=memory)
    assert memory.weight == 0


def test_tools_weigh_as_much_as_they_hold() -> None:
    weights = []
    for described in ("", "x" * 50_000):
        memory = Memory[Remembered](worth=0, key=16)
        tools = [{"name": "a", "description": described, "input_schema": {"type": "object"}}]
        body = orjson.dumps({**orjson.loads(conversation(9)), "tools": tools})
        for _ in range(2):
            decode_request(body, memory=memory)
        weights.append(memory.weight)
    assert 0 < weights[0] < weights[1] - 50_000
