"""Every path that is answered here. A surface is loaded with the first request for it: its dialect takes a tenth of a
second of every start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from kirotrio.web.incoming import Route

Routes: TypeAlias = tuple[Route, ...]


def _messages() -> Routes:
    from kirotrio.web.api import messages

    return messages.ROUTES


def _chat() -> Routes:
    from kirotrio.web.api import chat

    return chat.ROUTES


def _responses() -> Routes:
    from kirotrio.web.api import responses

    return responses.ROUTES


def _models() -> Routes:
    from kirotrio.web.api import models

    return models.ROUTES


def _operations() -> Routes:
    from kirotrio.web.api import live, metrics, operations

    return operations.ROUTES + live.ROUTES + metrics.ROUTES


def _console() -> Routes:
    from kirotrio.web.console import all_pages

    return all_pages.routes()


SURFACES: Final[Mapping[str, Callable[[], Routes]]] = {
    "messages": _messages,
    "chat": _chat,
    "responses": _responses,
    "models": _models,
    "console": _console,
    "": _operations,
}
"""What loads the routes of a surface, by its name; "" has all that stands outside `/v1`."""


def all_routes() -> Routes:
    return tuple(route for load in SURFACES.values() for route in load())
