"""`kirotrio accounts import` as a process, against the simulator, over real sockets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from support.servers import server

from kirotrio.config.settings import SimulatorSettings, StoreSettings
from kirotrio.simulator import (
    DEMO_API_KEY,
    DEMO_REFRESH_TOKEN,
    Simulator,
)
from kirotrio.simulator.accounts import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_OIDC_REFRESH_TOKEN
from kirotrio.store.accounts import all_accounts
from kirotrio.store.migrate import open_store
from kirotrio.store.vault import open_vault

NOWHERE = "http://127.0.0.1:1"
SOCIAL = {"refreshToken": DEMO_REFRESH_TOKEN, "authMethod": "social", "provider": "Google"}
BUILDER_ID = {
    "refresh_token": DEMO_OIDC_REFRESH_TOKEN,
    "client_id": DEMO_CLIENT_ID,
    "client_secret": DEMO_CLIENT_SECRET,
    "provider": "BuilderId",
}
ACCOUNTS = [{"nickname": "work", "credentials": SOCIAL}, BUILDER_ID, {"kiroApiKey": DEMO_API_KEY}]
DOCUMENT = {"version": 1, "accounts": ACCOUNTS}


@attrs.define
class Desk:
    simulator: Simulator
    environ: dict[str, str]
    home: Path

    async def run(self, *arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        with trio.fail_after(60):
            return await trio.run_process(
                [sys.executable, "-m", "kirotrio", "accounts", *arguments],
                stdin=stdin,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
                env={**self.environ, **environ},
                cwd=self.home,
            )

    async def report(self, *arguments: str, code: int = 0, **how: Any) -> list[tuple[str, str]]:
        """Outcome and account of each entry."""
        done = await self.run("import", "--json", *arguments, **how)
        assert done.returncode == code, (done.stdout + done.stderr).decode()
        return [(entry["outcome"], entry["account"]) for entry in json.loads(done.stdout)["entries"]]

    def calls(self, *paths: str) -> int:
        """How often any of these was called."""
        return sum(request.call.path in paths for request in self.simulator.ledger.requests)


@asynccontextmanager
async def desk(home: Path) -> AsyncIterator[Desk]:
    simulator = Simulator(SimulatorSettings())
    async with trio.open_nursery() as nursery:
        port = await nursery.start(simulator.serve, "127.0.0.1", 0)
        upstream = port if isinstance(port, str) else f"http://127.0.0.1:{port}"
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": os.getcwd(),
            "KIROTRIO_DATA_DIR": str(home / "data"),
            "KIROTRIO_UPSTREAM_URL": upstream,
            "KIROTRIO_AUTH_URL": upstream,
            "KIROTRIO_STORE_KEY_SOURCE": "file",
        }
        yield Desk(simulator, environ, home)
        nursery.cancel_scope.cancel()


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


async def test_accounts_are_imported_once_checked_and_usable(tmp_path: Path) -> None:
    write(tmp_path / "doc.json", DOCUMENT)
    async with desk(tmp_path) as here:
        first = await here.report("doc.json")
        assert [outcome for outcome, _ in first] == ["imported"] * 3
        assert first[0][1] == "work"
        names = [name for _, name in first]
        assert await here.report("doc.json") == [("already_there", name) for name in names]
        assert here.calls("/refreshToken", "/token") == 2, "a sign-in was refreshed more than once"
        # The rotated token is the one that was kept: with it the account answers.
        here.simulator.book.expire_access_tokens()
        done = await here.run("test", "work")
        assert done.returncode == 0, done.stderr.decode()


async def test_the_table_and_the_exit_code(tmp_path: Path) -> None:
    write(tmp_path / "doc.json", [SOCIAL, {"refreshToken": "cut..."}])
    async with desk(tmp_path) as here:
        done = await here.run("import", "doc.json")
    assert done.returncode == 1
    heading, good, bad, summary = done.stdout.decode().splitlines()
    assert heading.split() == ["outcome", "account", "kind", "from", "detail"]
    assert good.startswith("imported")
    assert "Kiro accepts it" in good
    assert bad.startswith("refused")
    assert "doc.json: [1].refreshToken" in bad
    assert summary == "1 imported, 1 refused"
    assert DEMO_REFRESH_TOKEN[:40] not in done.stdout.decode()
    assert "\x1b" not in done.stdout.decode()


async def test_a_dry_run_leaves_nothing_behind(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        lines = "\n".join(map(json.dumps, ACCOUNTS))
        done = await here.report("-", "--dry-run", stdin=lines.encode())
        assert [outcome for outcome, _ in done] == ["imported"] * 3
        assert here.calls("/refreshToken", "/token") == 0, "a dry run rotated a token"
    assert not (tmp_path / "data").exists()


async def test_without_an_argument_the_known_places_are_followed(tmp_path: Path) -> None:
    token = tmp_path / ".aws/sso/cache/kiro-auth-token.json"
    before = write(token, SOCIAL).read_bytes()
    async with desk(tmp_path) as here:
        assert await here.report() == [("imported", "Google")]
        assert await here.report("ide") == [("already_there", "Google")]
        assert not here.simulator.ledger.requests
    assert token.read_bytes() == before, "tokens that are followed were touched"


async def test_nothing_to_be_found_says_what_to_run(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        done = await here.run("import")
    assert done.returncode == 1
    assert "kirotrio login" in done.stdout.decode()


async def test_a_network_that_is_away_does_not_refuse_an_account(tmp_path: Path) -> None:
    write(tmp_path / "doc.json", SOCIAL)
    async with desk(tmp_path) as here:
        done = await here.run("import", "doc.json", KIROTRIO_AUTH_URL=NOWHERE, KIROTRIO_UPSTREAM_URL=NOWHERE)
        assert done.returncode == 0, done.stdout.decode()
        assert "not checked" in done.stdout.decode()
        assert not here.simulator.ledger.requests


async def test_wrong_usage(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        assert (await here.run("import", "--nonsense")).returncode == 2
        assert (await here.run("import", "--help")).returncode == 0


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
async def test_ctrl_c_while_a_token_is_rotated_keeps_its_successor(tmp_path: Path) -> None:
    write(tmp_path / "doc.json", [{**SOCIAL, "name": "work"}])
    successor = "aorSuccessor" + "0123456789" * 12
    rotated, finish = trio.Event(), trio.Event()

    async def service(stream: trio.abc.Stream) -> None:
        """Rotates, and answers when it is told to; everything else is never answered."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        if b"/refreshToken" not in head:
            await trio.sleep_forever()
        rotated.set()
        await finish.wait()
        body = json.dumps({"accessToken": "aoaNew", "refreshToken": successor, "expiresIn": 3600}).encode()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
        await trio.sleep_forever()

    async with desk(tmp_path) as here, server(service) as (port, _):
        url = f"http://127.0.0.1:{port}"
        environ = {**here.environ, "KIROTRIO_UPSTREAM_URL": url, "KIROTRIO_AUTH_URL": url}
        command = [sys.executable, "-m", "kirotrio", "accounts", "import", "doc.json"]
        with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
            process = await trio.lowlevel.open_process(command, env=environ, cwd=tmp_path, stdout=out, stderr=err)
        try:
            with trio.fail_after(60):
                await rotated.wait()
                process.send_signal(signal.SIGINT)
                finish.set()
                await process.wait()
        finally:
            process.kill()
    said, wrong = (tmp_path / "out").read_text(), (tmp_path / "err").read_text()
    assert process.returncode == 130, wrong
    assert "Traceback" not in wrong
    assert "1 imported" in said, "what was kept is not told"
    assert kept_tokens(tmp_path / "data") == [successor], "the rotated token was lost"


def kept_tokens(folder: Path) -> list[str]:
    database = open_store("", folder, deadline=5)
    try:
        vault = open_vault(database, StoreSettings(key_source="file"), folder)
        return [record.secrets.refresh_token for record in database.reading(lambda c: all_accounts(c, vault))]
    finally:
        database.close()
