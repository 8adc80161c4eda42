"""Sign-in elsewhere, as one gateway does it: the providers of its settings, its way to call them, its seal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

import trio
from attrs import field

from kirotrio.access.elsewhere.fetch import Fetch
from kirotrio.access.elsewhere.journey import PURPOSE, Journey, packed, plain, unpacked, written
from kirotrio.access.elsewhere.provider import Provider
from kirotrio.access.elsewhere.providers import providers_of
from kirotrio.classes import define
from kirotrio.config.team import SignInSettings
from kirotrio.errors import NotFound, Overloaded
from kirotrio.kiro.client import Transport
from kirotrio.store.database import Database
from kirotrio.store.sealer import Sealer
from kirotrio.web.provider_calls import ProviderCalls

if TYPE_CHECKING:
    from sqlalchemy import Connection

_MOST_ARRIVING: Final = 16
"""Sign-ins whose provider is asked at one time. Strangers can have us ask, so not for as many as they like."""


@define(eq=False)
class Elsewhere:
    """`now` is the wall clock in epoch seconds."""

    providers: Mapping[str, Provider]
    fetch: Fetch
    database: Database
    sealer: Sealer
    now: Callable[[], float] = time.time
    _arriving: trio.CapacityLimiter = field(factory=partial(trio.CapacityLimiter, _MOST_ARRIVING))

    @classmethod
    def of(cls, settings: SignInSettings, transport: Transport, database: Database, sealer: Sealer) -> Elsewhere:
        fetch = ProviderCalls(transport, settings.deadline)
        return cls(providers_of(settings, time.time), fetch, database, sealer)

    def provider(self, name: str) -> Provider:
        """Raises NotFound for one that the settings do not name."""
        found = self.providers.get(name)
        if found is None:
            raise NotFound(
                f"there is no sign-in by {name[:40]!r} here; the settings of sign_in name those that there are"
            )
        return found

    def place(self) -> trio.CapacityLimiter:
        """To be held while a provider is asked who somebody is. Raises Overloaded where too many do."""
        if not self._arriving.available_tokens:
            raise Overloaded("too many sign in at this moment; try again", retry_after=2.0)
        return self._arriving

    async def pack(self, journey: Journey) -> str:
        """As the cookie holds it. Raises StoreUnavailable, and SettingsError where the key to the secrets is missing.

        The key is the one that the database names, so that every gateway of it can read what one of them wrote.
        """

        def with_known(connection: Connection) -> str:
            from kirotrio.store.sealing import KeyMissing, key_named

            named = key_named(connection)
            try:
                return packed(journey, self.sealer) if named and self.sealer.current(named) else ""
            except KeyMissing:
                return ""

        def with_first(connection: Connection) -> str:
            from kirotrio.store.revisions import begin_change
            from kirotrio.store.sealing import seal_in

            begin_change(connection)
            return written(seal_in(connection, self.sealer, plain(journey), PURPOSE))

        return await self.database.read(with_known) or await self.database.write(with_first)

    async def unpack(self, cookie: str) -> Journey:
        """Raises ElsewhereFailed for what is no journey of ours, StoreUnavailable."""

        def work(connection: Connection) -> Journey:
            from kirotrio.store.sealing import key_named

            return unpacked(cookie, self.sealer, key_named(connection))

        return await self.database.read(work)
