"""`kirotrio simulate`: a Kiro upstream in a box, alone."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import click

from kirotrio.cli.options import flags, load, sources
from kirotrio.cli.programs import own_command
from kirotrio.cli.signals import EarlySignals
from kirotrio.cli.streams import say
from kirotrio.config.loading import DEFAULT

if TYPE_CHECKING:
    from kirotrio.config.settings import ServerSettings, SimulatorSettings
    from kirotrio.web.serving import Stop

PORT = 8010
"""By itself another than the gateway's, so that both can run without a word about ports."""

_A_NEW_FOLDER = '"%TEMP%\\kirotrio-%RANDOM%"' if sys.platform == "win32" else '"$(mktemp -d)"'
"""For this system's shell. What a simulated sign-in leaves has no place among a person's own."""


@click.command(short_help="Run the simulator of the Kiro service alone.")
@flags("host", "port", defaults={"port": PORT})
@sources
def simulate(**given: object) -> int:
    """Run the simulator alone: a stand-in for the Kiro service, for trying things without an account.

    The settings simulator.* say how it answers; [[name=value]] in a message says it for that message alone.
    """
    loaded = load(given)
    if loaded.origins["server.port"] == DEFAULT:
        loaded = loaded.replaced({"server.port": PORT}, DEFAULT)
    settings = loaded.settings
    with EarlySignals() as early:
        from kirotrio.cli.running import run_until_stopped

        return run_until_stopped(functools.partial(_simulate, settings.server, settings.simulator), early)


async def _simulate(server: ServerSettings, simulated: SimulatorSettings, stop: Stop) -> None:
    import trio

    from kirotrio.simulator import DEMO_API_KEY, Simulator
    from kirotrio.web.server import open_listeners

    simulator = Simulator(simulated)
    listeners = await open_listeners(server.host, server.port)
    async with trio.open_nursery() as nursery:
        base_url = await nursery.start(functools.partial(simulator.serve, listeners=listeners))
        say(f"simulator ready on {base_url}")
        # A key, unlike a refresh token, is good for more than one gateway.
        say(
            "\nA gateway that uses it:\n"
            f"  KIROTRIO_UPSTREAM_URL={base_url} KIROTRIO_AUTH_URL={base_url} "
            f"{own_command()} serve --kiro-api-key {DEMO_API_KEY} --data-dir {_A_NEW_FOLDER} --port 0"
        )
        await stop.asked.wait()
        nursery.cancel_scope.cancel()
