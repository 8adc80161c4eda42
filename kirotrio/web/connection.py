"""How this application answers over ASGI: by push, so that the nursery is lexical and the status can wait.

The framework's own way sends the status before it opens the body and iterates an async generator; ours runs
`await response.run(sink)` (TRIO_STACK, the push idiom). Two more remedies live here because this is where the
framework meets the server: the final send is shielded (trap 1), and heads are limited in size (trap 9).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

import trio
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioResponse

from kirotrio.web.answering import deliver
from kirotrio.web.bridge import SCOPE_INTAKE
from kirotrio.web.finishing import finish
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Runs
from kirotrio.web.intake import BodyIntake
from kirotrio.web.naming import SCOPE_ACCOUNT, with_account
from kirotrio.web.targets import origin_form

SCOPE_HEAD_SIZE = "kirotrio.head"
SCOPE_INCOMING = "kirotrio.incoming"
SCOPE_AIMLESS = "kirotrio.aimless"
"""Whether the request names no path, so that the guard refuses it."""

Send = Callable[[Any], Awaitable[None]]


class PushResponse(TrioResponse):
    """A response that is not iterated but run: it sends its own status, headers and body."""

    def __init__(self, runs: Runs) -> None:
        super().__init__(b"")
        self.timeout = None
        self.runs = runs


class AsgiSink:
    """The relay's `Sink` on an ASGI `send`."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def start(self, status: int, headers: Mapping[str, str], cookies: Sequence[str] = ()) -> None:
        raw = [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers.items()]
        raw += [(b"set-cookie", cookie.encode("latin-1", "replace")) for cookie in cookies]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})

    async def write(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def finish(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": False})


class RelayConnection(TrioASGIHTTPConnection):
    """One request over ASGI. The nursery beneath it is cancelled as soon as the client leaves."""

    def __init__(self, app: Any, scope: Any) -> None:
        super().__init__(app, cast(Any, with_account(_aimed(scope))))

    async def __call__(self, receive: Any, send: Any) -> None:
        gateway = self._gateway
        scope = cast(dict[str, Any], self.scope)
        headers = scope["headers"]
        size = len(scope["raw_path"]) + len(scope["query_string"])
        size += sum(len(name) + len(value) + 4 for name, value in headers)
        scope[SCOPE_HEAD_SIZE] = size
        intake = scope.get(SCOPE_INTAKE)
        if intake is None:
            declared = next((value for name, value in headers if name.lower() == b"content-length"), None)
            intake = gateway.intake(int(declared) if declared is not None and declared.isdigit() else None)
            scope[SCOPE_INTAKE] = intake
        incoming = scope[SCOPE_INCOMING] = _incoming(scope)
        patience = gateway.settings.deadlines.client_write + 1.0

        async def shielded_send(message: Any) -> None:
            # The server reports the end of the connection from inside the last send; the framework would cancel
            # itself right there, and the connection would be neither recycled nor closed.
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                with trio.move_on_after(patience, shield=True):
                    await send(message)
            else:
                await send(message)

        gateway.requests.add(self)
        try:
            await super().__call__(receive, shielded_send)
        finally:
            finish(gateway, incoming)
            gateway.requests.remove(self)
            intake.release()

    @property
    def _gateway(self) -> Gateway:
        return cast(Gateway, cast(Any, self.app).gateway)

    @property
    def _intake(self) -> BodyIntake:
        return cast(BodyIntake, cast(dict[str, Any], self.scope)[SCOPE_INTAKE])

    async def handle_messages(  # type: ignore[override]  # the base class has the asyncio signature
        self, nursery: trio.Nursery, request: Request, receive: Any
    ) -> None:
        intake = self._intake
        while True:
            message = await receive()
            if message["type"] == "http.request":
                intake.add(message.get("body", b""), last=not message.get("more_body", False))
            elif message["type"] == "http.disconnect":
                break
        nursery.cancel_scope.cancel()

    async def _send_response(self, send: Send, response: Any) -> None:
        answer: Runs
        if isinstance(response, PushResponse):
            answer = response.runs
        else:  # the framework's own, of which there should be none
            headers = {name.lower(): value for name, value in response.headers.items()}
            answer = Reply(await response.get_data(as_text=False), response.status_code, headers)
        passage = cast(Incoming, cast(dict[str, Any], self.scope)[SCOPE_INCOMING]).passage
        await deliver(self._gateway, answer, self._intake, AsgiSink(send), passage)


def _incoming(scope: dict[str, Any]) -> Incoming:
    fields = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
    query = scope["query_string"].decode("latin-1")
    client = scope.get("client")
    peer = client[0] if client else ""
    return Incoming(scope["path"], scope[SCOPE_ACCOUNT], dict(fields), fields, query, scope[SCOPE_INTAKE], peer)


def _aimed(scope: dict[str, Any]) -> dict[str, Any]:
    """The same request with the path that its target means; the framework fails where that does not begin with a /."""
    raw = scope["raw_path"].decode("latin-1")
    if raw.startswith("/"):
        return {**scope, SCOPE_AIMLESS: False}
    query = scope["query_string"].decode("latin-1")
    path, _, query = origin_form(scope["method"], f"{raw}?{query}" if query else raw).partition("?")
    return {
        **scope,
        "path": unquote(path) or "/",
        "raw_path": path.encode("latin-1") or b"/",
        "query_string": query.encode("latin-1"),
        SCOPE_AIMLESS: not path,
    }
