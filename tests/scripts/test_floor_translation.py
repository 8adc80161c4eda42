"""What the benchmark's floor says is what the gateway says: the ratio between them is of the same work."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bodies, translation
from benchmarks.translation import CREATED, IDENTIFIER, INPUT_TOKENS, MODEL, OUTPUT_TOKENS, format_of
from kirotrio.conversation.events import Event, Finish, StopCause, TextDelta, Usage
from kirotrio.dialects.anthropic.encode import MessageBody, MessageStream
from kirotrio.dialects.openai_chat.encode import ChatBody, ChatStream
from kirotrio.dialects.openai_responses.echo import ResponseEcho
from kirotrio.dialects.openai_responses.encode import ResponseBody, ResponseStream

KINDS = {"messages": "anthropic", "chat": "chat", "responses": "responses"}
END = Finish(StopCause.END_TURN, None, Usage(INPUT_TOKENS, OUTPUT_TOKENS))
texts = st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1, max_size=6)
ECHO = ResponseEcho({"model": MODEL})
STREAMS: dict[str, Callable[[], Any]] = {
    "messages": lambda: MessageStream(MODEL, IDENTIFIER),
    "chat": lambda: ChatStream(MODEL, IDENTIFIER, CREATED, False),
    "responses": lambda: ResponseStream(ECHO, IDENTIFIER, CREATED, clock=lambda: CREATED),
}
BODIES: dict[str, Callable[[], Any]] = {
    "messages": lambda: MessageBody(MODEL, IDENTIFIER),
    "chat": lambda: ChatBody(MODEL, IDENTIFIER, CREATED),
    "responses": lambda: ResponseBody(ECHO, IDENTIFIER, CREATED, clock=lambda: CREATED),
}


def form(api: str) -> translation.Format:
    found = format_of(bodies.PATHS[api].encode())
    assert found is not None
    return found


def documents(stream: bytes) -> list[Any]:
    """The events of a stream, without what only the gateway can know: ids of its own making, what the client asked."""
    found = [line.removeprefix("data: ") for line in stream.decode().split("\n") if line.startswith("data: {")]
    return [known(orjson.loads(one)) for one in found]


def known(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: known(one) for name, one in value.items() if name not in _OWN}
    if isinstance(value, list):
        return [known(one) for one in value]
    return value


_OWN = {"id", "item_id", "created_at", "completed_at", "object", "error", "incomplete_details"} | {
    "input_tokens_details",
    "output_tokens_details",
}


@pytest.mark.parametrize("api", KINDS)
@given(said=texts)
def test_streams_have_the_same_events(api: str, said: list[str]) -> None:
    ours, theirs = form(api), STREAMS[api]()
    batch: list[Event] = [*map(TextDelta, said), END]
    floor = ours.begin + ours.deltas(said, 0) + ours.end(said)
    assert documents(floor) == documents(theirs.start(Usage(INPUT_TOKENS)) + theirs.encode(batch))


@pytest.mark.parametrize("api", KINDS)
def test_a_delta_has_the_same_size(api: str) -> None:
    ours, theirs = form(api), STREAMS[api]()
    theirs.start(Usage(INPUT_TOKENS))
    theirs.encode([TextDelta("first")])
    own_id = len(re.search(rb'"item_id":"([^"]*)"|$', said := theirs.encode([TextDelta("x" * 12)]))[1] or b"")
    floor = ours.deltas(["x" * 12], 1)
    # The gateway's chunks say that there is no log of probabilities and no usage yet; ids have their own lengths.
    absent = len(',"logprobs":null,"usage":null')
    assert abs(len(floor) - len(said) + (own_id - len(IDENTIFIER) if own_id else 0)) <= absent


@pytest.mark.parametrize("api", KINDS)
@given(said=texts)
def test_json_answers_are_the_same(api: str, said: list[str]) -> None:
    body = BODIES[api]()
    body.add([*map(TextDelta, said), END])
    assert known(orjson.loads(form(api).document(said))) == known(orjson.loads(body.body()))


def test_pieces_of_a_stream_make_the_whole_of_it() -> None:
    ours = form("responses")
    assert ours.deltas(["a", "b"], 0) == ours.deltas(["a"], 0) + ours.deltas(["b"], 1)
