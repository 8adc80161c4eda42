"""What a client demands of an answer, from socket to socket."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from support.sse import events_of, names_of, text_of
from support.stack import question

FORMAT = {
    "type": "json_schema",
    "schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
}
MODES = [("/v1", True), ("/cc/v1", True), ("/v1", False)]


def asking(answer: str, stream: bool, **changes: Any) -> dict[str, Any]:
    """A question that the simulated model answers with this text."""
    said = f"[[text={json.dumps(answer)}]] Say it"
    return question(said, stream=stream, **{"output_config": {"format": FORMAT}, **changes})


def said(answer: Any, stream: bool) -> str:
    return text_of(answer.content) if stream else answer.json()["content"][0]["text"]


@pytest.mark.parametrize(("prefix", "stream"), MODES)
@pytest.mark.parametrize("answer", ['{"a": 1}', '```json\n{"a": 1}\n```\n'], ids=["bare", "fenced"])
async def test_json_that_was_asked_for_arrives_bare(stack, prefix, stream, answer):
    async with stack() as s, s.client() as http:
        response = await http.post(f"{prefix}/messages", json=asking(answer, stream))
    assert response.status_code == 200, response.text
    assert said(response, stream) == '{"a": 1}'


@pytest.mark.parametrize(("prefix", "stream"), MODES)
async def test_json_of_another_form_is_an_error(stack, prefix, stream):
    async with stack() as s, s.client() as http:
        response = await http.post(f"{prefix}/messages", json=asking('{"a": "x"}', stream))
    if (prefix, stream) == ("/v1", True):
        assert response.status_code == 200, "a live answer has begun by the time it is known"
        assert names_of(response.content)[-1] == "error"
        error = events_of(response.content)[-1]["error"]
    else:
        assert response.status_code == 502
        error = response.json()["error"]
    assert error["type"] == "api_error"
    assert "$.a: must be of type integer" in error["message"]


async def test_a_schema_that_is_none_is_the_clients_mistake(stack):
    body = asking("{}", False, output_config={"format": {"type": "json_schema", "schema": {"type": "strin"}}})
    async with stack() as s, s.client() as http:
        response = await http.post("/v1/messages", json=body)
        assert not s.simulator.streams, "nothing is paid for"
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("output_config.format")


@pytest.mark.parametrize(("prefix", "stream", "answers"), [("/v1", True, 1), ("/cc/v1", True, 2), ("/v1", False, 2)])
async def test_repair_asks_once_more_where_nothing_has_left(stack, prefix, stream, answers):
    # Told what was wrong, the simulated model answers as it was asked to.
    async with stack(relay={"repair": True}) as s, s.client() as http:
        response = await http.post(f"{prefix}/messages", json=asking('{"a": "x"}', stream))
        assert len(s.simulator.streams) == answers
    assert response.status_code == 200
    assert ("event: error" in response.text) is (answers == 1), "live, the text has left and cannot be repaired"
    if not stream:
        assert isinstance(orjson.loads(response.json()["content"][0]["text"])["a"], int), response.text
