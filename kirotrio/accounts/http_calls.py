"""The transport as this room sees it: one plain call, one whole answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kirotrio.kiro.http_answer import HttpAnswer


class HttpCalls(Protocol):
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
        """Make one call that may take `deadline` seconds. An HTTP error is an answer, not an exception.

        `proxy_url`: an account's own proxy; "" for none, None for the one of the settings.

        Raises UpstreamFailed (recovery RETRY) where the network fails, DeadlineExceeded when the time is up.
        """
