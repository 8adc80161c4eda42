"""Codex, OpenCode, Aider, Qwen Code and GitHub Copilot CLI, from their packages, as `kirotrio launch` starts them.

Each is asked something in words, and to use a tool: the shell's output, or the edited file, must come about.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from support.real_clients import INSTALLED, PROGRAMS, Outcome, ensure_installed, run
from support.stack import KEY, Stack, running

from kirotrio.cli.clients import CLIENTS, Target

MODEL = "claude-sonnet-4.5"

pytestmark = [pytest.mark.client, pytest.mark.timeout(500, func_only=True)]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    ensure_installed()


@pytest.fixture(params=["", "/cc"], ids=["live", "buffered"])
def prefix(request):
    return request.param


async def launched(stack: Stack, prefix: str, folder: Path, name: str, *words: str, **more: Any) -> Outcome:
    """Run a client with what `kirotrio launch` would give it."""
    client, target = CLIENTS[name], Target(stack.url + prefix, KEY, MODEL)
    environment = {client.key: KEY, **client.variables(target), **more.pop("environment", {})}
    program = INSTALLED / "aider/bin/aider" if name == "aider" else PROGRAMS / client.program
    return await run([program, *client.arguments(target), *words], folder, environment, patience=150, **more)


async def sent_by(stack: Stack) -> str:
    return orjson.dumps([r for r in await stack.requests() if "generateAssistantResponse" in r["path"]]).decode()


def calling(tool: str, **arguments: Any) -> str:
    """The control that makes the simulated model call a tool; blanks are escaped, since clients fold them."""
    written = orjson.dumps(arguments).decode().replace(" ", "\\u0020")
    return f"[[scenario=tools tool={tool} input={written}]] run it"


SHELL = "echo kiro-$((40+2)); sleep 1"
"""Qwen loses what a command writes at the moment of its end, on a busy machine."""


class TestCodex:
    async def test_a_question_gets_an_answer(self, tmp_path, prefix):
        async with running(tmp_path) as s:
            outcome = await launched(
                s, prefix, tmp_path, "codex", "exec", "--skip-git-repo-check", "[[text=marmalade]] hello"
            )
        assert "marmalade" in outcome.ok(), outcome

    async def test_a_shell_round_trip_completes(self, tmp_path, prefix):
        options = ("exec", "--skip-git-repo-check", "-s", "danger-full-access")
        async with running(tmp_path) as s:
            outcome = await launched(s, prefix, tmp_path, "codex", *options, calling("exec_command", cmd=SHELL))
            sent = await sent_by(s)
        outcome.ok()
        assert "kiro-42" in sent, f"the command's output did not reach the upstream\n{outcome}"

    async def test_a_used_up_subscription_is_told_and_not_asked_again_and_again(self, tmp_path):
        async with running(tmp_path) as s:
            outcome = await launched(
                s, "", tmp_path, "codex", "exec", "--skip-git-repo-check", "[[status=MONTHLY_REQUEST_COUNT]] x"
            )
            asked = [r for r in await s.requests() if "generateAssistantResponse" in r["path"]]
        assert outcome.code != 0
        assert len(asked) == 1, f"{len(asked)} calls for one that cannot succeed"


class TestOpenCode:
    @pytest.fixture(params=["@ai-sdk/anthropic", "@ai-sdk/openai-compatible", "@ai-sdk/openai"])
    def environment(self, request):
        """The configuration of `launch`, for each of the three packages through which it can speak to us."""

        def change(stack: Stack, prefix: str) -> dict[str, str]:
            target = Target(stack.url + prefix, KEY, MODEL)
            config = orjson.loads(CLIENTS["opencode"].variables(target)["OPENCODE_CONFIG_CONTENT"])
            config["provider"]["kirotrio"]["npm"] = request.param
            return {"OPENCODE_CONFIG_CONTENT": orjson.dumps(config).decode()}

        return change

    async def test_a_question_gets_an_answer(self, tmp_path, environment):
        async with running(tmp_path) as s:
            outcome = await launched(
                s, "", tmp_path, "opencode", "run", stdin=b"[[text=marmalade]] hello", environment=environment(s, "")
            )
        assert "marmalade" in outcome.ok(), outcome

    async def test_a_shell_round_trip_completes(self, tmp_path, environment):
        async with running(tmp_path) as s:
            outcome = await launched(
                s,
                "",
                tmp_path,
                "opencode",
                "run",
                stdin=calling("bash", command=SHELL, description="x").encode(),
                environment=environment(s, ""),
            )
            sent = await sent_by(s)
        outcome.ok()
        assert "kiro-42" in sent, f"the command's output did not reach the upstream\n{outcome}"

    async def test_the_buffered_mode(self, tmp_path):
        async with running(tmp_path) as s:
            outcome = await launched(s, "/cc", tmp_path, "opencode", "run", stdin=b"[[text=marmalade]] hello")
        assert "marmalade" in outcome.ok(), outcome


async def test_aider_edits_a_file(tmp_path, prefix):
    ensure_installed("aider")
    edited = tmp_path / "a.txt"
    edited.write_text("honey\n")
    options = (
        "--yes-always --no-check-update --analytics-disable --no-show-model-warnings --no-git --no-stream"
        if prefix
        else "--yes-always --no-check-update --analytics-disable --no-show-model-warnings --no-git"
    ).split()
    answer = orjson.dumps("a.txt\n```\nmarmalade\n```\n").decode()
    async with running(tmp_path) as s:
        outcome = await launched(
            s, prefix, tmp_path, "aider", *options, "--message", f"[[text={answer}]] change it", "a.txt"
        )
    outcome.ok()
    assert edited.read_text() == "marmalade\n", outcome


class TestQwen:
    async def test_a_question_gets_an_answer(self, tmp_path, prefix):
        async with running(tmp_path) as s:
            outcome = await launched(s, prefix, tmp_path, "qwen", "[[text=marmalade]] hello")
        assert "marmalade" in outcome.ok(), outcome

    async def test_a_shell_round_trip_completes(self, tmp_path):
        async with running(tmp_path) as s:
            outcome = await launched(
                s, "", tmp_path, "qwen", "--yolo", calling("run_shell_command", command=SHELL, is_background=False)
            )
            sent = await sent_by(s)
        outcome.ok()
        assert "kiro-42" in sent, f"the command's output did not reach the upstream\n{outcome}"


class TestCopilot:
    async def test_a_question_gets_an_answer(self, tmp_path, prefix):
        async with running(tmp_path) as s:
            outcome = await launched(s, prefix, tmp_path, "copilot", "-p", "[[text=marmalade]] hello")
        assert "marmalade" in outcome.ok(), outcome

    async def test_a_shell_round_trip_completes(self, tmp_path, prefix):
        asked = ("-p", calling("bash", command=SHELL, description="x"), "--allow-all-tools")
        async with running(tmp_path) as s:
            outcome = await launched(s, prefix, tmp_path, "copilot", *asked)
            sent = await sent_by(s)
        outcome.ok()
        assert "kiro-42" in sent, f"the command's output did not reach the upstream\n{outcome}"
