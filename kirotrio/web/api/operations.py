"""Signs of life, and the small requests that clients make beside their work (CLIENTS B 5.1)."""

from __future__ import annotations

import orjson
from quart import Quart, Response

from kirotrio.accounts.lending.pool import Readiness
from kirotrio.web.gateway import Gateway


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

    @app.get("/health")
    async def health() -> Response:
        return _json({"status": "ok"})

    @app.get("/ready")
    async def ready() -> Response:
        if gateway.draining.is_set():
            return _json({"status": "draining"}, 503)
        # Nobody is asked and nothing is refreshed for this; and whoever may ask it need not hold a key, so that the
        # reason stays in the log.
        match await gateway.accounts.readiness():
            case Readiness.READY:
                return _json({"status": "ready"})
            case Readiness.NO_ACCOUNT:
                return _json({"status": "no account"}, 503)
            case Readiness.UNAVAILABLE:
                return _json({"status": "account unavailable"}, 503)


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, content_type="application/json")
