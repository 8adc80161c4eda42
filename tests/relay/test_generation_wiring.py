"""That every setting, every part of the account and every wish of the client reaches the place where it counts."""

from __future__ import annotations

import orjson
import pytest
from relay.conftest import hello
from support.scripted import answering, event, tail, text
from support.sse import events_of

from kirotrio.conversation.request import Limits, Text, Thinking, ThinkingSetting, Tool, Turn
from kirotrio.kiro.names import hashed_tool_name
from kirotrio.relay.request import Mode

ARN = "arn:aws:codewhisperer:eu-central-1:123456789012:profile/ABCDEF"
NATIVE = "claude-opus-5"
TAGGED = answering(text("<thinking>a long deliberation about greetings</thinking>", "Hi"), tail())
SIGNED = answering(
    [event("reasoningContentEvent", text="deliberation"), event("reasoningContentEvent", signature="c2lnbmVk")],
    text("Hi"),
    tail(),
)
ASKED = ThinkingSetting(enabled=True, asked=True, accepted=True)
UNASKED = ThinkingSetting(enabled=True)


async def message_of(scene, conversation):
    sink = await scene.run(Mode.JSON, conversation)
    assert sink.status == 200, sink.body
    return orjson.loads(sink.body)


def kinds(message) -> list[str]:
    return [block["type"] for block in message["content"]]


def sent(scene, number: int = 0):
    return scene.transport.bodies[number]["conversationState"]["currentMessage"]["userInputMessage"]


# Thinking


@pytest.mark.parametrize(
    ("thinking", "show", "shown"),
    [
        (UNASKED, "auto", False),
        (ASKED, "auto", True),
        (ThinkingSetting(enabled=True, accepted=True), "auto", True),
        (UNASKED, "always", True),
        (ASKED, "never", False),
    ],
    ids=["not asked for", "asked for", "known to be taken", "always", "never"],
)
@pytest.mark.parametrize(("model", "script"), [("claude-sonnet-4.5", TAGGED), (NATIVE, SIGNED)])
async def test_thinking_is_shown_to_those_who_take_it(stage, autojump_clock, model, script, thinking, show, shown):
    scene = stage(script, thinking={"show": show})
    message = await message_of(scene, hello(model=model, thinking=thinking))
    assert kinds(message) == (["thinking", "text"] if shown else ["text"])
    assert message["content"][-1]["text"] == "Hi"


async def test_thinking_that_comes_only_with_the_end_is_hidden_too(stage, autojump_clock):
    # The parser holds what may yet be the closing tag, and lets go of it at the end.
    message = await message_of(stage(answering(text("<thinking>secret </think"), tail())), hello(thinking=UNASKED))
    assert kinds(message) == ["text"]
    assert "think" not in message["content"][0]["text"]


async def test_omitted_thinking_is_a_signed_block_without_its_text(stage, autojump_clock):
    omitted = ThinkingSetting(enabled=True, asked=True, accepted=True, display="omitted")
    message = await message_of(stage(SIGNED), hello(model=NATIVE, thinking=omitted))
    block = message["content"][0]
    assert (block["type"], block["thinking"]) == ("thinking", "")
    assert block["signature"].endswith(".c2lnbmVk")


async def test_hidden_thinking_is_paid_for_and_so_it_is_counted(stage, autojump_clock):
    hidden = await message_of(stage(TAGGED), hello(thinking=UNASKED))
    shown = await message_of(stage(TAGGED), hello(thinking=ASKED))
    bare = await message_of(stage(answering(text("Hi"), tail())), hello())
    assert hidden["usage"]["output_tokens"] == shown["usage"]["output_tokens"] > bare["usage"]["output_tokens"]


async def test_signed_thinking_travels_back_with_the_next_request(stage, autojump_clock):
    scene = stage(SIGNED)
    first = await message_of(scene, hello(model=NATIVE, thinking=ASKED))
    block, answer = first["content"]
    turns = (
        Turn("user", (Text("Say hi"),), "messages.0"),
        Turn("assistant", (Thinking(block["thinking"], block["signature"]), Text(answer["text"])), "messages.1"),
        Turn("user", (Text("Again"),), "messages.2"),
    )
    await message_of(scene, hello(model=NATIVE, thinking=ASKED, turns=turns))
    earlier = scene.transport.bodies[1]["conversationState"]["history"][-1]["assistantResponseMessage"]
    assert earlier["reasoningContent"] == {"reasoningText": {"text": "deliberation", "signature": "c2lnbmVk"}}


