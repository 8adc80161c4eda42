"""What is asked to become a WebSocket is refused as a plain HTTP answer, so that clients fall back to HTTP.

Codex asks for one before its first request wherever it takes us for its own maker's service. Upon 426 it goes on by
HTTP at once; upon any other status only after five more tries (CLIENTS 5.2; measured with 0.169).
"""

from __future__ import annotations

from typing import Any

import orjson

from kirotrio.web.answering import turned_away
from kirotrio.web.finishing import finish
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, new_request_id

_STATUS = 426
_REASON = "this gateway speaks HTTP only; send the same request by POST"
_BODY = orjson.dumps(
    {"error": {"message": _REASON, "type": "invalid_request_error", "param": None, "code": "websocket_unsupported"}}
)


class RefusedWebsocket:
    """One handshake over ASGI; the server has the extension that lets it be answered by HTTP."""

    def __init__(self, app: Any, scope: Any) -> None:
        self._gateway: Gateway = app.gateway
        self._scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        request_id = new_request_id()
        incoming = self._incoming()
        away = turned_away(self._gateway, incoming)
        if away is not None:
            incoming.passage.status = away.status
            finish(self._gateway, incoming)
        reply = away or Reply(
            _BODY,
            _STATUS,
            {"content-type": "application/json", "request-id": request_id, "x-request-id": request_id},
        )
        fields = {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}
        headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in fields.items()]
        await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": reply.body, "more_body": False})

    def _incoming(self) -> Incoming:
        scope = self._scope
        fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        peer = scope["client"][0] if scope["client"] else ""
        query = scope["query_string"].decode("latin-1")
        return Incoming(scope["path"], "", dict(fields), fields, query, self._gateway.intake(0), peer)
