"""What connections bring, answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kirotrio.web import bridge
from kirotrio.web.app import create_app
from kirotrio.web.exchange import Exchange
from kirotrio.web.gateway import Gateway
from kirotrio.web.http1 import RequestHead
from kirotrio.web.intake import BodyIntake

if TYPE_CHECKING:
    from hypercorn.typing import ASGIFramework


class GatewayFront:
    """`web.server.Front` of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._application = create_app(gateway)

    def intake(self, head: RequestHead) -> BodyIntake:
        return self._gateway.intake(head.length)

    async def answer(self, exchange: Exchange) -> None:
        await bridge.call(self._application, exchange)

    async def application(self) -> ASGIFramework:
        return self._application
