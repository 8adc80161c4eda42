"""Signs of life, and the small requests that clients make beside their work (CLIENTS B 5.1)."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

import orjson
from quart import Quart, Response

from kirotrio.web.gateway import Gateway
from kirotrio.web.signs import SIGNS, Shown


def register(app: Quart, gateway: Gateway) -> None:
    @app.get("/")
    @app.get("/api/hello")
    async def hello() -> Response:
        return _json(
            {
                "name": "kirotrio",
                "messages": "/v1/messages",
                "chat_completions": "/v1/chat/completions",
                "responses": "/v1/responses",
                "models": "/v1/models",
            }
        )

    @app.post("/api/event_logging/batch")
    async def event_logging() -> Response:
        return _json({})  # a client's own telemetry: accepted so that it does not retry, and dropped

    for path, sign in SIGNS.items():
        app.add_url_rule(path, path, functools.partial(_show, sign, gateway), methods=["GET"])


async def _show(sign: Callable[[Gateway], Awaitable[Shown]], gateway: Gateway) -> Response:
    status, value = await sign(gateway)
    return _json(value, status)


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, content_type="application/json")
