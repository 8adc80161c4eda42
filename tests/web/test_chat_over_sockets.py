"""What Chat Completions alone has: the usage chunk, free-form tools, and the older form of functions."""

from __future__ import annotations

import orjson
import pytest
from support.dialects import CHAT, TOOL

CALLING = "[[scenario=tools tool=write_file]] x"
FUNCTION = {"name": TOOL["name"], "parameters": TOOL["schema"]}


def chunks(raw: bytes) -> list[dict]:
    pieces = [line.removeprefix("data: ") for line in raw.decode().split("\n") if line.startswith("data: ")]
    assert pieces[-1] == "[DONE]"
    return [orjson.loads(piece) for piece in pieces[:-1]]


@pytest.mark.parametrize("path", [CHAT.path, CHAT.buffered], ids=["live", "buffered"])
async def test_usage_is_a_chunk_only_where_asked_for(stack, path):
    async with stack() as s, s.client() as http:
        with_usage = await http.post(path, json=CHAT.question(stream=True))
        without = await http.post(path, json=CHAT.question(stream=True, stream_options={}))
    assert CHAT.problems(with_usage.content, usage=True) == []
    assert CHAT.problems(without.content, usage=False) == []


@pytest.mark.parametrize("path", [CHAT.path, CHAT.buffered], ids=["live", "buffered"])
async def test_free_form_tools_are_called_in_their_own_form(stack, path):
    tool = {"type": "custom", "custom": {"name": "write_file", "description": "Takes anything"}}
    asked = {**CHAT.question(CALLING), "tools": [tool]}
    async with stack() as s, s.client() as http:
        whole = (await http.post(path, json=asked)).json()
        streamed = chunks((await http.post(path, json={**asked, "stream": True})).content)
    (call,) = whole["choices"][0]["message"]["tool_calls"]
    assert call["type"] == "custom"
    assert call["custom"]["name"] == "write_file"
    assert isinstance(call["custom"]["input"], str)
    pieces = [p for c in streamed for p in (c["choices"][0]["delta"].get("tool_calls") or () if c["choices"] else ())]
    assert pieces[0]["type"] == "custom"
    assert "".join(piece["custom"].get("input", "") for piece in pieces) == call["custom"]["input"]


@pytest.mark.parametrize("path", [CHAT.path, CHAT.buffered], ids=["live", "buffered"])
async def test_the_older_form_of_functions_is_answered_in_kind(stack, path):
    asked = CHAT.question(CALLING, functions=[FUNCTION])
    async with stack() as s, s.client() as http:
        whole = (await http.post(path, json=asked)).json()
        streamed = chunks((await http.post(path, json={**asked, "stream": True})).content)
    (choice,) = whole["choices"]
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"]["name"] == "write_file"
    assert "tool_calls" not in choice["message"]
    deltas = [
        c["choices"][0]["delta"]["function_call"] for c in streamed if c["choices"][0]["delta"].get("function_call")
    ]
    assert deltas[0]["name"] == "write_file"
    arguments = "".join(delta.get("arguments", "") for delta in deltas)
    assert arguments == choice["message"]["function_call"]["arguments"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_body_of_the_responses_api_is_answered_as_a_chat(stack, stream):
    body = {
        "model": "claude-sonnet-4.5",
        "stream": stream,
        "input": [{"role": "user", "content": "[[scenario=tools]] go"}],
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}],
    }
    async with stack() as s, s.client() as http:
        answer = await http.post(CHAT.path, json=body)
    assert answer.status_code == 200, answer.text
    if stream:
        assert CHAT.problems(answer.content) == []
        assert '"finish_reason":"tool_calls"' in answer.text
    else:
        assert answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "look"


def flat(question: str, **more):
    return {"model": "claude-sonnet-4.5", "input": question, **more}


async def test_such_a_body_keeps_its_chat_fields(stack):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    named = {"type": "object", "properties": {"messages": {"type": "string"}}}
    async with stack() as s, s.client() as http:

        async def ask(question: str, **more):
            answer = await http.post(CHAT.path, json=flat(question, **more))
            assert answer.status_code == 200, answer.text
            return answer.json()["choices"][0]

        assert (await ask("[[scenario=long]] x", max_tokens=5))["finish_reason"] == "length"
        assert (await ask("[[scenario=long]] x", max_output_tokens=5))["finish_reason"] == "length"
        assert (await ask('[[text="one two three"]] x', stop="two"))["message"]["content"] == "one "
        for form in (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}},
            {"text": {"format": {"type": "json_schema", "name": "a", "schema": schema}}},
        ):
            assert orjson.loads((await ask("x", **form))["message"]["content"]) == {"n": 1}
        function = {"type": "function", "name": "send", "parameters": named}
        called = await ask("[[scenario=tools]] x", tools=[function], messages=None)
        assert called["message"]["tool_calls"][0]["function"]["name"] == "send"
        for wrong, path in (({"n": 2}, "n"), ({"previous_response_id": "resp_1"}, "previous_response_id")):
            refused = await http.post(CHAT.path, json=flat("x", **wrong))
            assert refused.status_code == 400
            assert CHAT.error_of(refused.json())["param"] == path
