"""Answers that search and fetch, from socket to socket: client, gateway, simulator, and the web."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import h11
import orjson
import pytest
import trio
from check_sse import check
from support.sse import events_of, names_of, text_of
from support.stack import question

SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
FETCH = {"type": "web_fetch_20250910", "name": "web_fetch", "citations": {"enabled": True}}
FOUND = "https://go.dev/doc/go1.26"


def blocks_of(body: bytes) -> list[Any]:
    return [event["content_block"] for event in events_of(body) if event["type"] == "content_block_start"]


async def searches(stack: Any) -> list[str]:
    """The paths of what the upstream was asked, generations and searches only."""
    return [
        request["path"]
        for request in await stack.requests()
        if "generate" in request["path"] or "mcp" in request["path"]
    ]


@pytest.mark.parametrize("prefix", ["/v1", "/cc/v1"])
async def test_the_model_searches_and_goes_on_in_one_stream(stack, prefix):
    async with stack() as s, s.client() as http:
        said = question("[[scenario=web-search]] the news", stream=True, tools=[SEARCH])
        answer = await http.post(f"{prefix}/messages", json=said)
        asked = await searches(s)
    assert answer.status_code == 200, answer.text
    names = names_of(answer.content)
    assert not check("anthropic", answer.content)
    assert (names.count("message_start"), names.count("message_stop")) == (1, 1)
    blocks = blocks_of(answer.content)
    assert [block["type"] for block in blocks] == ["text", "server_tool_use", "web_search_tool_result", "text"]
    assert blocks[1]["id"] == blocks[2]["tool_use_id"]
    assert FOUND in [result["url"] for result in blocks[2]["content"]]
    assert FOUND in text_of(answer.content)
    delta = events_of(answer.content)[-2]
    assert delta["delta"]["stop_reason"] == "end_turn"
    assert delta["usage"]["server_tool_use"]["web_search_requests"] == 1
    assert asked == ["/generateAssistantResponse", "/mcp", "/generateAssistantResponse"]


async def test_several_searches_end_at_the_uses_asked_for(stack):
    async with stack() as s, s.client() as http:
        said = question("[[scenario=web-search rounds=9]] the news", tools=[{**SEARCH, "max_uses": 2}])
        answer = await http.post("/v1/messages", json=said)
        asked = await searches(s)
    message = answer.json()
    assert message["stop_reason"] == "end_turn"
    assert message["usage"]["server_tool_use"]["web_search_requests"] == asked.count("/mcp") == 2
    results = [block["content"] for block in message["content"] if block["type"] == "web_search_tool_result"]
    assert [isinstance(result, list) for result in results[:2]] == [True, True]
    assert results[2]["error_code"] == "max_uses_exceeded"


async def test_claude_codes_search_is_answered_without_a_generation(stack):
    async with stack() as s, s.client() as http:
        said = question("Perform a web search for the query: go release", stream=True, tools=[SEARCH])
        answer = await http.post("/v1/messages", json=said)
        asked = await searches(s)
    assert asked == ["/mcp"]
    types = [block["type"] for block in blocks_of(answer.content)]
    assert types == ["server_tool_use", "web_search_tool_result", "text"]
    assert FOUND in text_of(answer.content)


@pytest.mark.parametrize(
    ("control", "code"),
    [("status=429", "too_many_requests"), ("search=rpc-error", "unavailable"), ("search=broken", "unavailable")],
)
async def test_a_search_that_fails_is_told_and_the_answer_goes_on(stack, control, code):
    async with stack() as s, s.client() as http:
        said = f'[[scenario=web-search input={{"query": "[[{control}]] news"}}]] the news'
        answer = await http.post("/v1/messages", json=question(said, tools=[SEARCH]))
    message = answer.json()
    (result,) = [block["content"] for block in message["content"] if block["type"] == "web_search_tool_result"]
    assert (result["type"], result["error_code"]) == ("web_search_tool_result_error", code)
    assert message["content"][-1]["type"] == "text"
    assert message["stop_reason"] == "end_turn"


async def test_a_refused_token_is_refreshed_for_a_search_too(stack):
    async with stack() as s, s.client() as http:
        await http.post("/v1/messages", json=question())
        s.simulator.expire_access_tokens()
        said = question("Perform a web search for the query: go release", tools=[SEARCH])
        message = (await http.post("/v1/messages", json=said)).json()
    (result,) = [block["content"] for block in message["content"] if block["type"] == "web_search_tool_result"]
    assert isinstance(result, list), result


@pytest.mark.parametrize("flavour", ["rpc", "runtime"])
async def test_every_flavour_searches(stack, flavour):
    async with stack(upstream={"flavour": flavour}) as s, s.client() as http:
        said = question("[[scenario=web-search]] the news", tools=[SEARCH])
        message = (await http.post("/v1/messages", json=said)).json()
    (result,) = [block["content"] for block in message["content"] if block["type"] == "web_search_tool_result"]
    assert isinstance(result, list), result


CHAT, RESPONSES = "/chat/completions", "/responses"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
PARAMETERS = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}


def chat_pieces(body: bytes) -> list[str]:
    """The pieces of a Chat stream's content."""
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n") if line.startswith("data: {")]
    deltas = [choice["delta"] for line in lines for choice in orjson.loads(line)["choices"]]
    return [delta["content"] for delta in deltas if delta.get("content")]


@pytest.mark.parametrize(("prefix", "stream"), [("/v1", True), ("/cc/v1", True), ("/v1", False)])
async def test_chat_gets_nothing_but_the_json_where_the_model_searches_first(stack, prefix, stream):
    asked = {
        "model": "claude-sonnet-4-5",
        "messages": [{"role": "user", "content": "[[scenario=web-search]] the news"}],
        "web_search_options": {},
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}},
        "stream": stream,
    }
    async with stack() as s, s.client() as http:
        answer = await http.post(prefix + CHAT, json=asked)
        paths = await searches(s)
    assert answer.status_code == 200, answer.text
    assert paths == ["/generateAssistantResponse", "/mcp", "/generateAssistantResponse"]
    content = "".join(chat_pieces(answer.content)) if stream else answer.json()["choices"][0]["message"]["content"]
    assert isinstance(orjson.loads(content)["a"], int), content
    assert b'"error"' not in answer.content


