"""The Quart application called for one exchange on a connection of our own.

The body does not come by messages: it is in the exchange's intake already, which the application takes over
(`connection.SCOPE_INTAKE`). A client that leaves is a cancellation, so that nothing is ever received.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from kirotrio.web.exchange import Exchange

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework

SCOPE_INTAKE = "kirotrio.intake"


async def call(application: ASGIFramework, exchange: Exchange) -> None:
    """Returns once the application has answered. Raises what the application raises."""
    head = exchange.head
    scope: Any = {
        "type": "http",
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "http_version": head.version,
        "method": head.method.upper(),
        "scheme": "http",
        "path": head.path,
        "raw_path": head.raw_path.encode("ascii"),
        "query_string": head.query.encode("ascii"),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.fields],
        "client": (exchange.peer, 0) if exchange.peer else None,
        "server": None,
        "state": {},
        "extensions": {},
        SCOPE_INTAKE: exchange.intake,
    }

    async def receive() -> Any:
        await trio.sleep_forever()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            fields = [
                (bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in message["headers"]
            ]
            length = next((value for name, value in fields if name.lower() == "content-length"), None)
            exchange.begin(message["status"], fields, length)
        elif message.get("more_body", False):
            await exchange.write(message.get("body", b""))
        else:
            await exchange.finish(message.get("body", b""))

    await application(scope, receive, send)
