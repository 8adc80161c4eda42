"""Simulator and gateway together over real sockets, as a person would run them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import orjson
import trio
from support.several import Kept, asked, keep

from kirotrio.accounts.cooldowns import Cooldown
from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.sources.places import Places
from kirotrio.config.settings import Settings, SimulatorSettings
from kirotrio.simulator import DEMO_REFRESH_TOKEN, Simulator, State, StreamRecord
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.gateway import Gateway
from kirotrio.web.server import Server
from kirotrio.web.serving import Stop, Surroundings, serve_gateway

KEY = "sk-kt-a-key-for-tests-only"
UNHURRIED = {"begin_after": 600.0, "keepalive_live": 600.0, "keepalive_buffered": 600.0}
"""Nothing leaves before the upstream has spoken, however slow the machine is: a refusal is an HTTP status."""


@attrs.define
class Stack:
    """A running pair. `nursery` is the tests' own; `url` is the gateway's base URL, `upstream` the simulator's."""

    url: str
    upstream: str
    simulator: Simulator
    log: RecordingLog
    stop: Stop
    server: Server
    gateway: Gateway
    nursery: trio.Nursery
    settings: Settings
    surroundings: Surroundings

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def client(self, **options: Any) -> httpx.AsyncClient:
        headers = {"x-api-key": KEY, **options.pop("headers", {})}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False, **options)

    async def streams(self) -> list[dict[str, Any]]:
        """What the simulator says of its streams."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            return list((await http.get(f"{self.upstream}/_sim/streams")).json())

    async def wait_for_stream(self) -> None:
        """Until the upstream has been asked to generate."""
        with trio.fail_after(10):
            await self.simulator.ledger.until(lambda ledger: bool(ledger.streams))

    async def wait_for_closed_stream(self) -> StreamRecord:
        """The first stream that the gateway closed before its end; fails where none is within ten seconds."""

        def closed() -> list[StreamRecord]:
            return [stream for stream in self.simulator.streams if stream.state is State.CLOSED_BY_PEER]

        with trio.fail_after(10):
            await self.simulator.ledger.until(lambda _: bool(closed()))
        return closed()[0]

    async def wait_for_request(self) -> None:
        """Until a request has been taken, its body perhaps still on the way."""
        with trio.fail_after(10):
            while not len(self.gateway.requests):  # noqa: ASYNC110 - the other side of a socket has no event
                await trio.sleep(0.005)

    async def wait_for_connection(self) -> None:
        with trio.fail_after(10):
            while not len(self.server.connections):  # noqa: ASYNC110 - the other side of a socket has no event
                await trio.sleep(0.005)

    async def requests(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            return list((await http.get(f"{self.upstream}/_sim/requests")).json())

    def asked(self) -> list[str]:
        """The account of every call that asked the simulator to generate."""
        return asked(self.simulator)

    def member(self, name: str) -> Member:
        (member,) = [member for member in self.gateway.accounts.present() if member.name == name]
        return member

    def pauses(self, name: str) -> list[Cooldown]:
        """What keeps this account from serving now."""
        pool = self.gateway.accounts
        return pool.cooldowns.of(self.member(name).key, pool.now())

    async def another(self) -> Stack:
        """One more gateway on the same store, beside this one or after it."""
        stop = Stop()
        serve = partial(serve_gateway, self.settings, self.surroundings, self.log, stop=stop)
        serving = await self.nursery.start(serve)
        return attrs.evolve(self, url=serving.base_url, stop=stop, server=serving.server, gateway=serving.gateway)

    def forgive(self) -> None:
        """End every pause of every account, as a person would."""
        pool = self.gateway.accounts
        for member in pool.present():
            pool.cooldowns.lift(member.key, pool.now())

    async def sent(self) -> list[str]:
        """The bodies of the calls that asked the simulator to generate, as JSON."""
        asked = [request for request in await self.requests() if "generateAssistantResponse" in request["path"]]
        return [orjson.dumps(request["body"]).decode() for request in asked]


def changed(settings: Settings, sections: dict[str, dict[str, Any]]) -> Settings:
    for name, changes in sections.items():
        settings = attrs.evolve(settings, **{name: attrs.evolve(getattr(settings, name), **changes)})
    return settings


@asynccontextmanager
async def running(data_dir: Path, /, kept: Iterable[Kept] = (), **sections: dict[str, Any]) -> AsyncIterator[Stack]:
    """Both, on free ports; `sections` change settings. The nursery is cancelled on leaving.

    `kept`: these accounts are the simulator's, and in the store, in place of the one that settings name.
    """
    kept = tuple(kept)
    own = [one.account for one in kept] or None
    simulator = Simulator(SimulatorSettings(**sections.pop("simulator", {})), accounts=own)
    log = RecordingLog()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(simulator.serve, "127.0.0.1", 0)
        upstream = port if isinstance(port, str) else f"http://127.0.0.1:{port}"
        sections["server"] = {"port": 0, **sections.get("server", {})}
        sections["upstream"] = {
            "url": upstream,
            "auth_url": upstream,
            "portal_url": upstream,
            **sections.get("upstream", {}),
        }
        sections["store"] = {"key_source": "file", **sections.get("store", {})}
        sections["relay"] = {**UNHURRIED, **sections.get("relay", {})}
        named = {} if kept else {"refresh_token": DEMO_REFRESH_TOKEN}
        sections["accounts"] = {**named, **sections.get("accounts", {})}
        settings = changed(Settings(), sections)
        stop = Stop()
        surroundings = Surroundings({"test": KEY}, data_dir, Places(data_dir / "home"))
        if kept:
            await trio.to_thread.run_sync(keep, kept, settings, data_dir)
        serving = await nursery.start(partial(serve_gateway, settings, surroundings, log, stop=stop))
        parts = (serving.server, serving.gateway, nursery, settings, surroundings)
        yield Stack(serving.base_url, upstream, simulator, log, stop, *parts)
        nursery.cancel_scope.cancel()


def question(text: str = "Say hi", **changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": text}],
        **changes,
    }