@pytest.mark.parametrize("path", [CHAT, RESPONSES])
@pytest.mark.parametrize("stream", [True, False])
async def test_openai_clients_pay_for_no_search_beside_a_call_of_their_own(stack, path, stream):
    said = "[[scenario=parallel-tools]] x"
    function = {"name": "run", "description": "Runs a command.", "parameters": PARAMETERS}
    asked: dict[str, Any] = {"model": "claude-sonnet-4-5", "stream": stream}
    if path == CHAT:
        asked["messages"] = [{"role": "user", "content": said}]
        asked |= {"tools": [{"type": "function", "function": function}], "web_search_options": {}}
    else:
        asked |= {"input": said, "tools": [{"type": "function", **function}, {"type": "web_search"}]}
    async with stack() as s, s.client() as http:
        answer = await http.post("/v1" + path, json=asked)
        paths = await searches(s)
    assert answer.status_code == 200, answer.text
    assert paths == ["/generateAssistantResponse"], "what it finds never reaches the model"
    assert '"run"' in answer.text
    assert "web_search_call" not in answer.text


@asynccontextmanager
async def page(content: bytes) -> AsyncIterator[str]:
    """A web server with one page; gives its address."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            http = h11.Connection(h11.SERVER)
            while (event := http.next_event()) is h11.NEED_DATA or not isinstance(event, h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    http.receive_data(await stream.receive_some(4096))
            headers = [("content-type", "text/plain"), ("content-length", str(len(content))), ("connection", "close")]
            await stream.send_all(
                (http.send(h11.Response(status_code=200, headers=headers)) or b"")
                + (http.send(h11.Data(data=content)) or b"")
                + (http.send(h11.EndOfMessage()) or b"")
            )

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}/notes.txt"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("allowed", ["127.0.0.0/8", ""])
async def test_a_page_is_fetched_unless_it_lies_in_a_private_network(stack, allowed):
    async with page(b"The harbour opens at six.") as url, stack(fetch={"allow_networks": allowed}) as s:
        async with s.client() as http:
            said = f'[[scenario=tools tool=web_fetch input={{"url": "{url}"}}]] what does it say?'
            answer = await http.post("/v1/messages", json=question(said, stream=True, tools=[FETCH]))
    (result,) = [block for block in blocks_of(answer.content) if block["type"] == "web_fetch_tool_result"]
    if allowed:
        assert result["content"]["content"]["source"]["data"] == "The harbour opens at six."
        assert "harbour" in text_of(answer.content), "the model was told the text"
        cited = [e["delta"] for e in events_of(answer.content) if e.get("delta", {}).get("type") == "citations_delta"]
        assert [delta["citation"]["url"] for delta in cited] == [url]
    else:
        assert result["content"]["error_code"] in ("url_not_allowed", "url_not_accessible")
        assert "harbour" not in answer.text
