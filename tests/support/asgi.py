"""The application called in memory, without sockets, so that a mock clock may run."""

from __future__ import annotations

from typing import Any, cast

import orjson
import trio
from support.scripted import ScriptedAccount, ScriptedTransport
from support.stack import KEY

from kirotrio.access.grant import Keyring
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.config.settings import Settings
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.relay.request import Relay
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.app import RelayApp, create_app
from kirotrio.web.gateway import Gateway


def gateway_on(transport: ScriptedTransport, estimator: TokenEstimator, settings: Settings | None = None) -> Gateway:
    settings, log = settings or Settings(), RecordingLog()
    models = ModelLists(transport, settings, log)
    relay = Relay(settings, transport, ScriptedAccount(), models, estimator, log)
    # What is asked here concerns one answer; nobody looks at the pool.
    return Gateway(settings, relay, cast(Pool, None), Keyring({"test": KEY}), log)


async def post(
    gateway: Gateway, path: str, body: Any, *, app: RelayApp | None = None, seen: list[bytes] | None = None
) -> tuple[int, bytes]:
    """One POST; status and whole body. `app`: the gateway's application, where it is asked more than once.

    `seen`: gets the pieces of the body while they come.
    """
    raw = orjson.dumps(body)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.1"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"gateway"),
            (b"x-api-key", KEY.encode()),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(raw)).encode()),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "extensions": {},
    }
    waiting = [{"type": "http.request", "body": raw, "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if waiting:
            return waiting.pop(0)
        await trio.sleep_forever()
        return None

    async def send(message: Any) -> None:
        sent.append(message)
        if seen is not None:
            seen.append(message.get("body", b""))

    await (app or create_app(gateway))(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
