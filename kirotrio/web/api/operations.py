"""Signs of life, and the small requests that clients make beside their work (CLIENTS B 5.1)."""

from __future__ import annotations

from kirotrio.accounts.lending.readiness import Readiness
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route, json_reply


async def hello(gateway: Gateway, incoming: Incoming) -> Reply:
    return json_reply(
        {
            "name": "kirotrio",
            "messages": "/v1/messages",
            "chat_completions": "/v1/chat/completions",
            "responses": "/v1/responses",
            "models": "/v1/models",
            "console": "/console",
        }
    )


async def event_logging(gateway: Gateway, incoming: Incoming) -> Reply:
    return json_reply({})  # a client's own telemetry: accepted so that it does not retry, and dropped


async def health(gateway: Gateway, incoming: Incoming) -> Reply:
    return json_reply({"status": "ok"})


async def ready(gateway: Gateway, incoming: Incoming) -> Reply:
    if gateway.draining.is_set():
        return json_reply({"status": "draining"}, 503)
    if gateway.modes.now.is_maintained:
        return json_reply({"status": "maintenance"}, 503)
    # Nobody is asked and nothing is refreshed for this; and whoever may ask it need not hold a key, so that the
    # reason stays in the log.
    match await gateway.accounts.readiness():
        case Readiness.READY:
            return json_reply({"status": "ready"})
        case Readiness.NO_ACCOUNT:
            return json_reply({"status": "no account"}, 503)
        case Readiness.UNAVAILABLE:
            return json_reply({"status": "account unavailable"}, 503)


ROUTES = (
    Route("GET", "/", hello),
    Route("GET", "/api/hello", hello),
    Route("POST", "/api/event_logging/batch", event_logging),
    Route("GET", "/health", health),
    Route("GET", "/ready", ready),
)
