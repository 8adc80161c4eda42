"""Every call through mitmproxy, in each of its ways: an HTTP proxy, the same over TLS, a SOCKS5 server.

It opens every connection, as a company's proxy does, and so writes down every single request. Kiro's hosts have their
real names, which nobody but the proxy can reach (`support.far`).
"""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import attrs
import pytest
import trio
from support.far import FarService, far_away
from support.real_clients import INSTALLED, ensure_installed
from support.stack import question, running

from kirotrio.accounts.sign_in import SignInPlan, sign_in
from kirotrio.config.settings import Settings, UpstreamSettings
from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.client import Transport
from kirotrio.simulator import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_OIDC_REFRESH_TOKEN, Simulator

pytestmark = [pytest.mark.client, pytest.mark.timeout(600)]

USER, PASSWORD = "mé@home", "p/w%dü"  # mitmproxy takes no colon in a password
KINDS = ["http", "https", "socks5"]

ADDON = """
    import os

    class Far:
        def server_connect(self, data):
            data.server.address = ("127.0.0.1", int(os.environ["FAR_PORT"]))

        def request(self, flow):
            with open(os.environ["FAR_LOG"], "a") as log:
                print(flow.request.method, flow.request.pretty_url.partition("?")[0], file=log)

    addons = [Far()]
"""


@attrs.frozen
class Mitmproxy:
    kind: str
    port: int
    log: Path

    def url(self, password: str = PASSWORD) -> str:
        return f"{self.kind}://{quote(USER, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}"

    def asked(self) -> list[tuple[str, str]]:
        """Host and path of every request that it passed on."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        urls = [urlsplit(line.split(" ")[1]) for line in lines]
        return [(str(url.hostname), url.path) for url in urls]


@asynccontextmanager
async def mitmproxy(kind: str, far: FarService, folder: Path) -> AsyncIterator[Mitmproxy]:
    (folder / "addon.py").write_text(textwrap.dedent(ADDON))
    far.authority.cert_pem.write_to_path(str(folder / "far.pem"))
    options = {
        "confdir": folder,
        "listen_host": "127.0.0.1",
        "listen_port": 0,
        "proxyauth": f"{USER}:{PASSWORD}",
        "ssl_verify_upstream_trusted_ca": folder / "far.pem",
        "stream_large_bodies": 1,
    }
    command: list[str | Path] = [INSTALLED / "mitmproxy/bin/mitmdump", "-s", folder / "addon.py"]
    command += ["--mode", "socks5" if kind == "socks5" else "regular"]
    command += [part for name, value in options.items() for part in ("--set", f"{name}={value}")]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "FAR_PORT": str(far.where[1]),
        "FAR_LOG": str(folder / "log"),
    }
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        process: trio.Process = await nursery.start(run, command)
        said = b""
        with trio.fail_after(60):
            while (found := re.search(rb"listening at \S*:(\d+)", said)) is None:
                piece = await process.stdout.receive_some(65536)
                said += piece
                assert piece, f"mitmproxy ended:\n{said.decode()}"
        nursery.start_soon(drain, process.stdout)
        yield Mitmproxy(kind, int(found[1]), folder / "log")
        nursery.cancel_scope.cancel()


async def drain(stream: trio.abc.ReceiveStream) -> None:
    while await stream.receive_some(65536):
        pass


@pytest.fixture(params=KINDS)
async def proxied(request, tmp_path, monkeypatch) -> AsyncIterator[tuple[Mitmproxy, FarService]]:
    ensure_installed("mitmproxy")
    folder = tmp_path / "mitmproxy"
    folder.mkdir()
    async with far_away() as (far, nowhere, _), mitmproxy(request.param, far, folder) as proxy:
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "mitmproxy-ca-cert.pem"))
        yield proxy, far
        assert nowhere.asked == [], "a name was looked up on this side of the proxy"


class Agreeing:
    def code(self, *_: object) -> None: ...

    def browser(self, *_: object) -> None: ...

    def waiting(self, *_: object) -> None: ...

    async def choose_profile(self, profiles):
        return profiles[0]


def calls(simulator: Simulator) -> list[str]:
    return sorted(record.call.path.partition("?")[0] for record in simulator.ledger.requests)


@pytest.mark.parametrize("own", [False, True], ids=["settings", "account"])
async def test_a_sign_in_goes_through_it(proxied, own):
    proxy, far = proxied
    simulator = Simulator()
    simulator.sign_ins.interval, simulator.sign_ins.person.polls = 0.01, 0
    far.begin(simulator)
    upstream = UpstreamSettings(certificates="system", proxy_url="" if own else proxy.url())
    settings = Settings(upstream=upstream)
    plan = SignInPlan("identity-center", "device", start_url="https://d-1234567890.awsapps.com/start")
    async with Transport(upstream, settings.deadlines) as http:
        signed_in = await sign_in(plan, Agreeing(), http, settings, proxy_url=proxy.url() if own else None)
    assert signed_in.profile_arn
    assert sorted(path for _, path in proxy.asked()) == calls(simulator), "the proxy did not see every call"
    assert {"/client/register", "/device_authorization", "/token", "/ListAvailableProfiles"} <= set(calls(simulator))


async def test_everything_that_a_gateway_calls_goes_through_it(proxied, tmp_path):
    proxy, far = proxied
    upstream = {"url": "", "auth_url": "", "portal_url": "", "certificates": "system", "proxy_url": proxy.url()}
    account = {
        "refresh_token": DEMO_OIDC_REFRESH_TOKEN,
        "client_id": DEMO_CLIENT_ID,
        "client_secret": DEMO_CLIENT_SECRET,
    }
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 1}
    async with running(tmp_path, upstream=upstream, accounts=account) as s, s.client() as http:
        far.begin(s.simulator)
        answer = await http.post("/v1/messages", json=question(stream=True))
        assert answer.status_code == 200, answer.text
        assert (await http.get("/v1/models")).status_code == 200
        s.simulator.expire_access_tokens()
        said = question("[[scenario=web-search]] the news", tools=[search])
        assert "web_search_tool_result" in (await http.post("/v1/messages", json=said)).text
        asked = calls(s.simulator)
    assert {"/token", "/generateAssistantResponse", "/ListAvailableModels", "/mcp"} <= set(asked)
    assert sorted(path for _, path in proxy.asked()) == asked, "the proxy did not see every call"


async def test_a_wrong_password_is_said(proxied):
    proxy, far = proxied
    far.begin(Simulator())
    upstream = UpstreamSettings(certificates="system", proxy_url=proxy.url("secret-word"))
    async with Transport(upstream, Settings().deadlines) as http:
        with pytest.raises(UpstreamFailed, match="refuses the user and password") as raised:
            await http.call("GET", "https://q.us-east-1.amazonaws.com/ListAvailableModels", deadline=10)
    assert "secret-word" not in raised.value.message
    assert not far.hosts
