"""`kirotrio serve`: the gateway."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import click

from kirotrio.cli.first_run import beyond_loopback, key_file, open_data_folder, with_client_key
from kirotrio.cli.greeting import greet, ready_line
from kirotrio.cli.options import ACCOUNT, DATA, LOGGING, SERVING, WORKERS, log_of, with_settings
from kirotrio.cli.signals import EarlySignals
from kirotrio.cli.streams import say
from kirotrio.config import LoadedSettings

if TYPE_CHECKING:
    from kirotrio.telemetry.log import Log
    from kirotrio.web.serving import Stop


@click.command()
@with_settings(*SERVING, *WORKERS, *DATA, *ACCOUNT, *LOGGING)
def serve(loaded: LoadedSettings) -> int:
    """Run the gateway. It prints one line once it accepts connections, and stops at Ctrl-C.

    A first Ctrl-C lets running answers finish (server.drain, 30 seconds by default), a second one ends at once.
    """
    loaded = with_client_key(loaded)
    with EarlySignals() as early:
        from kirotrio.cli.running import run_until_stopped

        log = log_of(loaded)
        if reach := beyond_loopback(loaded):
            log.warning("open to other machines", notice=reach)
        if loaded.settings.server.workers > 1:
            from kirotrio.cli.workers import serve_with_workers

            return serve_with_workers(loaded, log, early)
        return run_until_stopped(functools.partial(_serve, loaded, log), early)


async def _serve(loaded: LoadedSettings, log: Log, stop: Stop) -> None:
    import trio

    from kirotrio.cli.surroundings import places_of_user
    from kirotrio.web.serving import Surroundings, serve_gateway

    settings = loaded.settings
    keys, folder = {"default": settings.server.api_key}, open_data_folder(loaded)
    surroundings = Surroundings(keys, folder, places_of_user(), loaded.origins)
    async with trio.open_nursery() as nursery:
        serving = await nursery.start(functools.partial(serve_gateway, settings, surroundings, log, stop=stop))
        say(ready_line(serving.base_url))
        if key_file(loaded) is not None:
            nursery.start_soon(greet, loaded, serving.base_url, serving.gateway, stop)
