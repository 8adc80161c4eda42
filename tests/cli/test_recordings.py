"""`kirotrio replay`, `report` and `top` as a person runs them, beside a real gateway and simulator."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import trio
from support.desk import Desk, a_desk
from support.stack import KEY, Stack, question, running
from support.terminals import CTRL_C

from kirotrio.simulator import DEMO_REFRESH_TOKEN
from kirotrio.store.ring import entries

SAID = "Kanarienvogel 4711"


@asynccontextmanager
async def beside(tmp_path: Path, **sections: Any) -> AsyncIterator[tuple[Stack, Desk]]:
    """A gateway that records, and a desk in whose data folder it lies."""
    async with a_desk(tmp_path) as desk, running(tmp_path / "data", recorder={"requests": 9, **sections}) as stack:
        given = {"KIROTRIO_API_KEY": KEY, "KIROTRIO_PORT": str(stack.port)}
        yield stack, attrs.evolve(desk, environ={**desk.environ, **given})


async def ask(stack: Stack, text: str = SAID, **changes: Any) -> str:
    """The id of its recording, once that is there."""
    async with stack.client() as http:
        answer = await http.post("/v1/messages", json=question(text, **changes))
    wanted = answer.headers["request-id"]
    with trio.fail_after(10):
        folder = stack.surroundings.data_dir / "recorder"
        while wanted not in [one.id for one in entries(folder)]:  # noqa: ASYNC110 - a thread's work has no event
            await trio.sleep(0.01)
    return wanted


async def test_replay_lists_compares_and_sends(tmp_path: Path) -> None:
    async with beside(tmp_path, texts="keep") as (stack, desk):
        wanted = await ask(stack, stream=True)
        listed = await desk.run("replay")
        assert wanted in listed.stdout.decode()
        same = await desk.run("replay", wanted[:12])
        assert (same.returncode, same.stdout) == (0, b"the same\n"), same
        assert len(stack.asked()) == 1, "nobody was asked"
        sent = await desk.run("replay", wanted, "--send", "--show")
        assert len(stack.asked()) == 2
        assert "message_stop" in sent.stdout.decode(), sent
        (entry,) = [one for one in entries(stack.surroundings.data_dir / "recorder") if one.id == wanted]
        told = json.loads(entry.path.read_text())
        told["answer"]["body"] = told["answer"]["body"].replace("end_turn", "max_tokens")
        entry.path.write_text(json.dumps(told))
        other = await desk.run("replay", wanted)
        assert other.returncode == 1
        assert re.search(r'^-.*"stop_reason":"max_tokens"', other.stdout.decode(), re.MULTILINE)
        assert re.search(r'^\+.*"stop_reason":"end_turn"', other.stdout.decode(), re.MULTILINE)
        missing = await desk.run("replay", "req_none")
        assert (missing.returncode, b"there is no recording 'req_none'" in missing.stderr) == (1, True)


async def test_no_secret_of_any_kind_is_in_a_report(tmp_path: Path) -> None:
    secrets = {
        "KIROTRIO_ACCOUNTS_REFRESH_TOKEN": DEMO_REFRESH_TOKEN,
        "KIROTRIO_ACCOUNTS_CLIENT_SECRET": "canary-client-secret-1",
        "KIROTRIO_PROXY_URL": "http://user:canary-proxy-password@127.0.0.1:9",
        "KIROTRIO_UPSTREAM_NO_PROXY": "127.0.0.1",
        "KIROTRIO_DATABASE_URL": "",
        "KIROTRIO_ACCOUNTS_PROFILE_ARN": "arn:aws:codewhisperer:us-east-1:123456789012:profile/CANARY",
    }
    log = tmp_path / "gateway.log"
    log.write_text(f"a line with {KEY} and Bearer aoaAAAAAAAAAAAAAAAAAAAA:x and bob@example.org\n")
    async with beside(tmp_path) as (stack, desk):
        wanted = await ask(stack)
        for target, more in (("bundle", []), ("bundle.zip", ["--zip"])):
            done = await desk.run("report", wanted, "--out", target, "--log", str(log), *more, **secrets)
            assert done.returncode == 0, done
    assert "recordings/" in done.stdout.decode()
    folder = tmp_path / "bundle"
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(files) == {
        *("README.txt", "versions.json", "settings.json", "doctor.txt", "log.txt"),
        f"recordings/{wanted}.json",
    }
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        files |= {f"zip/{name}": archive.read(name).decode() for name in archive.namelist()}
    canaries = (KEY, DEMO_REFRESH_TOKEN, "canary-client-secret-1", "canary-proxy-password", "aoaAAAA", "bob@example")
    for name, text in files.items():
        for secret in (*canaries, "123456789012", SAID, "Kanarienvogel"):
            assert secret not in text, (secret, name)
        if name.endswith(".json"):
            json.loads(text)
    assert all(name in files["README.txt"] for name in ("versions.json", "settings.json", "doctor.txt", wanted))


async def test_a_report_writes_over_nothing(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    async with a_desk(tmp_path) as desk:
        done = await desk.run("report", "--offline", "--out", "mine")
    assert (done.returncode, b"nothing is written over" in done.stderr) == (1, True)
    assert list((tmp_path / "mine").iterdir()) == []


async def test_top_in_a_pipe_is_one_look(tmp_path: Path) -> None:
    async with beside(tmp_path) as (stack, desk), trio.open_nursery() as nursery:
        nursery.start_soon(ask, stack, "[[stall_after=1]]")
        await stack.wait_for_stream()
        text = (await desk.run("top")).stdout.decode()
        assert "1 running" in text
        assert "claude-sonnet-4-5" in text
        told = json.loads((await desk.run("top", "--json")).stdout)
        assert len(told["answers"]) == 1
        nursery.cancel_scope.cancel()
    async with a_desk(tmp_path) as lonely:
        gone = await lonely.run("top", "--url", "http://127.0.0.1:1", KIROTRIO_API_KEY=KEY)
    assert (gone.returncode, b"no gateway answers at http://127.0.0.1:1" in gone.stderr) == (1, True)


@pytest.mark.parametrize("way_out", ["q", CTRL_C])
async def test_top_in_a_terminal_follows_the_gateway_and_gives_the_terminal_back(tmp_path: Path, way_out: str) -> None:
    async with beside(tmp_path) as (stack, desk), desk.at("top", "--every", "0.1") as terminal:
        await terminal.until("0 running")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, stack, "[[stall_after=1]]")
            await terminal.until("answering")
            async with httpx.AsyncClient(trust_env=False) as http:
                told = (await http.get(f"{stack.url}/live", headers={"x-api-key": KEY})).json()
                await http.post(f"{stack.url}/live/{told['answers'][0]['id']}/cancel", headers={"x-api-key": KEY})
        terminal.raw = ""
        await terminal.until("0 running")
        stack.stop.ask()
        await terminal.until("no gateway answers")
        terminal.type(way_out)
        assert await terminal.end() == 0
        assert terminal.restored


async def test_top_draws_again_where_its_terminal_changes_size(tmp_path: Path) -> None:
    async with beside(tmp_path) as (_, desk), desk.at("top", "--every", "60") as terminal:
        await terminal.until("q ends")
        assert max(map(len, terminal.text.splitlines())) > 50
        terminal.raw = ""
        terminal.resize(30, 50)
        text = await terminal.until("q ends")  # the next look is a minute away
        assert "0 running" in text
        heading = [line for line in text.splitlines() if line.startswith("answers (0 failed, 0 broken off)")]
        assert [len(line) for line in heading[-1:]] == [50], f"the heading is broken to the new width: {text}"
        terminal.type("q")
        assert await terminal.end() == 0
        assert terminal.restored


async def test_top_goes_on_once_a_gateway_that_was_gone_is_back(tmp_path: Path) -> None:
    async with beside(tmp_path) as (stack, desk), desk.at("top", "--every", "0.1") as terminal:
        await terminal.until("0 running")
        stack.stop.ask()
        await terminal.until("no gateway answers")
        server = attrs.evolve(stack.settings.server, port=stack.port)
        await attrs.evolve(stack, settings=attrs.evolve(stack.settings, server=server)).another()
        with trio.fail_after(30):
            while "Looking again" in terminal.text or "0 running" not in terminal.text:
                terminal.raw = ""
                await terminal.until("q ends")
        terminal.type("q")
        assert await terminal.end() == 0
