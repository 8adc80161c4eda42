"""What the simulated model answers: scenarios, their events, and the controls that shape and break a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer
from simulated import RPC_TARGET, RUNTIME_TARGET, Answer, Client, body, connected, tool, user

from kirotrio.config.settings import SimulatorSettings
from kirotrio.errors import SettingsError
from kirotrio.simulator import Simulator, State

TAIL = ["metadataEvent", "contextUsageEvent", "meteringEvent"]
TAGS = "<thinking_mode>enabled</thinking_mode>\n<max_thinking_length>8000</max_thinking_length>\n\n"
NATIVE = {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}}


def kinds(answer: Answer) -> list[str]:
    return [name for name, _ in answer.events]


def call_inputs(answer: Answer) -> dict[str, str]:
    """The joined input text of each call, by id."""
    inputs: dict[str, str] = {}
    for event in answer.of("toolUseEvent"):
        inputs[event["toolUseId"]] = inputs.get(event["toolUseId"], "") + event.get("input", "")
    return inputs


async def test_text_takes_up_what_was_said_and_ends_with_the_normal_tail(client: Client) -> None:
    answer = await client.generate("Where is the harbour?")
    assert answer.status == 200
    assert answer.complete
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    assert answer.headers["x-amzn-codewhisperer-conversation-id"] == "conversation-1"
    assert answer.headers["x-amzn-requestid"]
    assert "Where is the harbour?" in answer.text
    assert kinds(answer)[0] == "messageMetadataEvent"
    assert kinds(answer)[-3:] == TAIL
    assert answer.of("metadataEvent")[0]["stopReason"] == "END_TURN"
    assert answer.of("meteringEvent")[0]["usage"] > 0


@pytest.mark.parametrize("target", [RPC_TARGET, RUNTIME_TARGET])
async def test_rpc_flavours_open_with_an_initial_response(client: Client, target: str) -> None:
    answer = await client.generate("hello", target=target)
    assert kinds(answer)[0] == "initial-response"
    assert "hello" in answer.text


async def test_reminders_and_controls_are_not_quoted(client: Client) -> None:
    answer = await client.generate("<system-reminder>secret</system-reminder>\nBuild it [[size=9]] now")
    assert "You said: “Build it now”" in answer.text
    assert "secret" not in answer.text


async def test_context_usage_is_computed_from_the_request(client: Client) -> None:
    small = (await client.generate("hi")).of("contextUsageEvent")[0]["contextUsagePercentage"]
    large = (await client.generate("word " * 80_000)).of("contextUsageEvent")[0]["contextUsagePercentage"]
    assert 1 < small < 2, "about 2000 tokens of the service's own prompt in a window of 200000"
    assert 50 < large < 53, "400000 characters are about 100000 tokens more"


async def test_given_context_percentage_is_reported_as_given(client: Client) -> None:
    answer = await client.generate("[[context_pct=42.5]]")
    assert answer.of("contextUsageEvent") == [{"contextUsagePercentage": 42.5}]
    assert (await client.generate("[[context_pct=0]]")).of("contextUsageEvent") == [{"contextUsagePercentage": 0.0}]


async def test_events_and_size_are_followed_exactly(client: Client) -> None:
    answer = await client.generate("[[events=37 size=11]] go")
    pieces = [payload["content"] for payload in answer.of("assistantResponseEvent")]
    assert [len(piece) for piece in pieces] == [11] * 37
    assert (await client.generate("[[events=0]]")).of("assistantResponseEvent") == []


async def test_long_answers_are_long(client: Client) -> None:
    assert len((await client.generate("[[scenario=long]]")).text) > 15_000


async def test_given_text_is_said_word_for_word(client: Client) -> None:
    said = 'a "quoted" </thinking> ]] \n [Called x with args: {}] 日本 🥪'
    answer = await client.generate(f"[[text={json.dumps(said)} size=1]]")
    assert answer.text == said
    assert len(answer.of("assistantResponseEvent")) == len(said)


async def test_empty_has_a_tail_and_nothing_else(client: Client) -> None:
    answer = await client.generate("[[scenario=empty stop=CONTENT_FILTERED]]")
    assert kinds(answer)[1:] == TAIL
    assert answer.of("metadataEvent")[0]["stopReason"] == "CONTENT_FILTERED"


@pytest.mark.parametrize(
    ("tail", "expected"), [("modern", TAIL), ("older", TAIL[1:]), ("none", []), ("usage", TAIL)], ids=str
)
async def test_tail_variants(client: Client, tail: str, expected: list[str]) -> None:
    answer = await client.generate(f"[[events=1 tail={tail}]]")
    assert kinds(answer)[2:] == expected
    if tail == "usage":
        usage = answer.of("metadataEvent")[0]["tokenUsage"]
        assert usage["totalTokens"] == usage["uncachedInputTokens"] + usage["outputTokens"]


# -- thinking ------------------------------------------------------------------------------------------------------


async def test_thinking_uses_tags_where_the_prompt_asks_for_them(client: Client) -> None:
    answer = await client.generate(f"{TAGS}You are helpful.\n\nThink. [[scenario=thinking]]")
    assert answer.text.startswith("<thinking>\n")
    assert "</thinking>\n\nYou said: “Think.”" in answer.text
    later = body("[[scenario=thinking]]", history=[user(TAGS + "x"), {"assistantResponseMessage": {"content": "ok"}}])
    assert (await client.generate(later)).text.startswith("<thinking>\n"), "the system text stands in the first turn"


async def test_thinking_is_native_where_fields_ask_for_it_and_the_model_has_it(client: Client) -> None:
    answer = await client.generate(body("[[scenario=thinking]]", model="claude-sonnet-5", root=NATIVE))
    reasoning = answer.of("reasoningContentEvent")
    assert all(set(event) == {"text"} for event in reasoning[:-1])
    assert set(reasoning[-1]) == {"signature"}
    assert len(reasoning[-1]["signature"]) > 200
    assert kinds(answer).index("assistantResponseEvent") > len(reasoning)
    assert "<thinking>" not in answer.text


async def test_thinking_that_nobody_asked_for_does_not_come(client: Client) -> None:
    answer = await client.generate("[[scenario=thinking]]")
    assert "<thinking>" not in answer.text
    assert answer.of("reasoningContentEvent") == []
    hidden = await client.generate(body("[[scenario=thinking]]", model="claude-opus-4.6", root=NATIVE))
    assert hidden.of("reasoningContentEvent") == [], "opus-4.6 takes the effort and returns no reasoning frames"


async def test_native_thinking_omitted_gives_the_signature_alone(client: Client) -> None:
    fields = {"additionalModelRequestFields": {"thinking": {"type": "adaptive", "display": "omitted"}}}
    answer = await client.generate(body("[[scenario=native-thinking]]", model="claude-opus-5", root=fields))
    assert [set(event) for event in answer.of("reasoningContentEvent")] == [{"signature"}]


async def test_opaque_reasoning_of_gpt_comes_after_the_tool_call(client: Client) -> None:
    document = body("[[scenario=tools think=native]]", model="gpt-5.6-sol", tools=[tool("read")])
    answer = await client.generate(document)
    order = kinds(answer)
    assert order.index("reasoningContentEvent") > max(i for i, name in enumerate(order) if name == "toolUseEvent")


@pytest.mark.parametrize(("effort", "reasons"), [("high", True), ("none", False)])
async def test_gpt_reasons_as_its_effort_says(client: Client, effort: str, reasons: bool) -> None:
    fields = {"additionalModelRequestFields": {"reasoning": {"effort": effort}}}
    answer = await client.generate(body("[[scenario=thinking]]", model="gpt-5.6-sol", root=fields))
    assert bool(answer.of("reasoningContentEvent")) is reasons


async def test_redacted_thinking(client: Client) -> None:
    answer = await client.generate(body("[[scenario=native-thinking redacted=1]]", model="claude-opus-5"))
    assert [set(event) for event in answer.of("reasoningContentEvent")] == [{"redactedContent"}]


# -- tools ---------------------------------------------------------------------------------------------------------


async def test_tools_calls_the_first_tool_and_then_quotes_its_result(client: Client) -> None:
    offered = [tool("read"), tool("write")]
    answer = await client.generate(body("[[scenario=tools]] look", tools=offered))
    first, *_, last = answer.of("toolUseEvent")
    assert first == {"toolUseId": first["toolUseId"], "name": "read"}
    assert last == {"toolUseId": first["toolUseId"], "name": "read", "stop": True}
    assert json.loads(call_inputs(answer)[first["toolUseId"]]) == {"path": "README.md"}
    assert answer.of("metadataEvent")[0]["stopReason"] == "TOOL_USE"
    assert first["toolUseId"].startswith("tooluse_")

    use = {"toolUseId": first["toolUseId"], "name": "read", "input": {"path": "README.md"}}
    history = [user("[[scenario=tools]] look"), {"assistantResponseMessage": {"content": "", "toolUses": [use]}}]
    result = {"toolUseId": use["toolUseId"], "status": "success", "content": [{"text": "a plain file"}]}
    always_tools = Simulator(SimulatorSettings(scenario="tools"))
    async with trio.open_nursery() as nursery:
        second = connected(always_tools, nursery)
        answer = await second.generate(body("", history=history, tools=offered, results=[result]))
        await second.stream.aclose()
    assert answer.of("toolUseEvent") == []
    assert "> a plain file" in answer.text


async def test_named_tool_and_its_input(client: Client) -> None:
    said = '[[scenario=tools tool=Bash input={"command": "echo hi", "n": [1, 2]}]]'
    answer = await client.generate(body(said, tools=[tool("Read"), tool("Bash")]))
    assert answer.of("toolUseEvent")[0]["name"] == "Bash"
    assert [json.loads(text) for text in call_inputs(answer).values()] == [{"command": "echo hi", "n": [1, 2]}]


async def test_tool_that_is_not_offered_is_answered_in_text(client: Client) -> None:
    answer = await client.generate(body("[[scenario=tools tool=Bash]]", tools=[tool("Read")]))
    assert answer.of("toolUseEvent") == []
    assert "not among those offered, which are: Read" in answer.text
    assert answer.of("metadataEvent")[0]["stopReason"] == "END_TURN"


async def test_parallel_tools_interleave(client: Client) -> None:
    answer = await client.generate(body("[[scenario=parallel-tools]]", tools=[tool("a"), tool("b")]))
    order = [event["name"] for event in answer.of("toolUseEvent")]
    assert order[:4] == ["a", "b", "a", "b"]
    assert [json.loads(text) for text in call_inputs(answer).values()] == [{"path": "README.md"}] * 2
    same = await client.generate(body("[[scenario=parallel-tools]]", tools=[tool("a")]))
    texts = list(call_inputs(same).values())
    assert len(texts) == 2
    assert texts[0] != texts[1], "two calls of one tool are told apart by their input"


async def test_web_search_calls_the_search_tool_with_the_bare_query(client: Client) -> None:
    query = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}
    said = "[[scenario=web-search]] Perform a web search for the query: trio release"
    answer = await client.generate(body(said, tools=[tool("read"), tool("web_search", query)]))
    assert [json.loads(text) for text in call_inputs(answer).values()] == [{"query": "trio release"}]


async def test_large_tool_input(client: Client) -> None:
    answer = await client.generate(
        body("[[scenario=tools input_chars=400000 size=5000]]", tools=[tool("write")]),
    )
    (text,) = call_inputs(answer).values()
    assert len(json.loads(text)["path"]) == 400_000


@pytest.mark.parametrize("form", ["object", "absent", "truncated", "invalid"])
async def test_forms_of_tool_input(client: Client, form: str) -> None:
    events = (await client.generate(body(f"[[scenario=tools tool_form={form}]]", tools=[tool("read")]))).of(
        "toolUseEvent"
    )
    stops = [event for event in events if event.get("stop")]
    inputs = [event["input"] for event in events if "input" in event]
    assert len(stops) == (0 if form == "truncated" else 1)
    if form == "object":
        assert inputs == [{}, {"path": "README.md"}]
    elif form == "absent":
        assert inputs == []
    else:
        with pytest.raises(json.JSONDecodeError):
            json.loads("".join(inputs))


# -- timing, on a mock clock ---------------------------------------------------------------------------------------


async def test_pauses_are_kept(client: Client, autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    await client.start(body("[[events=4 first_ms=240000 gap_ms=500 tail=none]]"))
    await client.head()
    assert trio.current_time() == pytest.approx(began), "the head does not wait for the first event"
    arrived = []
    while await client.piece() is not None:
        arrived.append(trio.current_time() - began)
    assert arrived == pytest.approx([240.0, 240.5, 241.0, 241.5])


async def test_head_may_be_late(client: Client, autojump_clock: trio.testing.MockClock) -> None:
    began = trio.current_time()
    await client.start(body("[[head_ms=90000]]"))
    await client.head()
    assert trio.current_time() - began == pytest.approx(90)


async def test_settings_are_the_defaults_and_the_message_wins(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    client = connected(Simulator(SimulatorSettings(events=3, size=5, gap_ms=1000)), nursery)
    began = trio.current_time()
    assert len((await client.generate("hello")).text) == 15
    assert trio.current_time() - began == pytest.approx(5.0), "three texts and three tail events, a second apart"
    assert len((await client.generate("[[events=2 gap_ms=0]]")).text) == 10


def test_settings_that_no_control_allows_are_refused_at_the_start() -> None:
    with pytest.raises(SettingsError, match=r"simulator\.scenario: 'sing' is none of text"):
        Simulator(SimulatorSettings(scenario="sing"))


# -- what goes wrong -----------------------------------------------------------------------------------------------


async def test_exception_follows_the_content(client: Client) -> None:
    answer = await client.generate("[[events=2 exception=ThrottlingException]]")
    assert kinds(answer)[1:] == ["assistantResponseEvent", "assistantResponseEvent", "ThrottlingException"]
    assert "Too many requests" in answer.of("ThrottlingException")[0]["message"]
    assert answer.complete


async def test_exception_may_come_first_and_may_be_named_by_its_reason(client: Client) -> None:
    answer = await client.generate("[[events=0 exception=INSUFFICIENT_MODEL_CAPACITY]]")
    assert kinds(answer)[1:] == ["ThrottlingException"]
    assert answer.of("ThrottlingException")[0]["reason"] == "INSUFFICIENT_MODEL_CAPACITY"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("error", "InternalServerException"),
        ("invalidStateEvent", "invalidStateEvent"),
        ("ContentLengthExceededException", "ContentLengthExceededException"),
        ("Exception", "Exception"),
    ],
)
async def test_other_kinds_of_exception(client: Client, name: str, kind: str) -> None:
    assert kinds(await client.generate(f"[[events=1 exception={name}]]"))[-1] == kind


@pytest.mark.parametrize(
    ("cut", "complete", "whole"),
    [
        ("half", False, False),
        ("boundary", False, True),
        ("half-terminated", True, False),
        ("boundary-terminated", True, True),
    ],
)
@pytest.mark.parametrize("after", [0, 2, 5])
async def test_cut(simulator: Simulator, client: Client, cut: str, complete: bool, whole: bool, after: int) -> None:
    answer = await client.generate(f"[[events=2 cut_after={after} cut={cut}]]")
    reference = ["messageMetadataEvent", "assistantResponseEvent", "assistantResponseEvent", *TAIL]
    assert kinds(answer) == (reference[: after + 1] if after else [])
    assert answer.complete is complete
    assert bool(answer.content) is not (after == 0 and whole)
    assert _ends_between_frames(answer.content) is whole
    expected = State.FINISHED if complete else State.CUT
    await simulator.ledger.until(lambda ledger: ledger.streams[0].state is not State.OPEN)
    assert simulator.streams[0].state is expected


def _ends_between_frames(content: bytes) -> bool:
    while len(content) >= 4 and len(content) >= int.from_bytes(content[:4]):
        content = content[int.from_bytes(content[:4]) :]
    return content == b""


async def test_cut_beyond_the_end_cuts_nothing(client: Client) -> None:
    answer = await client.generate("[[events=2 cut_after=6]]")
    assert answer.complete
    assert kinds(answer)[-3:] == TAIL


@pytest.mark.parametrize("after", [0, 3, 5])
async def test_stall_is_silence_until_the_peer_leaves(
    simulator: Simulator, client: Client, autojump_clock: trio.testing.MockClock, after: int
) -> None:
    await client.start(body(f"[[events=2 stall_after={after}]]"))
    await client.head()
    content = b""
    with trio.move_on_after(3600) as hour:
        while piece := await client.piece():
            content += piece
    assert hour.cancelled_caught
    assert len(Answer(200, {}, content).events) == (after + 1 if after else 0)
    assert simulator.streams[0].phase.value == "stalled"
    await client.stream.aclose()
    await simulator.ledger.until(lambda ledger: ledger.streams[0].state is State.CLOSED_BY_PEER)


async def test_stall_after_0_in_the_settings_means_never(nursery: trio.Nursery) -> None:
    answer = await connected(Simulator(SimulatorSettings(stall_after=0, cut_after=0)), nursery).generate("hi")
    assert answer.complete


async def test_no_head_at_all(client: Client, autojump_clock: trio.testing.MockClock) -> None:
    await client.start(body("[[no_head=1]]"))
    with trio.move_on_after(3600) as hour:
        await client.head()
    assert hour.cancelled_caught


@pytest.mark.parametrize("damage", ["crc", "prelude"])
async def test_damaged_frame_is_refused_by_botocore(client: Client, damage: str) -> None:
    answer = await client.generate(f"[[events=5 corrupt={damage}]]")
    assert answer.complete
    with pytest.raises(ChecksumMismatch):
        _ = answer.events


async def test_payload_that_is_not_json_in_an_intact_frame(client: Client) -> None:
    answer = await client.generate("[[events=5 corrupt=json corrupt_at=3]]")
    with pytest.raises(json.JSONDecodeError):
        _ = answer.events
    assert _ends_between_frames(answer.content)


@pytest.mark.parametrize("at", ["metadataEvent", "toolUseEvent"])
async def test_damage_may_be_aimed_at_an_event_type(client: Client, at: str) -> None:
    answer = await client.generate(body(f"[[scenario=tools corrupt=json corrupt_at={at}]]", tools=[tool("x")]))
    buffer = EventStreamBuffer()
    buffer.add_data(answer.content)
    broken = [frame.headers[":event-type"] for frame in buffer if not frame.payload.endswith(b"}")]
    assert broken == [at], "the first of its type, and that one alone"


async def test_first_attempts_fail_and_then_one_succeeds(client: Client) -> None:
    said = "[[fail_first=2]] once more"
    statuses = [(await client.generate(said)).status for _ in range(6)]
    assert statuses == [500, 500, 200, 500, 500, 200], "the count begins anew after a success"


async def test_failing_attempts_are_counted_by_conversation_and_message(client: Client) -> None:
    async def ask(content: str, conversation: str) -> int:
        document = body(content)
        document["conversationState"]["conversationId"] = conversation
        return (await client.generate(document)).status

    assert [await ask("[[fail_first=1]] a", "one"), await ask("[[fail_first=1]] a", "two")] == [500, 500]
    assert [await ask("[[fail_first=1]] b", "one"), await ask("[[fail_first=1]] a", "one")] == [500, 200]
    assert [await ask("[[fail_first=1 key=k]] c", "one"), await ask("[[fail_first=1 key=k]] d", "two")] == [500, 200]


@pytest.mark.parametrize(
    ("how", "first"),
    [
        ("status=429", (429, True)),
        ("cut_after=1", (200, False)),
        ("exception=InternalServerException", (200, True)),
    ],
)
async def test_failing_attempts_fail_as_the_other_controls_say(
    simulator: Simulator, nursery: trio.Nursery, how: str, first: tuple[int, bool]
) -> None:
    answers = [await connected(simulator, nursery).generate(f"[[fail_first=1 {how}]]") for _ in range(2)]
    assert (answers[0].status, answers[0].complete) == first
    assert kinds(answers[1])[-3:] == TAIL
    assert answers[1].complete


async def test_failing_attempts_may_be_empty_answers(client: Client) -> None:
    said = "[[fail_first=1 fail_scenario=empty]]"
    assert (await client.generate(said)).text == ""
    assert (await client.generate(said)).text != ""


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("[[scenario=sing]]", "scenario: 'sing' is none of text"),
        ("[[events=-1]]", "events: '-1' is not a whole number"),
        ("[[events=1 evnts=2]]", "evnts: no such control"),
        (r'[[scenario=tools input={"a": "\ud800"}]]', "input: this cannot be sent as JSON"),
        (r'[[text="\ud800"]]', "text: this cannot be sent as JSON"),
        ('[[scenario=tools input={"a": 99999999999999999999}]]', "input: this cannot be sent as JSON"),
        ("[[status=TEAPOT]]", "status: 'TEAPOT' is no status or reason"),
        ("[[input={oops}]]", "input: this is not JSON"),
        ("[[events=5", "expected name=value or ]]"),
        ("[[events=10000000 size=8000000]]", "events × size"),
    ],
)
async def test_controls_that_cannot_be_followed_are_told(client: Client, said: str, complaint: str) -> None:
    answer = await client.generate(said)
    assert answer.status == 400
    assert complaint in answer.json()["message"]


async def test_brackets_of_others_are_text(client: Client) -> None:
    answer = await client.generate('if [[ $a == "b" ]]; then see [[Harbour]]; fi [[ x=1 ]]')
    assert "[[Harbour]]" in answer.text


async def test_credits_are_charged_to_the_account(client: Client) -> None:
    async def used() -> float:
        usage: dict[str, Any] = (await client.get("/getUsageLimits?origin=AI_EDITOR")).json()
        return float(usage["usageBreakdownList"][0]["currentUsageWithPrecision"])

    before = await used()
    for _ in range(3):
        await client.generate("[[scenario=long]]")
    assert await used() > before


@pytest.mark.parametrize("instruction", ["an object", "a schema"])
async def test_a_prompt_that_asks_for_json_in_words_gets_json(client: Client, instruction: str) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}, "word": {"enum": ["yes", "no"]}}}
    asked = {
        "an object": "Answer with one JSON object, and with nothing else.",
        "a schema": "Answer with one JSON value that is valid against this JSON schema.\n" + json.dumps(schema),
    }[instruction]
    answer = await client.generate(f"{asked}\n\nhello")
    said = json.loads(answer.text)
    assert (said == {"n": 1, "word": "yes"}) if instruction == "a schema" else (isinstance(said, dict) and said), said


@pytest.mark.parametrize(
    ("instruction", "called"),
    [("Call the tool second.", ["second"]), ("Call one of the tools.", ["first"]), ("You may call a tool.", [])],
)
async def test_a_message_that_ends_with_an_order_to_call_a_tool_gets_the_call(
    client: Client, instruction: str, called: list[str]
) -> None:
    document = body(f"hello\n\n{instruction}")
    current = document["conversationState"]["currentMessage"]["userInputMessage"]
    current["userInputMessageContext"] = {"tools": [tool("first"), tool("second")]}
    answer = await client.generate(document)
    assert list(dict.fromkeys(event["name"] for event in answer.of("toolUseEvent"))) == called
