"""What a gateway that is ready says to whoever started it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from kirotrio.cli.first_run import best_model, key_file, welcome
from kirotrio.cli.streams import say
from kirotrio.config import LoadedSettings
from kirotrio.config.loading import DEFAULT

if TYPE_CHECKING:
    from kirotrio.web.gateway import Gateway
    from kirotrio.web.serving import Stop

_MODELS_DEADLINE = 10.0
"""Seconds that the lines to paste wait for the account's own list of models."""


def ready_line(base_url: str) -> str:
    """The line that CONTRACT promises to whoever started the gateway."""
    return f"kirotrio ready on {base_url}"


async def greet(loaded: LoadedSettings, base_url: str, gateway: Gateway, stop: Stop) -> None:
    """Print the lines to paste, with a model that the account has."""
    import trio

    models: tuple[str, ...] = ()
    with trio.move_on_after(_MODELS_DEADLINE):
        models = await _models(gateway)
    if not stop.asked.is_set():
        key, terminal = loaded.settings.server.api_key, sys.stdout.isatty()
        chosen = loaded.settings.data.dir if loaded.origins["data.dir"] != DEFAULT else None
        file = key_file(loaded)
        say(welcome(base_url, key, file, terminal=terminal, model=best_model(models), data_dir=chosen))


async def _models(gateway: Gateway) -> tuple[str, ...]:
    """What the account has, () where that cannot be told: the gateway's own log says why."""
    from kirotrio.accounts.lending.wish import Wish
    from kirotrio.errors import KirotrioError

    try:
        catalogue = await gateway.accounts.models_of(Wish())
    except KirotrioError:
        return ()
    return tuple(model.id for model in catalogue.models if model.listed)
