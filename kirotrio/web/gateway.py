"""What the application owns for as long as it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import field

from kirotrio.access.counting import Counting
from kirotrio.access.grant import Keyring
from kirotrio.access.modes import Modes
from kirotrio.access.rate import RatePerMinute
from kirotrio.accounts.lending.pool import Pool
from kirotrio.classes import define
from kirotrio.config.settings import Settings
from kirotrio.conversation.growing import Memory
from kirotrio.relay.register import Register
from kirotrio.relay.request import Relay
from kirotrio.store.responses import OwnResponses, ResponseMemory, ResponseStore
from kirotrio.telemetry.log import Log
from kirotrio.web.addresses import AddressRules
from kirotrio.web.bringing.tasks import Tasks
from kirotrio.web.incoming import Incoming
from kirotrio.web.intake import BodyIntake, Inflight

if TYPE_CHECKING:
    from kirotrio.access.key_admin import Keys
    from kirotrio.access.people import People
    from kirotrio.web.elsewhere import Elsewhere
    from kirotrio.web.recording import Recording
    from kirotrio.web.several.several import Several
    from kirotrio.web.workers.seat import Seat


_READERS: Final = 2


@define
class Gateway:
    """The long-lived parts of one gateway process."""

    settings: Settings
    relay: Relay
    accounts: Pool
    keyring: Keyring
    log: Log
    seat: Seat | None = None
    """Where several processes are this gateway, what they share."""
    several: Several | None = None
    """Where several gateways are on one database, what they share; a seat is then for what is of workers alone."""
    counting: Counting | None = None
    """Of what keys with limits use; None where no keys are given out."""
    name: str = ""
    """What people call it among several: its machine, and the port that it listens at."""
    recording: Recording | None = None
    """What records requests, where that is asked for."""
    recordings: Path | None = None
    """The folder where recordings are, or would be."""
    reading: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(_READERS))
    """Of recordings that are read for pages at one time: each may take its size many times over."""
    inflight: Inflight = field()
    rate: RatePerMinute = field()
    addresses: AddressRules = field()
    """Whom requests come from, and who is let in by address."""
    responses: ResponseMemory = field()
    """What Responses clients may continue and refer to, as far as this process keeps it."""
    stored_responses: ResponseStore = field()
    """The same wherever it is kept: asked and told by requests."""
    conversations: Memory[Any] = field(factory=Memory)
    """What the latest large bodies were read as: the next of the same conversation says it again."""
    modes: Modes = field(factory=Modes)
    """For whom the gateway works at present."""
    requests: Register[object] = field(factory=Register)
    """Every request that has been taken and not been answered to its end."""
    bringing: Tasks = field()
    """Sign-ins and imports that people do in the console."""
    draining: trio.Event = field(factory=trio.Event)
    """Set once the gateway is asked to stop: nothing new is taken."""
    origins: Mapping[str, str] = field(factory=dict)
    """Where each setting came from, by its name, for the page that shows them."""
    _people: People | None = field(default=None, init=False, repr=False)
    _elsewhere: Elsewhere | None = field(default=None, init=False, repr=False)

    @inflight.default
    def _default_inflight(self) -> Inflight:
        return Inflight(self.settings.server.max_inflight)

    @responses.default
    def _default_responses(self) -> ResponseMemory:
        limits = self.settings.responses
        return ResponseMemory(limits.max_memory, limits.keep, trio.current_time)

    @stored_responses.default
    def _default_stored_responses(self) -> ResponseStore:
        return self.several or self.seat or OwnResponses(self.responses)

    @bringing.default
    def _default_bringing(self) -> Tasks:
        return Tasks(self.log, self.seat, self.several.tasks if self.several is not None else None)

    @rate.default
    def _default_rate(self) -> RatePerMinute:
        return RatePerMinute(self.settings.server.rate_per_minute)

    @addresses.default
    def _default_addresses(self) -> AddressRules:
        return AddressRules.of(self.settings.access)

    def client_address(self, incoming: Incoming) -> str:
        """Whom the request comes from: an address in its usual spelling, "" where it has none."""
        return self.addresses.client(incoming.peer, incoming.fields)

    def is_secure(self, incoming: Incoming) -> bool:
        """Whether the client speaks TLS with a proxy in front that is trusted to say so."""
        return self.addresses.is_secure(incoming.peer, incoming.fields)

    @property
    def people(self) -> People:
        """The users of the console. The first to ask waits for SQLAlchemy, unless it is loaded already."""
        if self._people is None:
            from kirotrio.access.people import People

            store = self.accounts.shared
            self._people = People(store.database, store.sealer, self.settings, is_own_key=self.is_own_key)
        return self._people

    @property
    def keys(self) -> Keys:
        """The keys that are given out, for those who look after them."""
        from kirotrio.access.key_admin import Keys

        return Keys(self.accounts.shared.database, book=self.keyring.book)

    @property
    def elsewhere(self) -> Elsewhere:
        """Where people may sign in besides here."""
        if self._elsewhere is None:
            from kirotrio.web.elsewhere import Elsewhere

            store = self.accounts.shared
            self._elsewhere = Elsewhere.of(self.settings.sign_in, self.relay.transport, store.database, store.sealer)
        return self._elsewhere

    def is_own_key(self, key: str) -> bool:
        """Whether this is the gateway's own key, and not one that it has given out."""
        return self.keyring.holds(key)

    def intake(self, declared: int | None) -> BodyIntake:
        """Where a body comes in that says it will have so many bytes, if it says so."""
        return BodyIntake(self.inflight, self.settings.server.max_body, declared)
