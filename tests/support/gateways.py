"""Gateways beside one simulator and on one store: some in this process, some in processes of their own."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import attrs
import httpx
import trio
from support.forks import Forked, Nest
from support.several import Kept, keep
from support.stack import KEY, changed, question

from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.sources.places import Places
from kirotrio.config.settings import Settings, SimulatorSettings
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.simulator import Simulator
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.serving import Serving, Stop, Surroundings, serve_gateway

HEADERS = {"x-api-key": KEY}


@attrs.define
class Local:
    """A gateway in this process."""

    world: World
    url: str
    pool: Pool
    log: RecordingLog
    stop: Stop
    ended: trio.Event

    def member(self, name: str = "work") -> Member:
        (member,) = [member for member in self.pool.present() if member.name == name]
        return member

    async def ask(self, text: str = "Say hi", account: str = "") -> httpx.Response:
        """`account`: "" for whichever the gateway chooses."""
        self.world.asked += 1
        path = f"/a/{account}/v1/messages" if account else "/v1/messages"
        async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as http:
            return await http.post(f"{self.url}{path}", json=question(text), headers=HEADERS)

    def logged(self, name: str) -> list[dict[str, Any]]:
        """The fields of the lines of that name."""
        return [fields for _, said, fields in self.log.lines if said == name]

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(timeout=60, trust_env=False, verify=False) as http:
            return await http.get(f"{self.url}{path}", headers=HEADERS)

    async def end(self) -> None:
        """Stop it as a signal would, and wait for it."""
        self.stop.ask()
        with trio.fail_after(30):
            await self.ended.wait()


@attrs.define
class World:
    """The simulator, a store, and a nursery that ends with the test. `settings` are those of every gateway here."""

    simulator: Simulator
    settings: Settings
    data_dir: Path
    nursery: trio.Nursery
    refreshes: list[str] = attrs.field(factory=list)
    """What became of each refresh call that reached the service's memory: `rotated`, or the name of the refusal."""
    asked: int = 0
    """Requests to the gateways of this process."""
    _forked: list[Forked] = attrs.field(factory=list)
    _numbers: count[int] = attrs.field(factory=count)

    async def keep(self, *accounts: Kept) -> None:
        await trio.to_thread.run_sync(keep, accounts, self.settings, self.data_dir)

    def start(self, nest: Nest, prologue: str = "", *, options: Sequence[str] = ()) -> Forked:
        """A `kirotrio serve`. `prologue` is Python that runs in the process first."""
        sets = {
            "store.look_every": self.settings.store.look_every,
            "accounts.max_concurrent": self.settings.accounts.max_concurrent,
            "accounts.max_queue": self.settings.accounts.max_queue,
        }
        given = [word for name, value in sets.items() for word in ("--set", f"{name}={value}")]
        return self.run(nest, "serve", "--port", "0", *given, *options, prologue=prologue)

    def run(self, nest: Nest, *arguments: str, prologue: str = "") -> Forked:
        """Any `kirotrio` on this store and simulator."""
        upstream, store = self.settings.upstream, self.settings.store
        environ = {
            "HOME": str(self.data_dir / "home"),
            "KIROTRIO_API_KEY": KEY,
            "KIROTRIO_DATA_DIR": str(self.data_dir),
            "KIROTRIO_UPSTREAM_URL": upstream.url,
            "KIROTRIO_AUTH_URL": upstream.auth_url,
            "KIROTRIO_DATABASE_URL": store.url,
            "KIROTRIO_LOG_FORMAT": "json",
        }
        self.data_dir.mkdir(parents=True, exist_ok=True)
        process = nest.fork(
            self.data_dir / f"process-{next(self._numbers)}",
            [*arguments, "--set", "store.key_source=file"],
            {name: value for name, value in environ.items() if value},
            prologue,
        )
        self._forked.append(process)
        return process

    async def gateway(self) -> Local:
        """One in this process."""
        log, stop = RecordingLog(), Stop()
        surroundings = Surroundings({"test": KEY}, self.data_dir, Places(self.data_dir / "home"))
        ended = trio.Event()

        async def serve(task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED) -> None:
            await serve_gateway(self.settings, surroundings, log, stop=stop, task_status=task_status)
            ended.set()

        serving = await self.nursery.start(serve)
        return Local(self, serving.base_url, serving.gateway.accounts, log, stop, ended)

    async def end(self) -> None:
        for process in self._forked:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.ended()


@asynccontextmanager
async def world(data_dir: Path, /, *accounts: Kept, url: str = "", **sections: dict[str, Any]) -> AsyncIterator[World]:
    """`accounts` are known to the simulator, and in the store with `World.keep`; `url` is the store's."""
    simulator = Simulator(SimulatorSettings(), accounts=[one.account for one in accounts])
    async with trio.open_nursery() as nursery:
        upstream = await nursery.start(simulator.serve, "127.0.0.1", 0)
        sections["server"] = {"port": 0, **sections.get("server", {})}
        sections["upstream"] = {"url": upstream, "auth_url": upstream, **sections.get("upstream", {})}
        sections["store"] = {"key_source": "file", "url": url, "look_every": 0.1, **sections.get("store", {})}
        sections["accounts"] = {"max_concurrent": 0, "max_queue": 1000, **sections.get("accounts", {})}
        here = World(simulator, changed(Settings(), sections), data_dir, nursery)
        watch_refreshes(simulator, here.refreshes)
        try:
            yield here
        finally:
            await here.end()
        nursery.cancel_scope.cancel()


async def ready(process: Forked) -> str:
    """Its base URL; fails with what it said where it ends before."""
    with trio.fail_after(30):
        while not (match := re.search(r"ready on (\S+)\n", process.out)):
            assert not process.has_ended, f"it ended before it was ready: {process.said}"
            await trio.sleep(0.01)  # what another process writes into a file has no event here
    return match[1]


def watch_refreshes(simulator: Simulator, seen: list[str]) -> None:
    """Have `seen` tell of every refresh from now on."""
    book = simulator.book
    refresh = book.refresh

    def watched(*arguments: Any, **options: Any) -> Any:
        try:
            grant = refresh(*arguments, **options)
        except Exception as refusal:
            seen.append(type(refusal).__name__)
            raise
        seen.append("rotated")
        return grant

    book.refresh = watched


def hold_refreshes(gateway: Local) -> tuple[trio.Event, trio.Event]:
    """Have the calls that refresh wait on their way, after the first event, until the second."""
    began, go_on = trio.Event(), trio.Event()
    http = gateway.pool.http
    call = http.call

    async def held(method: str, url: str, **options: Any) -> HttpAnswer:
        if url.endswith("/refreshToken"):
            began.set()
            await go_on.wait()
        return await call(method, url, **options)

    http.call = held
    return began, go_on


async def until(what: Callable[[], Any], seconds: float = 30.0) -> None:
    """Until `what()` is true; fails where it does not become so."""
    with trio.fail_after(seconds):
        while not what():  # noqa: ASYNC110 - what another process or thread does has no event here
            await trio.sleep(0.01)
