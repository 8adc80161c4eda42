"""What our own connections bring, answered: the short way to the endpoints past the Quart application.

Quart's way (request object, context, router, response object, signals) costs 0.3 ms a request and its import 0.16 s
and 15 MB, so that a request whose method and path are those of a route goes to the route's endpoint at once. All else
(paths with a part left open, what is not found) goes to the application, which is made with the first of them and has
all the same routes; so does whatever is not HTTP/1.1. Guards, refusals and endpoints are the same in both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from kirotrio.web import answering, bridge
from kirotrio.web.answering import ask, deliver, refused, turned_away
from kirotrio.web.exchange import Exchange
from kirotrio.web.finishing import finish
from kirotrio.web.gateway import Gateway
from kirotrio.web.http1 import Malformed, RequestHead
from kirotrio.web.incoming import Endpoint, Incoming, Reply, Runs
from kirotrio.web.intake import BodyIntake
from kirotrio.web.naming import account_of, surface_of
from kirotrio.web.routes import SURFACES

if TYPE_CHECKING:
    from kirotrio.web.app import RelayApp


class GatewayFront:
    """`web.hosting.Front` of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._unloaded = dict(SURFACES)
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        """Of the surfaces that were asked for."""
        self._application: RelayApp | None = None
        self._loading = trio.Lock()

    def intake(self, head: RequestHead) -> BodyIntake:
        return self._gateway.intake(head.length)

    def malformed(self, malformed: Malformed) -> Reply:
        return answering.malformed(self._gateway, malformed)

    async def answer(self, exchange: Exchange) -> None:
        gateway = self._gateway
        gateway.requests.add(exchange)
        try:
            await self._answer(exchange)
        finally:
            gateway.requests.remove(exchange)
            exchange.intake.release()

    async def _answer(self, exchange: Exchange) -> None:
        gateway, head, intake = self._gateway, exchange.head, exchange.intake
        account, path = account_of(head.path)
        incoming = Incoming(path, account, head.headers, head.fields, head.query, intake, exchange.peer)
        ending: Incoming | None = incoming
        try:
            if (away := turned_away(gateway, incoming)) is not None:
                exchange.closes = exchange.closes or not intake.complete
                await deliver(gateway, away, intake, exchange, incoming.passage)
                return
            # Ahead of all else: what has been taken before a stop is answered to its end.
            answer: Runs | None = refused(gateway, incoming, head.size)
            passage = incoming.passage
            if answer is None:
                endpoint = self._endpoints.get((head.method, path))
                if endpoint is None and surface_of(path) in self._unloaded:
                    await self._load(surface_of(path))
                    endpoint = self._endpoints.get((head.method, path))
                if endpoint is None:
                    ending = None
                    await bridge.call(await self.application(), exchange)
                    return
                answer = await ask(gateway, endpoint, incoming)
            if passage.is_relayed:
                ending = None  # the relay's
            del incoming  # and with it all that only the endpoint has read, if nobody is to tell of it
            await deliver(gateway, answer, intake, exchange, passage)
        finally:
            if ending is not None:
                finish(gateway, ending)

    async def _load(self, surface: str) -> None:
        async with self._loading:  # or each of the first requests would wait in a thread of its own
            if surface not in self._unloaded:
                return
            # In a thread: nobody who asks for something else waits for an import.
            routes = await trio.to_thread.run_sync(self._unloaded[surface])
            for route in routes:
                if "<" not in route.path:
                    self._endpoints[route.method, route.path] = route.endpoint
                    if route.method == "GET":
                        self._endpoints["HEAD", route.path] = route.endpoint
            del self._unloaded[surface]

    async def application(self) -> RelayApp:
        if self._application is None:
            async with self._loading:
                if self._application is None:
                    create_app = await trio.to_thread.run_sync(_load_application)
                    self._application = create_app(self._gateway)
        return self._application


def _load_application() -> Callable[[Gateway], RelayApp]:
    from kirotrio.web.app import create_app

    return create_app
