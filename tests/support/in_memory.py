"""An upstream in memory: what a `Transport` is called with, as one value, for whoever plays the service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

from attrs import frozen

from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.simulator.answers import Call

S = TypeVar("S")


@frozen
class Asking:
    """One HTTP call. `deadline`: seconds, None for a stream, which has none of its own."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    deadline: float | None = None

    @property
    def call(self) -> Call:
        """As the simulator takes it."""
        parts = urlsplit(self.url)
        lower = {name.lower(): value for name, value in self.headers.items()}
        return Call(self.method, parts.path, dict(parse_qsl(parts.query)), lower, self.body)


class InMemory(Generic[S]):
    """What a `Transport` does. The streams of one kind of service are `S`, with what `client.UpstreamStream` has."""

    async def called(self, asking: Asking) -> HttpAnswer:
        """The answer to a plain call."""
        raise NotImplementedError

    def streamed(self, asking: Asking) -> S:
        """The stream of a generation, which nobody has entered yet."""
        raise NotImplementedError

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
        proxy_url: str | None = None,
    ) -> HttpAnswer:
        return await self.called(Asking(method, url, headers or {}, body or b"", deadline))

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        proxy_url: str | None = None,
    ) -> S:
        return self.streamed(Asking(method, url, headers, body or b""))
