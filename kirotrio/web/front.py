"""What connections bring, answered.

Signs of life are answered here, everything else by the Quart application. That is loaded with the first request for it,
in a thread so that nobody waits who does not ask for it: it takes a third of a second, and 20 MB, of every start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
import trio

from kirotrio.web import bridge
from kirotrio.web.exchange import Exchange
from kirotrio.web.gateway import Gateway
from kirotrio.web.http1 import RequestHead
from kirotrio.web.intake import BodyIntake
from kirotrio.web.naming import new_request_id
from kirotrio.web.signs import SIGNS, Shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypercorn.typing import ASGIFramework

    from kirotrio.web.app import RelayApp


class GatewayFront:
    """`web.server.Front` of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._application: RelayApp | None = None
        self._loading = trio.Lock()

    def intake(self, head: RequestHead) -> BodyIntake:
        return self._gateway.intake(head.length)

    async def answer(self, exchange: Exchange) -> None:
        head = exchange.head
        sign = SIGNS.get(head.path) if head.method in ("GET", "HEAD") else None
        if sign is not None and head.size <= self._gateway.settings.server.max_header:
            await self._show(exchange, await sign(self._gateway))
        else:
            await bridge.call(await self.application(), exchange)

    async def application(self) -> ASGIFramework:
        if self._application is None:
            async with self._loading:
                if self._application is None:
                    create = await trio.to_thread.run_sync(_load)
                    self._application = create(self._gateway)
        return self._application

    async def _show(self, exchange: Exchange, shown: Shown) -> None:
        gateway = self._gateway
        status, value = shown
        body, request_id = orjson.dumps(value), new_request_id()
        gateway.requests.add(exchange)
        try:
            await exchange.intake.run_out(gateway.settings.deadlines.unwanted_body)
            fields = {"content-type": "application/json", "content-length": str(len(body))}
            await exchange.start(status, {**fields, "request-id": request_id, "x-request-id": request_id})
            await exchange.finish(body)
        finally:
            gateway.requests.remove(exchange)
            exchange.intake.release()


def _load() -> Callable[[Gateway], RelayApp]:
    from kirotrio.web.app import create_app

    return create_app
