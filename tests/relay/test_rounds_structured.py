"""Answers that search and have to be JSON: what is said ahead of a search is no part of the JSON.

On the real clock where a schema is at work, which is in a thread; the last test does without one.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay.conftest import hello
from relay.searching import Searches, call, hear, searching
from support.scripted import Script, answering, exception, tail, text
from support.sse import names_of, text_of
from trio.testing import MockClock

from kirotrio.conversation.events import SearchFinished, ServerToolCall, TextDelta, ToolCall
from kirotrio.conversation.request import Limits, OutputSchema, Tool, WebSearch
from kirotrio.relay.attempts import Attempts
from kirotrio.relay.request import Mode
from kirotrio.relay.rounds.server_tools import ServerTools

SCHEMA = OutputSchema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})
WANTED = hello(output_schema=SCHEMA, web_search=WebSearch())
CLIENTS = Tool("run", "Runs a command.", {"type": "object"})
SEARCHING = answering(text("Let me ", "look. "), call("web_search", query="cats"), tail())
GOOD = answering(text('{"a"', ":1}"), tail())
BAD = answering(text("I would", " rather not"), tail())
HIGH_LOAD = "Encountered unexpectedly high load when processing the request, please try again."
BROKEN = [exception("InternalServerException", HIGH_LOAD)]


def scene_of(stage: Any, *scripts: Script, **sections: Any) -> Any:
    scene = stage(*scripts, **sections)
    scene.transport.plain["/mcp"] = Searches()
    return scene


def said(sink: Any, mode: Mode) -> str:
    if mode is not Mode.JSON:
        return text_of(sink.body)
    return "".join(block.get("text", "") for block in orjson.loads(sink.body)["content"])


@pytest.mark.parametrize("mode", Mode)
async def test_what_is_said_ahead_of_a_search_is_for_the_model_alone(stage, mode):
    scene = scene_of(stage, SEARCHING, SEARCHING, GOOD)
    sink = await scene.run(mode, WANTED)
    assert (sink.status, said(sink, mode)) == (200, '{"a":1}'), sink.body
    assert b"web_search_tool_result" in sink.body, "the searches are shown as ever"
    for body in scene.transport.bodies[1:]:
        turn = body["conversationState"]["history"][-1]["assistantResponseMessage"]
        assert turn["content"].strip() == "Let me look.", "the model has to know what it said"
    assert len(scene.logged("text ahead of a server tool left out of the JSON")) == 2


@pytest.mark.parametrize("mode", Mode)
async def test_an_answer_that_needs_no_search_is_whole(stage, mode):
    sink = await scene_of(stage, GOOD).run(mode, WANTED)
    assert (sink.status, said(sink, mode)) == (200, '{"a":1}'), sink.body


@pytest.mark.parametrize("mode", [Mode.BUFFERED, Mode.JSON])
async def test_only_the_last_text_is_held_against_the_schema_and_repaired(stage, mode):
    scene = scene_of(stage, SEARCHING, BAD, SEARCHING, GOOD, relay={"repair": True})
    sink = await scene.run(mode, WANTED)
    assert (sink.status, said(sink, mode)) == (200, '{"a":1}'), sink.body
    shown = scene.transport.bodies[2]["conversationState"]["history"][-1]["assistantResponseMessage"]
    assert shown["content"] == "I would rather not"


async def test_live_what_is_not_the_json_asked_for_is_shown_with_the_error(stage):
    sink = await scene_of(stage, SEARCHING, BAD).run(Mode.LIVE, WANTED)
    assert text_of(sink.body) == "I would rather not"
    assert names_of(sink.body)[-1] == "error"


@pytest.mark.parametrize("mode", [Mode.BUFFERED, Mode.JSON])
async def test_held_text_of_an_attempt_that_failed_is_void(stage, mode):
    scene = scene_of(stage, SEARCHING, answering(text('{"a"'), BROKEN), GOOD)
    sink = await scene.run(mode, WANTED)
    assert (sink.status, said(sink, mode)) == (200, '{"a":1}'), sink.body


@pytest.mark.parametrize("first", ["web_search", "run"])
async def test_text_ahead_of_a_call_for_the_client_keeps_its_place(stage, first):
    ours, clients = call("web_search", "a", query="cats"), call("run", "b", command="ls")
    both = [ours, clients] if first == "web_search" else [clients, ours]
    heard = await hear(
        stage(answering(text("I run it. "), *both, text("Done?"), tail())),
        searching(output_schema=SCHEMA, tools=(CLIENTS,)),
    )
    kept = [type(event) for event in heard.of(TextDelta, ToolCall)]
    assert kept == [TextDelta, ToolCall, TextDelta], "an answer that goes on at the client loses nothing of its text"
    assert heard.text == "I run it. Done?"


async def test_text_of_a_generation_that_ends_the_answer_leaves_though_it_searched(stage):
    full = answering(text("w" * 90), call("web_search", query="cats"), tail())
    heard = await hear(stage(full, GOOD), searching(output_schema=SCHEMA, limits=Limits(max_tokens=90)))
    assert heard.text == "w" * 90, "no text follows that it could be ahead of"


@pytest.mark.parametrize("mode", Mode)
async def test_a_request_that_is_a_search_takes_a_model_where_json_is_wanted(stage, mode):
    scene = scene_of(stage, SEARCHING, GOOD)
    sink = await scene.run(mode, searching(direct_query="cats", output_schema=SCHEMA))
    assert (sink.status, said(sink, mode)) == (200, '{"a":1}'), sink.body


pieces = st.sampled_from(["a ", "b ", "search", "run"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    planned=st.lists(st.lists(pieces, min_size=1, max_size=4), max_size=4),
    mode=st.sampled_from(Mode),
    fails=st.sampled_from([None, 0, 1]),
)
def test_the_text_is_that_of_the_last_generation(stage, planned, mode, fails) -> None:
    """`fails`: which generation breaks at its end once, in a mode that can begin it again."""

    async def run() -> None:
        generations = [*planned, ["done"]]
        scripts = []
        for number, generation in enumerate(generations):
            frames: list[bytes] = []
            for at, piece in enumerate(generation):
                names = {"search": "web_search", "run": "run"}
                frames += call(names[piece], f"call-{number}-{at}", query="x") if piece in names else text(piece)
            if number == fails and mode is not Mode.LIVE:
                scripts.append(answering(frames, BROKEN))
            scripts.append(answering(frames, tail()))
        scene = stage(*scripts)

        def rounds(attempts: Attempts, conversation: Any) -> ServerTools:
            return ServerTools(attempts, attempts.generate)

        conversation = hello(output_schema=SCHEMA, tools=(CLIENTS,), web_search=WebSearch(max_uses=8))
        heard = await hear(scene, conversation, mode, rounds=rounds)
        last = next(said for said in generations if "run" in said or "search" not in said)
        assert heard.text == "".join(piece for piece in last if piece not in ("search", "run"))
        assert len(heard.of(ServerToolCall)) == len(heard.of(SearchFinished)), "a search was held, or has no result"

    trio.run(run, clock=MockClock(autojump_threshold=0))