async def test_thinking_in_tags_is_read_only_where_it_was_asked_for_in_tags(stage, autojump_clock):
    message = await message_of(stage(TAGGED), hello())
    assert message["content"] == [
        {"type": "text", "text": "<thinking>a long deliberation about greetings</thinking>Hi"}
    ], "thinking was off: what looks like it is the answer's own text"


@pytest.mark.parametrize(
    ("model", "thinking", "status"),
    [(NATIVE, ASKED, 200), ("claude-sonnet-4.5", ASKED, 200), ("claude-sonnet-4.5", hello().thinking, 504)],
    ids=["native", "in tags", "off"],
)
async def test_who_may_think_has_longer_for_the_first_event(stage, autojump_clock, model, thinking, status):
    scene = stage(answering(200.0, text("late"), tail()))
    assert (await scene.run(Mode.JSON, hello(model=model, thinking=thinking))).status == status


@pytest.mark.parametrize(
    ("section", "late", "thinking"),
    [("first_event", 30.0, hello().thinking), ("first_event_thinking", 40.0, ASKED)],
)
async def test_the_first_events_deadlines_are_settings(stage, autojump_clock, section, late, thinking):
    scene = stage(answering(late, text("late"), tail()), deadlines={section: late - 1})
    sink = await scene.run(Mode.JSON, hello(thinking=thinking))
    assert sink.status == 504
    assert f"within {late - 1:g} seconds" in orjson.loads(sink.body)["error"]["message"]


async def test_the_deadline_of_silence_is_a_setting(stage, autojump_clock):
    began = autojump_clock.current_time()
    sink = await stage(answering(text("then nothing"), end="hang"), deadlines={"silence": 7.0}).run()
    assert autojump_clock.current_time() - began == pytest.approx(7)
    assert "7 seconds" in events_of(sink.body)[-1]["error"]["message"]


async def test_the_patience_for_the_tail_is_a_setting(stage, autojump_clock):
    scene = stage(answering(text("keep STOP"), 8.0, tail(percentage=10.0)), deadlines={"tail": 9.0})
    message = await message_of(scene, hello(limits=Limits(64_000, ("STOP",))))
    assert message["usage"]["input_tokens"] == 20_000


# Limits


LONG = "one two three four five six seven eight nine ten " * 20


async def test_max_tokens_cuts_text_unless_that_is_switched_off(stage, autojump_clock):
    limits = Limits(max_tokens=10)
    cut = await message_of(stage(answering(text(LONG), tail())), hello(limits=limits))
    assert cut["stop_reason"] == "max_tokens"
    assert 0 < len(cut["content"][0]["text"]) < 200
    whole = await message_of(
        stage(answering(text(LONG), tail()), limits={"enforce_max_tokens": "off"}), hello(limits=limits)
    )
    assert (whole["stop_reason"], whole["content"][0]["text"]) == ("end_turn", LONG)


async def test_a_limit_that_the_model_itself_was_given_is_not_cut_by_us_too(stage, autojump_clock):
    scene = stage(answering(text(LONG), tail()))
    message = await message_of(scene, hello(model=NATIVE, limits=Limits(max_tokens=10)))
    assert scene.transport.bodies[0]["additionalModelRequestFields"]["max_tokens"] == 10
    assert message["content"][0]["text"] == LONG


async def test_a_limit_that_a_thinking_model_was_not_given_is_ours_to_keep(stage, autojump_clock):
    scene = stage(answering(text(LONG), tail()))
    message = await message_of(scene, hello(model=NATIVE, limits=Limits(max_tokens=10), thinking=ASKED))
    assert "max_tokens" not in scene.transport.bodies[0]["additionalModelRequestFields"]
    assert message["stop_reason"] == "max_tokens"


# Model, tools and account


@pytest.mark.parametrize(("model", "window"), [("claude-sonnet-4.5", 200_000), (NATIVE, 1_000_000)])
async def test_the_measured_share_is_one_of_the_models_own_window(stage, autojump_clock, model, window):
    message = await message_of(stage(answering(text("x"), tail(percentage=3.0))), hello(model=model))
    assert message["usage"]["input_tokens"] == window * 3 // 100


