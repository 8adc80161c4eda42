"""LiteLLM (as Aider brings it) and LangChain, each in its own environment, against the three APIs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from support.real_clients import INSTALLED, ensure_installed, run
from support.stack import KEY, running

pytestmark = [pytest.mark.client, pytest.mark.timeout(500)]

LITELLM = """
import json, os
import litellm

told = {}
tools = [{"type": "function", "function": {"name": "get_weather", "description": "the weather",
    "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}}}]
ways = {
    "anthropic": {"model": "anthropic/claude-sonnet-4-5", "api_base": os.environ["BASE_URL"]},
    "openai": {"model": "openai/claude-sonnet-4.5", "api_base": os.environ["BASE_URL"] + "/v1"},
}
for name, way in ways.items():
    def ask(text, *following, **more):
        messages = [{"role": "user", "content": text}, *following]
        return litellm.completion(messages=messages, api_key=os.environ["KEY"], num_retries=0, **way, **more)

    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in ask("[[events=4]] hello", stream=True))
    calling = "[[scenario=tools tool=get_weather]] how is it?"
    called = ask(calling, tools=tools).choices[0]
    result = {"role": "tool", "tool_call_id": called.message.tool_calls[0].id, "content": "SUNNY-" + name}
    last = ask(calling, called.message, result, tools=tools).choices[0].message.content
    told[name] = {"text": ask("hello").choices[0].message.content, "streamed": streamed, "last": last,
        "finish": called.finish_reason, "call": called.message.tool_calls[0].function.name}
for name, way in ways.items():  # at the end: whoever was asked too often pauses
    try:
        litellm.completion(messages=[{"role": "user", "content": "[[status=USER_REQUEST_RATE_EXCEEDED]] x"}],
            api_key=os.environ["KEY"], num_retries=0, **way)
        told[name]["error"] = ""
    except litellm.RateLimitError:
        told[name]["error"] = "rate limit"
print(json.dumps(told))
"""

LANGCHAIN = """
import json, os
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

class Out(BaseModel):
    "The answer."
    answer: str
    n: int

@tool
def get_weather(place: str) -> str:
    "The weather of a place."
    return "SUNNY-77"

url, key = os.environ["BASE_URL"], os.environ["KEY"]
openai = dict(base_url=url + "/v1", api_key=key, model="claude-sonnet-4.5", max_retries=0)
models = {
    "anthropic": ChatAnthropic(base_url=url, api_key=key, model="claude-sonnet-4-5", max_tokens=2000, max_retries=0),
    "chat": ChatOpenAI(**openai),
    "responses": ChatOpenAI(**openai, use_responses_api=True),
}
told = {}
for name, model in models.items():
    streamed = "".join(chunk.text for chunk in model.stream("[[events=4]] hello"))
    asked = HumanMessage("[[scenario=tools tool=get_weather]] how is it?")
    bound = model.bind_tools([get_weather])
    call = bound.invoke([asked])
    result = ToolMessage("SUNNY-" + name, tool_call_id=call.tool_calls[0]["id"])
    last = bound.invoke([asked, call, result])
    shaped = model.with_structured_output(Out, method="json_schema").invoke(
        '[[text="{\\\\"answer\\\\": \\\\"olleh\\\\", \\\\"n\\\\": 5}"]] go'
    )
    told[name] = {"text": model.invoke("hello").text, "streamed": streamed, "call": call.tool_calls[0]["name"],
        "last": last.text, "shaped": shaped.model_dump()}
print(json.dumps(told))
"""


async def told_by(python: str, program: str, folder: Path) -> tuple[Any, list[str]]:
    """What a program printed last, and the bodies that reached the upstream meanwhile."""
    async with running(folder) as s:
        variables = {"BASE_URL": s.url, "KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        outcome = await run([INSTALLED / python / "bin/python", "-c", program], folder, variables)
        return orjson.loads(outcome.ok().strip().splitlines()[-1]), await s.sent()


def assert_told_once(sent: list[str], name: str) -> None:
    assert sum(f'"SUNNY-{name}"' in body for body in sent) == 1, f"{name}: the tool's result did not reach the upstream"


async def test_litellm(tmp_path):
    ensure_installed("aider")
    told, sent = await told_by("aider", LITELLM, tmp_path)
    for name, seen in told.items():
        assert seen["text"], name
        assert seen["streamed"], name
        assert (seen["finish"], seen["call"]) == ("tool_calls", "get_weather"), name
        assert seen["last"], name
        assert_told_once(sent, name)
        assert seen["error"] == "rate limit", name


async def test_langchain(tmp_path):
    ensure_installed("langchain")
    told, sent = await told_by("langchain", LANGCHAIN, tmp_path)
    assert set(told) == {"anthropic", "chat", "responses"}
    for name, seen in told.items():
        assert seen["text"], name
        assert seen["streamed"], name
        assert seen["call"] == "get_weather", name
        assert seen["last"], name
        assert_told_once(sent, name)
        assert seen["shaped"] == {"answer": "olleh", "n": 5}, name
