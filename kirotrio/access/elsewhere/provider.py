"""What can be asked of a provider, whichever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kirotrio.access.elsewhere.fetch import Fetch
from kirotrio.access.elsewhere.identity import Identity
from kirotrio.access.elsewhere.journey import Journey


class Provider(Protocol):
    """One place to sign in at."""

    @property
    def name(self) -> str:
        """What stands in the path `/console/sign-in/NAME`: openid, github or linuxdo."""

    @property
    def label(self) -> str:
        """What the button says after "Sign in with"."""

    @property
    def key(self) -> str:
        """`identities.provider`: another address of the same kind of provider has another key, since its subjects are
        other people."""

    async def departure(self, journey: Journey, redirect_uri: str, fetch: Fetch) -> str:
        """The address to send the browser to. Raises ElsewhereFailed."""

    async def arrival(
        self, journey: Journey, arguments: Mapping[str, str], redirect_uri: str, fetch: Fetch
    ) -> Identity:
        """Who came back with `arguments`, the query of the provider's answer. Raises ElsewhereFailed.

        Cancelled at any point, nothing was changed here; the code may be used up.
        """
