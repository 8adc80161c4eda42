"""The simulated model in a loop with a tool, and the ways in which a simulated search fails."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simulated import Client, body, tool, user

from kirotrio.simulator import DEMO_ACCESS_TOKEN

SEARCH = tool("web_search", {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]})


def calls_of(answer: Any) -> list[str]:
    return list(dict.fromkeys(part["toolUseId"] for part in answer.of("toolUseEvent")))


def after(said: str, rounds: int) -> dict[str, Any]:
    """A conversation in which `rounds` calls have been answered."""
    history: list[Any] = [user(said)]
    for number in range(rounds):
        use = {"toolUseId": f"id-{number}", "name": "web_search", "input": {"query": "x"}}
        history.append({"assistantResponseMessage": {"content": "I look.", "toolUses": [use]}})
        told = [{"text": f"1. T https://x.example/{number}"}]
        result = {"toolUseId": f"id-{number}", "status": "success", "content": told}
        history.append(user("", userInputMessageContext={"toolResults": [result]}))
    current = history.pop()["userInputMessage"]
    return body(
        current["content"], history=history, tools=[SEARCH], results=current["userInputMessageContext"]["toolResults"]
    )


async def test_an_answer_that_has_its_result_names_what_was_found(client: Client) -> None:
    answer = await client.generate(after("[[scenario=web-search]] news", 1))
    assert calls_of(answer) == []
    assert "https://x.example/0" in answer.text


@pytest.mark.parametrize(("rounds", "answered", "calls"), [(2, 1, 1), (2, 2, 0), (3, 2, 1), (1, 1, 0)])
async def test_tools_are_called_as_often_as_asked(client: Client, rounds: int, answered: int, calls: int) -> None:
    answer = await client.generate(after(f"[[scenario=web-search rounds={rounds}]] news", answered))
    assert len(calls_of(answer)) == calls


async def test_a_later_call_searches_for_what_the_person_said(client: Client) -> None:
    answer = await client.generate(after("[[scenario=web-search rounds=2]] the news", 1))
    arguments = "".join(part.get("input", "") for part in answer.of("toolUseEvent"))
    assert json.loads(arguments) == {"query": "the news"}


async def search(client: Client, query: str) -> Any:
    parameters = {"name": "web_search", "arguments": {"query": query}}
    request = {"jsonrpc": "2.0", "id": "id-1", "method": "tools/call", "params": parameters}
    return (await client.post("/mcp", request, authorization=f"Bearer {DEMO_ACCESS_TOKEN}")).json()


async def test_a_search_can_find_nothing(client: Client) -> None:
    result = (await search(client, "[[search=empty]] x"))["result"]
    found = json.loads(result["content"][0]["text"])
    assert (found["results"], found["totalResults"], found["error"]) == ([], 0, None)


async def test_a_search_can_fail_in_every_way(client: Client) -> None:
    assert (await search(client, "[[search=rpc-error]] x"))["error"]["code"] == -32603
    assert (await search(client, "[[search=tool-error]] x"))["result"]["isError"] is True
    inner = (await search(client, "[[search=index-error]] x"))["result"]
    assert json.loads(inner["content"][0]["text"])["error"]
    broken = (await search(client, "[[search=broken]] x"))["result"]
    with pytest.raises(ValueError):
        json.loads(broken["content"][0]["text"])
