"""The JavaScript SDKs, from the npm registry: Anthropic's, OpenAI's, and the AI SDK with both of its providers."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest
from support.real_clients import INSTALLED, PROGRAMS, ensure_installed, run
from support.stack import KEY, running

SCRIPTS = Path(__file__).parent / "js"

pytestmark = [pytest.mark.client, pytest.mark.timeout(300, func_only=True)]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    ensure_installed()
    # Modules are looked for from where the importing file lies.
    shutil.copytree(SCRIPTS, INSTALLED / "js", dirs_exist_ok=True)


@pytest.fixture(params=["", "/cc"], ids=["live", "buffered"])
def prefix(request):
    return request.param


async def told_by(script: str, folder: Path, prefix: str) -> tuple[Any, list[str]]:
    """What a script printed, and the bodies that reached the upstream meanwhile."""
    async with running(folder) as s:
        outcome = await run(
            [PROGRAMS / "node", INSTALLED / "js" / script], folder, {"BASE_URL": s.url + prefix, "KEY": KEY}
        )
        return orjson.loads(outcome.ok()), await s.sent()


def holding(sent: list[str], result: str) -> int:
    """How many of the bodies tell the upstream what a tool answered."""
    return sum(f'"{result}"' in body for body in sent)


async def test_the_anthropic_sdk(tmp_path, prefix):
    told, sent = await told_by("anthropic_sdk.mjs", tmp_path, prefix)
    stream = told["stream"]
    assert stream["joined"]
    assert stream["joined"] == stream["text"]
    assert stream["stop"] == "end_turn"
    assert stream["input"] > 0
    assert told["plain"]["text"]
    assert told["tools"]["stop"] == "tool_use"
    assert told["tools"]["text"]
    assert holding(sent, "SUNNY-77") == 1, "the tool's result did not reach the upstream"
    assert {"server_tool_use", "web_search_tool_result", "text"} <= set(told["search"]["kinds"])
    assert told["search"]["requests"] == 1
    assert told["error"] == {"own": True, "status": 429}


async def test_the_openai_sdk(tmp_path, prefix):
    told, sent = await told_by("openai_sdk.mjs", tmp_path, prefix)
    assert told["chat"]["joined"]
    assert told["chat"]["joined"] == told["chat"]["text"]
    assert told["chat"]["finish"] == "stop"
    assert told["chat"]["tokens"] > 0
    assert told["chat_tools"]["finish"] == "tool_calls"
    assert told["chat_tools"]["text"]
    assert holding(sent, "SUNNY-77") == 1, "the tool's result in Chat Completions did not reach the upstream"
    assert told["parsed"] == {"answer": "olleh", "n": 5}
    assert (told["responses"]["first"], told["responses"]["last"]) == ("response.created", "response.completed")
    assert told["responses"]["items"] == ["reasoning", "message"]
    assert told["responses"]["text"]
    assert told["continued"]["status"] == "completed"
    assert told["continued"]["text"]
    assert holding(sent, "RAINY-88") == 1, "the tool's result in Responses did not reach the upstream"
    assert told["error"] == {"own": True, "code": "insufficient_quota"}


async def test_the_ai_sdk_with_each_provider(tmp_path, prefix):
    told, sent = await told_by("ai_sdk.mjs", tmp_path, prefix)
    assert set(told) == {"anthropic", "chat", "responses"}
    for name, seen in told.items():
        assert seen["joined"], name
        assert seen["finish"] == "stop", name
        assert seen["tokens"] > 0, name
        assert seen["plain"], name
        assert seen["steps"] == 2, f"{name}: the tool's round trip took {seen['steps']} steps"
        assert seen["results"] == [f"SUNNY-{name}"], name
        assert holding(sent, f"SUNNY-{name}") == 1, f"{name}: the tool's result did not reach the upstream"
        assert seen["last"], name
        assert seen["shaped"] == {"answer": "olleh", "n": 5}, name
