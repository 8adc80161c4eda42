"""Calls to the providers that people sign in at: bounded in time and size, through the proxy of the settings."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import trio

from kirotrio import __version__
from kirotrio.access.elsewhere.fetch import LARGEST_ANSWER, Fetched
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.classes import frozen
from kirotrio.errors import SettingsError, UpstreamFailed
from kirotrio.kiro.client import Transport


@frozen
class ProviderCalls:
    """A `Fetch` over the gateway's own connections. `deadline` is for one call, in seconds.

    A redirect is not followed: a code, a secret or a token goes to the address that the settings or the provider's
    description name, and nowhere else. Cancellation closes the connection.
    """

    transport: Transport
    deadline: float

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Fetched:
        fields = {"user-agent": f"kirotrio/{__version__}", **(headers or {})}
        try:
            with trio.fail_after(self.deadline):
                async with self.transport.stream(method, url, headers=fields, body=body) as stream:
                    return Fetched(stream.status, await stream.read(LARGEST_ANSWER))
        except trio.TooSlowError:
            host = urlsplit(url).hostname
            said = f"{host} did not answer within {self.deadline:g} seconds"
            raise ElsewhereFailed(said, Trouble.UNREACHABLE) from None
        except UpstreamFailed as error:
            raise ElsewhereFailed(error.message, Trouble.UNREACHABLE) from error
        except SettingsError as error:
            raise ElsewhereFailed(error.message, Trouble.MISCONFIGURED) from error
