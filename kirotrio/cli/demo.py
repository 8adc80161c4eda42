"""`kirotrio demo`: simulator and gateway together, no account needed, nothing left behind."""

from __future__ import annotations

import functools
import secrets
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kirotrio.access.keys import PREFIX
from kirotrio.cli.first_run import DEFAULT_MODEL, reachable
from kirotrio.cli.greeting import ready_line
from kirotrio.cli.options import LOGGING, assignments, flags, log_of, overrides
from kirotrio.cli.programs import own_command
from kirotrio.cli.signals import EarlySignals
from kirotrio.cli.streams import say
from kirotrio.config import LoadedSettings
from kirotrio.config.process import settings_apart_from_user
from kirotrio.web.first_lines import curl_line

if TYPE_CHECKING:
    from kirotrio.telemetry.log import Log
    from kirotrio.web.serving import Stop


@click.command(short_help="Run simulator and gateway together, without an account.")
@flags("host", "port", *LOGGING)
@assignments
def demo(**given: Any) -> int:
    """Run simulator and gateway together, and print a command that gets an answer.

    It needs no account, uses a data folder that is removed at the end, and knows nothing of your own settings.
    """
    scratch = tempfile.TemporaryDirectory(prefix="kirotrio-demo-", ignore_cleanup_errors=True)
    with EarlySignals() as early, scratch as folder:
        from kirotrio.cli.running import run_until_stopped

        own = {
            "server.api_key": PREFIX + "demo-" + secrets.token_urlsafe(12),
            "data.dir": folder,
            "store.key_source": "file",
        }
        loaded = settings_apart_from_user({**overrides(given), **own}, sections=("simulator", "log"))
        return run_until_stopped(functools.partial(_demonstrate, loaded, Path(folder), log_of(loaded)), early)


async def _demonstrate(loaded: LoadedSettings, folder: Path, log: Log, stop: Stop) -> None:
    import trio

    from kirotrio.accounts.sources.places import Places
    from kirotrio.simulator import DEMO_REFRESH_TOKEN, Simulator
    from kirotrio.web.serving import Surroundings, serve_gateway

    async with trio.open_nursery() as simulation:
        simulator = Simulator(loaded.settings.simulator)
        upstream = await simulation.start(simulator.serve, "127.0.0.1", 0)
        addresses = {"upstream.url": upstream, "upstream.auth_url": upstream, "upstream.portal_url": upstream}
        settings = loaded.replaced({**addresses, "accounts.refresh_token": DEMO_REFRESH_TOKEN}, "demo").settings
        surroundings = Surroundings({"demo": settings.server.api_key}, folder, Places(folder / "home"), loaded.origins)
        async with trio.open_nursery() as gateway:
            serving = await gateway.start(functools.partial(serve_gateway, settings, surroundings, log, stop=stop))
            say(ready_line(serving.base_url))
            say("\n".join(_lines(reachable(serving.base_url), settings.server.api_key)))
        # The gateway has stopped, its answers included: now what it asked may go.
        simulation.cancel_scope.cancel()


def _lines(base_url: str, key: str) -> list[str]:
    """What to try, and what programs have to be told."""
    return [
        "",
        "Try it:",
        "",
        curl_line(base_url, key, DEFAULT_MODEL, _quoted),
        "",
        f"Anthropic Messages:                     {base_url}",
        f"OpenAI Chat Completions and Responses:  {base_url}/v1",
        f"Key:                                    {key}",
        f"Console, in a browser:                  {base_url}/console",
        "",
        "A client (`launch` alone lists them):",
        "",
        f"{own_command()} launch claude --url {base_url} --api-key {key}",
        "",
    ]


def _quoted(text: str) -> str:
    """For a POSIX shell, or for the Windows command line, which knows double quotes alone."""
    if sys.platform == "win32":
        return '"' + text.replace('"', '\\"') + '"'
    return "'" + text.replace("'", "'\\''") + "'"
