"""What is asked to become a WebSocket is refused as a plain HTTP answer, so that clients fall back to HTTP.

Codex asks for one before its first request wherever it takes us for its own maker's service. Upon 426 it goes on by
HTTP at once; upon any other status only after five more tries (CLIENTS 5.2; measured with 0.169).
"""

from __future__ import annotations

from typing import Any

import orjson

from kirotrio.web.incoming import new_request_id

_STATUS = 426
_REASON = "this gateway speaks HTTP only; send the same request by POST"
_BODY = orjson.dumps(
    {"error": {"message": _REASON, "type": "invalid_request_error", "param": None, "code": "websocket_unsupported"}}
)


class RefusedWebsocket:
    """One handshake over ASGI; the server has the extension that lets it be answered by HTTP."""

    def __init__(self, app: Any, scope: Any) -> None:
        self._scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        request_id = new_request_id().encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(_BODY)),
            (b"connection", b"close"),
            (b"request-id", request_id),
            (b"x-request-id", request_id),
        ]
        await send({"type": "websocket.http.response.start", "status": _STATUS, "headers": headers})
        await send({"type": "websocket.http.response.body", "body": _BODY, "more_body": False})
