"""The Quart application: routes, guards, and one envelope for every error."""

from __future__ import annotations

from typing import Any, cast

from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from kirotrio.errors import BodyInvalid, Cause, KirotrioError, NotFound, Overloaded, TooLarge
from kirotrio.web import envelope
from kirotrio.web.api import chat, messages, models, operations, responses
from kirotrio.web.connection import SCOPE_REFUSAL, RelayConnection, new_request_id
from kirotrio.web.gateway import Gateway
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
    async def guard() -> None:
        if cast(Any, request.scope).get(SCOPE_REFUSAL) == "header":
            limit = gateway.settings.server.max_header
            raise TooLarge(
                f"the head of the request is larger than the {limit} bytes that are accepted (server.max_header)"
            )
        if gateway.draining.is_set() and not request.path.startswith(("/health", "/ready")):
            raise Overloaded("the gateway is stopping; try again in a moment", retry_after=5.0)

    @app.errorhandler(KirotrioError)
    async def refuse(error: KirotrioError) -> Response:
        return refusal(error)

    @app.errorhandler(HTTPException)
    async def refuse_http(error: HTTPException) -> Response:
        if error.code == 404:
            return refusal(NotFound(f"there is no {request.path[:200]} here; {_THERE_IS}"))
        if error.code == 405:
            allowed = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
            response = refusal(
                KirotrioError(
                    f"{request.path} does not take {request.method}; it takes {allowed}", cause=Cause.METHOD_NOT_ALLOWED
                )
            )
            response.headers["allow"] = allowed
            return response
        return refusal(BodyInvalid("", error.description or error.name))

    @app.errorhandler(Exception)
    async def refuse_unexpected(error: Exception) -> Response:
        request_id = new_request_id()
        gateway.log.error("request failed", exc_info=error, path=request.path, request_id=request_id)
        return refusal(KirotrioError("an error inside the gateway; its log has the details"), request_id)

    messages.register(app, gateway)
    chat.register(app, gateway)
    responses.register(app, gateway)
    models.register(app, gateway)
    operations.register(app, gateway)
    return app


def refusal(error: KirotrioError, request_id: str | None = None) -> Response:
    """An error in answer to the present request."""
    return envelope.refusal(error, request.path, request.headers.get("anthropic-version"), request_id)
