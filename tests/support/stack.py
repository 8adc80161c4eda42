"""Simulator and gateway together over real sockets, as a person would run them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import httpx
import orjson
import trio

from kirotrio.accounts.sources.places import Places
from kirotrio.config.settings import Settings, SimulatorSettings
from kirotrio.simulator import DEMO_REFRESH_TOKEN, Simulator, State, StreamRecord
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.gateway import Gateway
from kirotrio.web.server import Server
from kirotrio.web.serving import Stop, Surroundings, serve_gateway

KEY = "sk-kt-a-key-for-tests-only"


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

    async def sent(self) -> list[str]:
        """The bodies of the calls that asked the simulator to generate, as JSON."""
        asked = [request for request in await self.requests() if "generateAssistantResponse" in request["path"]]
        return [orjson.dumps(request["body"]).decode() for request in asked]


def changed(settings: Settings, sections: dict[str, dict[str, Any]]) -> Settings:
    for name, changes in sections.items():
        settings = attrs.evolve(settings, **{name: attrs.evolve(getattr(settings, name), **changes)})
    return settings


@asynccontextmanager
async def running(data_dir: Path, /, **sections: dict[str, Any]) -> AsyncIterator[Stack]:
    """Both, on free ports; `sections` change settings. The nursery is cancelled on leaving."""
    simulator = Simulator(SimulatorSettings(**sections.pop("simulator", {})))
    log = RecordingLog()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(simulator.serve, "127.0.0.1", 0)
        upstream = port if isinstance(port, str) else f"http://127.0.0.1:{port}"
        sections["server"] = {"port": 0, **sections.get("server", {})}
        sections["upstream"] = {"url": upstream, "auth_url": upstream, **sections.get("upstream", {})}
        sections["accounts"] = {"refresh_token": DEMO_REFRESH_TOKEN, **sections.get("accounts", {})}
        settings = changed(Settings(), sections)
        stop = Stop()
        surroundings = Surroundings({"test": KEY}, data_dir, Places(data_dir / "home"))
        serving = await nursery.start(partial(serve_gateway, settings, surroundings, log, stop=stop))
        yield Stack(serving.base_url, upstream, simulator, log, stop, serving.server, serving.gateway, nursery)
        nursery.cancel_scope.cancel()


def question(text: str = "Say hi", **changes: Any) -> dict[str, Any]:
    return {
        "model": "claude-sonnet-4-5",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": text}],
        **changes,
    }
