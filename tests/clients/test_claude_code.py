"""Claude Code itself, from its package, against the gateway with the simulator behind it."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from support.real_clients import PROGRAMS, ensure_installed, run
from support.stack import KEY, running

pytestmark = [pytest.mark.client, pytest.mark.timeout(300, func_only=True)]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    ensure_installed()


async def claude(folder: Path, base_url: str, prompt: str, *options: str, **environment: str) -> str:
    """Run `claude -p` in an empty home and give what it printed."""
    variables = {
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": KEY,
        "ANTHROPIC_MODEL": "claude-sonnet-4.5",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
        **environment,
    }
    return (await run([PROGRAMS / "claude", "-p", prompt, *options], folder, variables)).ok()


@pytest.mark.parametrize("prefix", ["", "/cc"])
@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "claude-opus-5-5"])
async def test_a_question_gets_an_answer(tmp_path, prefix, model):
    async with running(tmp_path) as stack:
        said = await claude(tmp_path, stack.url + prefix, "[[events=3]] say the word marmalade", ANTHROPIC_MODEL=model)
        asked = [r for r in await stack.requests() if "generateAssistantResponse" in r["path"]]
    assert said.strip(), "claude printed nothing"
    assert "API Error" not in said
    assert asked, "the answer did not come through the gateway"


@pytest.mark.parametrize("prefix", ["", "/cc"])
async def test_a_bash_round_trip_completes(tmp_path, prefix):
    control = '[[scenario=tools tool=Bash input={"command":"echo\\u0020kiro-$((40+2))"}]]'
    async with running(tmp_path) as stack:
        said = await claude(
            tmp_path, stack.url + prefix, f"{control} run it", "--allowedTools", "Bash", "--output-format", "json"
        )
        sent = orjson.dumps(await stack.requests()).decode()
    assert "kiro-42" in sent, "the tool's output did not reach the upstream"
    assert not orjson.loads(said)["is_error"], said


@pytest.mark.parametrize("prefix", ["", "/cc"])
async def test_a_web_search_is_answered_with_what_was_found(tmp_path, prefix):
    control = '[[scenario=tools tool=WebSearch input={"query":"harbour\\u0020weather"}]]'
    async with running(tmp_path) as stack:
        said = await claude(
            tmp_path,
            stack.url + prefix,
            f"{control} look it up",
            "--allowedTools",
            "WebSearch",
            "--output-format",
            "json",
            ENABLE_TOOL_SEARCH="false",  # or the tool would have to be found first
        )
        requests = await stack.requests()
    searches = [r for r in requests if r["path"].endswith("/mcp")]
    assert [r["body"]["params"]["arguments"] for r in searches] == [{"query": "harbour weather"}]
    assert "https://" in orjson.dumps(requests[-1]["body"]).decode(), "what was found did not come back to the model"
    told = orjson.loads(said)
    assert not told["is_error"], said
    assert sum(model["webSearchRequests"] for model in told["modelUsage"].values()) == 1, said
