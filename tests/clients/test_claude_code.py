"""Claude Code itself, from its package, against the gateway with the simulator behind it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import orjson
import pytest
import trio
from support.stack import KEY, running

ROOT = Path(__file__).parents[2]
CLAUDE = ROOT / ".clients/node_modules/.bin/claude"
NODE = ROOT / ".clients/node_modules/.bin"

pytestmark = [pytest.mark.client, pytest.mark.timeout(300)]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    result = subprocess.run([ROOT / "scripts/clients"], capture_output=True, text=True, timeout=280)
    if result.returncode == 3:
        pytest.skip(result.stdout.strip())
    assert result.returncode == 0, result.stdout + result.stderr


async def claude(folder: Path, base_url: str, prompt: str, *options: str, **environment: str) -> str:
    """Run `claude -p` in an empty home and give what it printed."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    variables = {
        "PATH": f"{NODE}:{os.environ['PATH']}",
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_AUTH_TOKEN": KEY,
        "ANTHROPIC_MODEL": "claude-sonnet-4.5",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",
        **environment,
    }
    with trio.fail_after(120):
        result = await trio.run_process(
            [CLAUDE, "-p", prompt, *options],
            env=variables,
            cwd=folder,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    output = result.stdout.decode()
    assert result.returncode == 0, f"claude exited with {result.returncode}: {output}\n{result.stderr.decode()}"
    return output


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
