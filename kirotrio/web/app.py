"""The Quart application: routes, guards, and one envelope for every error.

Most requests take a shorter way to the same endpoints (web/front.py); what is not on it is here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import attrs
from quart import request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from kirotrio.errors import BodyInvalid, Cause, KirotrioError, NotFound
from kirotrio.web import answering
from kirotrio.web.connection import SCOPE_AIMLESS, SCOPE_HEAD_SIZE, SCOPE_INCOMING, PushResponse, RelayConnection
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Endpoint, Incoming, Reply
from kirotrio.web.routes import all_routes
from kirotrio.web.websocket import RefusedWebsocket

_THERE_IS = "the APIs are at /v1/messages, /v1/chat/completions and /v1/responses, the models at /v1/models"


class RelayApp(QuartTrio):
    """The framework's application with our way of answering."""

    asgi_http_class = RelayConnection
    asgi_websocket_class = RefusedWebsocket  # type: ignore[assignment]  # the framework only makes one and calls it
    gateway: Gateway


def create_app(gateway: Gateway) -> RelayApp:
    """The application around one gateway. Nothing outside it knows the framework."""
    app = RelayApp("kirotrio", static_folder=None)
    app.gateway = gateway
    app.url_map.merge_slashes = False  # it would redirect, which clients take for a failure (CLIENTS B 5.1)
    # Our own deadlines stand in their place (TRIO_STACK, trap 3); bodies are counted by the intake (trap 4).
    app.config.update(
        RESPONSE_TIMEOUT=None, BODY_TIMEOUT=None, MAX_CONTENT_LENGTH=None, PROVIDE_AUTOMATIC_OPTIONS=False
    )

    @app.before_request
    async def guard() -> PushResponse | None:
        if (away := answering.turned_away(gateway, _incoming())) is not None:
            return PushResponse(away)
        scope = cast(Any, request.scope)
        answering.guard(gateway, "" if scope[SCOPE_AIMLESS] else request.path, scope[SCOPE_HEAD_SIZE])
        return None

    @app.errorhandler(KirotrioError)
    async def refuse(error: KirotrioError) -> PushResponse:
        return PushResponse(_refusal(error))

    @app.errorhandler(HTTPException)
    async def refuse_http(error: HTTPException) -> PushResponse:
        if error.code == 404:
            return PushResponse(_refusal(NotFound(f"there is no {request.path[:200]} here; {_THERE_IS}")))
        if error.code == 405:
            allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
            told = f"{request.path} does not take {request.method}; it takes {allowed}"
            reply = _refusal(KirotrioError(told, cause=Cause.METHOD_NOT_ALLOWED))
            return PushResponse(attrs.evolve(reply, headers={**reply.headers, "allow": allowed}))
        return PushResponse(_refusal(BodyInvalid("", error.description or error.name)))

    @app.errorhandler(Exception)
    async def refuse_unexpected(error: Exception) -> PushResponse:
        return PushResponse(answering.fault(gateway, error, _incoming()))

    for route in all_routes():
        name = f"{route.method} {route.path}".replace(".", "")
        app.add_url_rule(route.path, name, _view(gateway, route.endpoint), methods=[route.method])
    return app


def _view(gateway: Gateway, endpoint: Endpoint) -> Callable[..., Awaitable[PushResponse]]:
    async def view(**parts: str) -> PushResponse:
        return PushResponse(await endpoint(gateway, _incoming(), **parts))

    return view


def _incoming() -> Incoming:
    """The present request."""
    return cast(Incoming, cast(dict[str, Any], request.scope)[SCOPE_INCOMING])


def _refusal(error: KirotrioError) -> Reply:
    """An error in answer to the present request."""
    return answering.refuse(_incoming(), error)
