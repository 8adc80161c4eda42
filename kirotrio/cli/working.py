"""What the children of `kirotrio serve --workers N` do: one is the desk, the others are workers.

`control` is the pipe from the parent: a byte `s` asks to stop, a second one to stop at once, `g` to greet the person;
its end means that the parent is gone.
"""

from __future__ import annotations

import functools
import signal
import socket
from collections.abc import Callable, Sequence, Sized
from pathlib import Path

import trio

from kirotrio.cli.first_run import key_file, open_data_folder
from kirotrio.cli.greeting import greet
from kirotrio.cli.running import run_until_stopped
from kirotrio.cli.signals import EarlySignals
from kirotrio.cli.surroundings import places_of_user
from kirotrio.config import LoadedSettings
from kirotrio.config.settings import Settings
from kirotrio.telemetry.log import Log, with_fields
from kirotrio.web.serving import Serving, Stop, Surroundings, serve_gateway
from kirotrio.web.workers.desk import Desk
from kirotrio.web.workers.listening import Load, SharedListener
from kirotrio.web.workers.seat import Seat

_LONELY = 0.2
"""Seconds between looks whether the last worker has gone, where the parent has."""


def be_desk(settings: Settings, listening: socket.socket, control: int, ready: Callable[[], None]) -> int:
    """Attend to workers until asked to stop, or until all are gone where the parent is."""

    async def main() -> None:
        desk = Desk(settings)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(desk.serve, listening)
            ready()
            async with trio.lowlevel.FdStream(control) as commands:
                stopped = await commands.receive_some()
            while not stopped and not desk.is_alone:  # noqa: ASYNC110 - seldom, and nobody is kept waiting
                await trio.sleep(_LONELY)
            nursery.cancel_scope.cancel()

    trio.run(main)
    return 0


def be_worker(
    loaded: LoadedSettings,
    log: Log,
    number: int,
    listening: Sequence[socket.socket],
    load: Load,
    desk: Path,
    control: int,
    ready: Callable[[], None],
) -> int:
    """Serve what comes in at these sockets until asked to stop. Raises what kept it from that."""
    log = with_fields(log, worker=number)
    settings = loaded.settings
    to_greet = trio.Event()

    async def watch(stop: Stop) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_watch_control, control, stop, to_greet)
            nursery.start_soon(_watch_signal, stop)

    async def serve(stop: Stop) -> None:
        keys, folder = {"default": settings.server.api_key}, open_data_folder(loaded)
        surroundings = Surroundings(keys, folder, places_of_user(), loaded.origins)

        def listen(held: Sized) -> list[SharedListener]:
            return [SharedListener(one, load, number, held) for one in listening]

        seat = Seat(desk, number, settings, log)
        async with trio.open_nursery() as nursery:
            serving = await nursery.start(
                functools.partial(serve_gateway, settings, surroundings, log, stop=stop, listen=listen, seat=seat)
            )
            ready()
            if number == 1 and key_file(loaded) is not None:
                nursery.start_soon(greet_later, serving, stop)

    async def greet_later(serving: Serving, stop: Stop) -> None:
        """Once the parent has printed that all are ready."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_unless_stopped, stop, nursery.cancel_scope)
            await to_greet.wait()
            await greet(loaded, serving.base_url, serving.gateway, stop)
            nursery.cancel_scope.cancel()

    return run_until_stopped(serve, EarlySignals(), watch)


async def _unless_stopped(stop: Stop, scope: trio.CancelScope) -> None:
    await stop.asked.wait()
    scope.cancel()


async def _watch_control(control: int, stop: Stop, to_greet: trio.Event) -> None:
    asked = 0
    async with trio.lowlevel.FdStream(control) as commands:
        while said := await commands.receive_some():
            for byte in said:
                if byte == ord("g"):
                    to_greet.set()
                else:
                    asked += 1
                    stop.asked.set()
                    if asked > 1:
                        stop.at_once.set()
    stop.asked.set()


async def _watch_signal(stop: Stop) -> None:
    """A service manager may signal every process of the gateway, so however many come, they count as one."""
    with trio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            stop.asked.set()