async def test_a_tool_comes_back_under_the_clients_own_name(stage, autojump_clock):
    upstream = hashed_tool_name("a b!")
    scene = stage(answering([event("toolUseEvent", toolUseId="t1", name=upstream, input='{"x":1}', stop=True)], tail()))
    message = await message_of(scene, hello(tools=(Tool("a b!", "does things", {"type": "object"}),)))
    (offered,) = sent(scene)["userInputMessageContext"]["tools"]
    assert offered["toolSpecification"]["name"] == upstream
    (block,) = message["content"]
    assert (block["name"], block["input"]) == ("a b!", {"x": 1})


async def test_a_long_description_moves_by_the_setting(stage, autojump_clock):
    conversation = hello(tools=(Tool("f", "word " * 60, {"type": "object"}),))
    moved, kept = stage(answering(text("x"), tail()), tools={"description_max_length": 200}), stage(TAGGED)
    for scene in (moved, kept):
        await message_of(scene, conversation)
    assert ["<tool_description" in sent(scene)["content"] for scene in (moved, kept)] == [True, False]


async def test_profile_and_region_of_the_account_are_those_of_the_call(stage, autojump_clock):
    scene = stage(TAGGED)
    scene.account.profile_arn, scene.account.region = ARN, "eu-central-1"
    await message_of(scene, hello())
    assert scene.transport.bodies[0]["profileArn"] == ARN
    assert scene.transport.urls == ["https://q.eu-central-1.amazonaws.com/generateAssistantResponse"]
    plain = stage(TAGGED)
    await message_of(plain, hello())
    assert "profileArn" not in plain.transport.bodies[0]
    assert plain.transport.urls == ["https://q.us-east-1.amazonaws.com/generateAssistantResponse"]


async def test_user_agent_origin_and_address_are_settings(stage, autojump_clock):
    scene = stage(
        TAGGED, upstream={"user_agent": "mine/1", "origin": "KIRO_CLI", "url": "http://127.0.0.1:9000/prefix"}
    )
    await message_of(scene, hello())
    assert scene.transport.headers[0]["user-agent"] == "mine/1"
    assert sent(scene)["origin"] == "KIRO_CLI"
    assert scene.transport.urls == ["http://127.0.0.1:9000/prefix/generateAssistantResponse"]


@pytest.mark.parametrize(
    ("flavour", "host", "target"),
    [
        ("rpc", "https://q.us-east-1.amazonaws.com/", "AmazonCodeWhispererStreamingService"),
        ("runtime", "https://runtime.us-east-1.kiro.dev/", "KiroRuntimeService"),
    ],
)
async def test_a_flavour_has_its_own_call_and_its_own_body(stage, autojump_clock, flavour, host, target):
    scene = stage(TAGGED, upstream={"flavour": flavour})
    await message_of(scene, hello())
    assert scene.transport.urls == [host]
    assert scene.transport.headers[0]["x-amz-target"] == f"{target}.GenerateAssistantResponse"
    body = scene.transport.bodies[0]
    inside = (body.get("agentMode"), body["conversationState"].get("rootConversationId"))
    assert inside == (("vibe", body["conversationState"]["conversationId"]) if flavour == "runtime" else (None, None))


async def test_a_conversation_keeps_its_id_on_one_account_and_has_another_on_another(stage, autojump_clock):
    scene = stage(TAGGED)
    await message_of(scene, hello())
    await message_of(scene, hello())
    scene.account.name = "other"
    await message_of(scene, hello())
    first, second, third = [body["conversationState"]["conversationId"] for body in scene.transport.bodies]
    assert first == second != third


async def test_an_alias_and_a_default_name_the_model_that_is_asked(stage, autojump_clock):
    aliased = stage(TAGGED, models={"alias": {"mine": "claude-haiku-4.5"}})
    message = await message_of(aliased, hello(model="mine"))
    assert sent(aliased)["modelId"] == "claude-haiku-4.5"
    assert message["model"] == "mine", "the client reads the name that it wrote"
    fallen = stage(TAGGED, models={"default": "claude-haiku-4.5"})
    await message_of(fallen, hello(model="no such model"))
    assert sent(fallen)["modelId"] == "claude-haiku-4.5"
    assert (await stage(TAGGED).run(Mode.JSON, hello(model="no such model"))).status == 404


async def test_output_is_subtracted_from_a_measured_context_by_the_setting(stage, autojump_clock):
    script = answering(text(LONG), tail(percentage=10.0))
    plain = await message_of(stage(script), hello())
    subtracted = await message_of(stage(script, usage={"subtract_output": True}), hello())
    output = plain["usage"]["output_tokens"]
    assert output > 0
    assert plain["usage"]["input_tokens"] == 20_000
    assert subtracted["usage"]["input_tokens"] == 20_000 - output
