"""What the upstream can do wrong in the middle, over real sockets: each ends as KIRO_PROTOCOL 3 says."""

from __future__ import annotations

import orjson
import pytest
from support.sse import events_of, names_of, text_of
from support.stack import question, running

LIVE, BUFFERED = "/v1/messages", "/cc/v1/messages"


@pytest.mark.parametrize("split", [0, 1, 7])
@pytest.mark.parametrize(
    "fault", ["corrupt=crc", "corrupt=prelude", "cut_after=3", "exception=InternalServerException", "exception=Unheard"]
)
async def test_damage_after_the_first_byte_is_a_legal_error(tmp_path, fault, split):
    async with running(tmp_path) as s, s.client() as http:
        asked = question(f"[[events=6 split={split} {fault}]] x", stream=True)
        live = await http.post(LIVE, json=asked)
        buffered = await http.post(BUFFERED, json=asked)
        body = await http.post(LIVE, json={**asked, "stream": False})
    assert live.status_code == 200
    names = names_of(live.content)
    assert names[0] == "message_start"
    assert names[-1] == "error", f"{fault} ended as {names[-1]}"
    assert "message_stop" not in names
    assert buffered.status_code in (502, 529), "nothing had been sent: the status can still tell"
    assert body.status_code == buffered.status_code
    assert body.json()["error"]["type"] in ("api_error", "overloaded_error")


@pytest.mark.parametrize("path", [LIVE, BUFFERED])
async def test_a_fault_that_passes_is_not_seen_in_the_buffered_mode(tmp_path, path):
    async with running(tmp_path) as s, s.client() as http:
        answer = await http.post(path, json=question("[[events=4 corrupt=crc fail_first=1]] x", stream=True))
    assert names_of(answer.content)[-1] == ("message_stop" if path == BUFFERED else "error")


async def test_an_exception_before_the_first_byte_is_tried_again(tmp_path):
    async with running(tmp_path) as s, s.client() as http:
        answer = await http.post(LIVE, json=question("[[status=500 fail_first=2]] x", stream=True))
        tried = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]]
    assert names_of(answer.content)[-1] == "message_stop"
    assert len(tried) == 3


async def test_a_payload_that_is_not_json_ends_the_answer_as_an_error(tmp_path):
    async with running(tmp_path) as s, s.client() as http:
        answer = await http.post(LIVE, json=question("[[events=4 corrupt=json]] x", stream=True))
    assert names_of(answer.content)[-1] == "error", "a piece of text was lost: the answer must not pretend to be whole"


async def test_length_exceeded_is_max_tokens(tmp_path):
    async with running(tmp_path) as s, s.client() as http:
        answer = await http.post(
            LIVE, json=question("[[events=3 exception=ContentLengthExceededException]] x", stream=True)
        )
    assert events_of(answer.content)[-2]["delta"]["stop_reason"] == "max_tokens"


@pytest.mark.parametrize("split", [1, 2, 3])
async def test_text_survives_any_cut_of_its_bytes(tmp_path, split):
    said = "€uro 漢字 😀 é ha ha ha"
    async with running(tmp_path) as s, s.client() as http:
        answer = await http.post(LIVE, json=question(f'[[split={split} text="{said}"]] x', stream=True))
    assert text_of(answer.content) == said


TOOL = {"name": "write_file", "description": "d", "input_schema": {"type": "object", "properties": {}}}


async def test_large_tool_arguments_in_small_reads_arrive_whole(tmp_path):
    async with running(tmp_path) as s, s.client() as http:
        asked = question(
            "[[scenario=tools tool=write_file input_chars=400000 size=1000 split=1024]] x",
            tools=[TOOL],
            thinking={"type": "disabled"},
        )
        message = (await http.post(LIVE, json=asked)).json()
        streamed = await http.post(LIVE, json={**asked, "stream": True})
    (call,) = [block for block in message["content"] if block["type"] == "tool_use"]
    assert len(orjson.dumps(call["input"])) >= 400_000
    deltas = [
        data["delta"]["partial_json"]
        for data in events_of(streamed.content)
        if data["type"] == "content_block_delta" and data["delta"]["type"] == "input_json_delta"
    ]
    assert orjson.loads("".join(deltas)) == call["input"]
    assert message["stop_reason"] == "tool_use"


@pytest.mark.parametrize("form", ["truncated", "invalid"])
async def test_a_broken_tool_call_never_leaves(tmp_path, form):
    async with running(tmp_path) as s, s.client() as http:
        asked = question(
            f"[[scenario=tools tool=write_file tool_form={form}]] x", tools=[TOOL], thinking={"type": "disabled"}
        )
        message = (await http.post(LIVE, json=asked)).json()
    assert [block["type"] for block in message["content"] if block["type"] == "tool_use"] == []
    assert message["stop_reason"] == "max_tokens"


async def test_calls_in_prose_stay_prose(tmp_path):
    said = "[Called write_file with args: {}]"
    async with running(tmp_path) as s, s.client() as http:
        message = (await http.post(LIVE, json=question(f'[[text="{said}"]] x', tools=[TOOL]))).json()
    assert message["content"] == [{"type": "text", "text": said}]
