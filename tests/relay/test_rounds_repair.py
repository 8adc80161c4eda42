"""Answers that miss what was demanded of them: told, asked for once more, or refused.

On the real clock: schemas are at work in threads, which a mock clock does not wait for.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import trio
from relay.conftest import hello
from relay.searching import Searches, call
from support.scripted import Script, answering, event, exception, tail, text
from support.sse import events_of, names_of, text_of

from kirotrio.conversation.output_schema import check_schema
from kirotrio.conversation.request import Limits, OutputSchema, Tool, ToolChoice, WebSearch
from kirotrio.relay.request import Mode

SCHEMA = OutputSchema(
    {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, path="output_config.format"
)
JSON_WANTED = hello(output_schema=SCHEMA)
READ, BASH = Tool("Read", "", {"type": "object"}), Tool("Bash", "", {"type": "object"})
READ_WANTED = hello(tools=(READ, BASH), tool_choice=ToolChoice("tool", "Read"))
GOOD = answering(text('{"a"', ":1}"), tail())
BAD = answering(text("I would", " rather not"), tail())
WRONG = answering(text('{"a":"x"}'), tail())
HELD = [Mode.BUFFERED, Mode.JSON]
HIGH_LOAD = "Encountered unexpectedly high load when processing the request, please try again."
BROKEN = answering(text("half"), exception("InternalServerException", HIGH_LOAD))
ON = {"relay": {"repair": True}}

# 2 ** 40 ways to find out that 3 is no string.
ENDLESS = OutputSchema(
    {
        "$ref": "#/$defs/d0",
        "$defs": {
            **{f"d{at}": {"anyOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(40)},
            "d40": {"type": "string"},
        },
    }
)


def calling(*names: str) -> Script:
    calls = [
        event("toolUseEvent", toolUseId=f"t{at}", name=name, input='{"x":1}', stop=True)
        for at, name in enumerate(names)
    ]
    return answering(calls, tail())


def said(sink: Any, mode: Mode) -> str:
    """The text of an answer of any mode."""
    if mode is not Mode.JSON:
        return text_of(sink.body)
    return "".join(block.get("text", "") for block in orjson.loads(sink.body)["content"])


def called(sink: Any) -> list[str]:
    return [block["name"] for block in orjson.loads(sink.body)["content"] if block["type"] == "tool_use"]


def refusal(sink: Any) -> str:
    assert sink.status == 502, sink.body
    assert sink.headers["x-should-retry"] == "false", "the same request is paid for again"
    return str(orjson.loads(sink.body)["error"]["message"])


def missed(scene: Any) -> list[str]:
    return [line["demand"] for line in scene.logged("answer misses what was asked for")]


# JSON


@pytest.mark.parametrize("mode", Mode)
async def test_an_answer_that_meets_its_schema_leaves_as_it_is(stage, mode):
    scene = stage(GOOD, **ON)
    sink = await scene.run(mode, JSON_WANTED)
    assert (sink.status, said(sink, mode)) == (200, '{"a":1}')
    assert len(scene.transport.bodies) == 1


@pytest.mark.parametrize("mode", Mode)
async def test_a_fence_around_the_json_is_taken_away_and_counted(stage, mode):
    pieces = ["``", '`json\n{"a":1', "}\n`", "``\n"]
    scene, plain = stage(answering(text(*pieces), tail())), stage(GOOD)
    sink, bare = await scene.run(mode, JSON_WANTED), await plain.run(mode, JSON_WANTED)
    assert said(sink, mode) == '{"a":1}'
    assert [line["note"] for line in scene.logged("answer note")] == ["a Markdown fence around the JSON was taken away"]
    assert not plain.logged("answer note")
    counts = [seen.logged("request finished")[0]["output_tokens"] for seen in (scene, plain)]
    assert counts[0] > counts[1], "the fence was generated, and is paid for"
    assert bare.status == 200


async def test_a_fence_is_nobodys_business_where_no_json_was_asked_for(stage):
    fenced = "```json\n{}\n```"
    sink = await stage(answering(text(fenced), tail())).run(Mode.JSON, hello())
    assert said(sink, Mode.JSON) == fenced


@pytest.mark.parametrize("mode", HELD)
async def test_what_is_not_the_json_asked_for_is_a_clear_error(stage, mode):
    scene = stage(WRONG, GOOD)
    message = refusal(await scene.run(mode, JSON_WANTED))
    assert "$.a: must be of type integer" in message
    assert "relay.repair" in message, "what could be done about it"
    assert len(scene.transport.bodies) == 1, "nothing is paid for unasked"
    assert missed(scene) == ["output"]


@pytest.mark.parametrize("repair", [False, True])
async def test_a_live_answer_has_left_so_the_error_ends_its_stream(stage, repair):
    scene = stage(BAD, GOOD, relay={"repair": repair})
    sink = await scene.run(Mode.LIVE, JSON_WANTED)
    assert sink.status == 200
    assert text_of(sink.body) == "I would rather not"
    assert names_of(sink.body)[-1] == "error"
    message = events_of(sink.body)[-1]["error"]["message"]
    assert "this is not JSON" in message
    assert "buffered mode" in message, "what could be done about it"
    assert len(scene.transport.bodies) == 1


async def test_text_that_was_held_back_to_the_end_is_not_lost_to_the_error(stage):
    # What may be the end of a fence leaves with the last batch.
    sink = await stage(answering(text("```json\n[]\n"), tail())).run(Mode.LIVE, JSON_WANTED)
    assert text_of(sink.body) == "[]\n"
    assert names_of(sink.body)[-1] == "error"


@pytest.mark.parametrize("mode", Mode)
async def test_text_that_was_held_back_to_the_end_leaves_once(stage, mode):
    sink = await stage(answering(text('```json\n{"a":1}\n'), tail())).run(mode, JSON_WANTED)
    assert said(sink, mode) == '{"a":1}\n'


@pytest.mark.parametrize("mode", HELD)
@pytest.mark.parametrize("first", [BAD, WRONG], ids=["prose", "another form"])
async def test_it_is_asked_for_once_more_where_that_is_wanted(stage, mode, first):
    scene = stage(first, GOOD, **ON)
    sink = await scene.run(mode, JSON_WANTED)
    assert (sink.status, said(sink, mode)) == (200, '{"a":1}'), "nothing of the first answer is left"
    assert missed(scene) == []
    state = scene.transport.bodies[1]["conversationState"]
    before = state["history"][-1]["assistantResponseMessage"]["content"]
    assert before == ("I would rather not" if first is BAD else '{"a":"x"}')
    asked = state["currentMessage"]["userInputMessage"]["content"]
    assert ("not JSON" if first is BAD else "$.a: must be of type integer") in asked


def exact(output: int) -> list[bytes]:
    """The end of an answer whose tokens the upstream has counted."""
    counts = {"uncachedInputTokens": 100, "outputTokens": output, "totalTokens": 100 + output}
    return [event("metadataEvent", stopReason="END_TURN", tokenUsage=counts)]


async def test_exact_counts_of_both_answers_are_summed(stage):
    scene = stage(answering(text('{"a":"x"}'), exact(30)), answering(text('{"a":1}'), exact(7)), **ON)
    sink = await scene.run(Mode.JSON, JSON_WANTED)
    usage = orjson.loads(sink.body)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (100, 37), "input is that of the last generation"


async def test_both_answers_are_counted(stage):
    once, twice = stage(GOOD), stage(WRONG, GOOD, **ON)
    await once.run(Mode.JSON, JSON_WANTED)
    await twice.run(Mode.JSON, JSON_WANTED)
    one, two = once.logged("request finished")[0], twice.logged("request finished")[0]
    assert two["output_tokens"] > one["output_tokens"]
    assert two["credits"] == pytest.approx(2 * one["credits"])
    assert two["attempts"] == ["ok(200)", "ok(200)"]


async def test_an_input_that_is_not_measured_is_estimated_with_what_was_added(stage):
    unmeasured = [event("metadataEvent", stopReason="END_TURN")]
    good = answering(text('{"a":1}'), unmeasured)
    long = answering(text("word " * 500), unmeasured)
    once, twice = stage(good), stage(long, good, **ON)
    for scene in (once, twice):
        await scene.run(Mode.JSON, JSON_WANTED)
    one, two = (scene.logged("request finished")[0] for scene in (once, twice))
    assert (one["usage"], two["usage"]) == ("estimate", "estimate")
    assert two["input_tokens"] > one["input_tokens"] + 400


@pytest.mark.parametrize("mode", HELD)
async def test_a_second_miss_is_final(stage, mode):
    scene = stage(BAD, WRONG, GOOD, **ON)
    message = refusal(await scene.run(mode, JSON_WANTED))
    assert "$.a: must be of type integer" in message
    assert "twice" in message
    assert len(scene.transport.bodies) == 2


@pytest.mark.parametrize(
    ("cut", "stop"),
    [
        (tail(stop="MAX_TOKENS"), "max_tokens"),
        (tail(stop="CONTENT_FILTERED"), "refusal"),
        (tail(percentage=100.0), "model_context_window_exceeded"),
    ],
)
async def test_an_answer_that_was_cut_says_so_by_its_cause(stage, cut, stop):
    scene = stage(answering(text('{"a":'), cut), GOOD, **ON)
    sink = await scene.run(Mode.JSON, JSON_WANTED)
    assert (sink.status, orjson.loads(sink.body)["stop_reason"]) == (200, stop)
    assert len(scene.transport.bodies) == 1


async def test_a_call_is_not_the_last_word(stage):
    conversation = hello(output_schema=SCHEMA, tools=(READ,))
    sink = await stage(calling("Read")).run(Mode.JSON, conversation)
    assert called(sink) == ["Read"]


async def test_what_a_limit_cuts_off_is_not_held_back(stage):
    # After the limit the upstream breaks, and what comes then is read for its measurements only.
    script = answering(text("```json\n[1,2]\n", " STOP and more"), exception("InternalServerException", HIGH_LOAD))
    conversation = hello(output_schema=SCHEMA, limits=Limits(64_000, ("STOP",)))
    sink = await stage(script).run(Mode.JSON, conversation)
    assert said(sink, Mode.JSON) == "[1,2]\n "


# The tool choice


async def test_a_tool_that_was_not_called_is_told_and_the_answer_leaves(stage):
    scene = stage(BAD, calling("Read"))
    sink = await scene.run(Mode.JSON, READ_WANTED)
    assert said(sink, Mode.JSON) == "I would rather not"
    assert missed(scene) == ["tool_choice"]
    assert len(scene.transport.bodies) == 1


@pytest.mark.parametrize("choice", [ToolChoice("tool", "Read"), ToolChoice("any")])
async def test_a_tool_that_was_not_called_is_asked_for_once_more(stage, choice):
    scene = stage(BAD, calling("Read"), **ON)
    sink = await scene.run(Mode.JSON, hello(tools=(READ, BASH), tool_choice=choice))
    assert (said(sink, Mode.JSON), called(sink)) == ("", ["Read"])
    assert missed(scene) == []
    asked = scene.transport.bodies[1]["conversationState"]["currentMessage"]["userInputMessage"]["content"]
    assert "Call" in asked.rpartition("Answer my last message again.")[2], "the choice stands at the end of the message"


async def test_another_tool_than_the_one_demanded_is_answered_as_not_run(stage):
    scene = stage(calling("Bash"), calling("Read"), **ON)
    assert called(await scene.run(Mode.JSON, READ_WANTED)) == ["Read"]
    state = scene.transport.bodies[1]["conversationState"]
    (use,) = state["history"][-1]["assistantResponseMessage"]["toolUses"]
    assert (use["name"], use["input"]) == ("Bash", {"x": 1})
    (result,) = state["currentMessage"]["userInputMessage"]["userInputMessageContext"]["toolResults"]
    assert result["status"] == "error"
    assert any("not run" in item["text"] for item in result["content"])


async def test_a_tool_that_is_not_called_again_is_told_and_the_second_answer_leaves(stage):
    scene = stage(BAD, answering(text("No."), tail()), calling("Read"), **ON)
    sink = await scene.run(Mode.JSON, READ_WANTED)
    assert (sink.status, said(sink, Mode.JSON)) == (200, "No.")
    assert missed(scene) == ["tool_choice"]


async def test_a_live_answer_without_the_call_leaves_whole(stage):
    scene = stage(BAD, calling("Read"), **ON)
    sink = await scene.run(Mode.LIVE, READ_WANTED)
    assert text_of(sink.body) == "I would rather not"
    assert names_of(sink.body)[-1] == "message_stop"
    assert len(scene.transport.bodies) == 1


async def test_more_calls_than_one_are_told_and_none_is_dropped(stage):
    scene = stage(calling("Read", "Bash"), calling("Read"), **ON)
    sink = await scene.run(Mode.JSON, hello(tools=(READ, BASH), tool_choice=ToolChoice(parallel=False)))
    assert called(sink) == ["Read", "Bash"]
    assert missed(scene) == ["several_calls"]
    assert len(scene.transport.bodies) == 1


# Together with attempts


async def test_what_a_broken_attempt_said_is_not_held_against_the_next(stage):
    scene = stage(BROKEN, GOOD, **ON)
    sink = await scene.run(Mode.JSON, JSON_WANTED)
    assert said(sink, Mode.JSON) == '{"a":1}'
    assert len(scene.transport.bodies) == 2


@pytest.mark.parametrize("mode", HELD)
async def test_a_broken_second_answer_does_not_bring_the_first_one_back(stage, mode):
    scene = stage(BAD, BROKEN, GOOD, **ON)
    sink = await scene.run(mode, JSON_WANTED)
    assert said(sink, mode) == '{"a":1}'
    assert len(scene.transport.bodies) == 3


async def test_both_answers_live_on_one_budget(stage):
    scene = stage(BROKEN, BAD, BROKEN, GOOD, **ON)
    sink = await scene.run(Mode.JSON, JSON_WANTED)
    assert sink.status == 529, "one attempt after the upstream had begun to generate, and not one for each answer"
    assert len(scene.transport.bodies) == 3


async def test_the_answer_to_a_search_is_repaired_with_what_was_found(stage):
    searching = answering(call("web_search", query="a"), tail())
    scene = stage(searching, BAD, GOOD, **ON)
    scene.transport.plain["mcp"] = Searches()
    sink = await scene.run(Mode.JSON, hello(output_schema=SCHEMA, web_search=WebSearch()))
    assert said(sink, Mode.JSON) == '{"a":1}', sink.body
    assert len(scene.transport.bodies) == 3
    assert scene.logged("request finished")[0]["credits"] == pytest.approx(3 * 0.0386)


# Schemas


async def test_a_schema_that_is_none_is_refused_before_anything_is_paid_for(stage):
    scene = stage(GOOD)
    sink = await scene.run(Mode.JSON, hello(output_schema=OutputSchema({"type": "strin"}, path="output_config.format")))
    assert sink.status == 400
    assert orjson.loads(sink.body)["error"]["message"].startswith("output_config.format: ")
    assert scene.transport.bodies == []


async def no_thread_is_left() -> None:
    limiter = trio.to_thread.current_default_thread_limiter()
    with trio.fail_after(20):
        while limiter.borrowed_tokens:  # noqa: ASYNC110 - a thread that ends has no event
            await trio.sleep(0.01)


async def test_a_schema_that_takes_for_ever_ends_the_answer_by_the_deadline(stage):
    check_schema(ENDLESS)  # what it imports is not part of the time
    scene = stage(answering(text("3"), tail()), deadlines={"prepare": 1.5})
    sink = await scene.run(Mode.JSON, hello(output_schema=ENDLESS))
    assert (sink.status, sink.headers["x-should-retry"]) == (504, "false")
    assert "deadlines.prepare" in orjson.loads(sink.body)["error"]["message"]
    assert len(scene.transport.bodies) == 1, "the schema itself is quickly read"
    await no_thread_is_left()


async def test_a_client_that_leaves_ends_the_work_on_its_schema(stage):
    scene = stage(answering(text("3"), tail()))
    with trio.move_on_after(1.5) as leaving:
        await scene.run(Mode.JSON, hello(output_schema=ENDLESS))
    assert leaving.cancelled_caught
    assert scene.transport.open == 0
    await no_thread_is_left()
