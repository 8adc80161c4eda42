"""Keys that last minutes: what the console's playground asks the APIs with, in the name of whoever has signed in.

Such a key is kept nowhere but in the page that asked for it. It names a sign-in and the moment at which it ends, sealed
with the key to the store's secrets: only a gateway of this store can make one, and every gateway and every worker of it
can read one, whichever of them made it. What it may do is asked anew with each request, of the row of its sign-in,
which all of them share: so it ends with that sign-in, wherever that is ended, and never outlives its user's rights.
A signature with the sign-in's own secrets would need no sealing, but whoever reads the database could make one.
"""

from __future__ import annotations

import base64
import binascii
import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import orjson
import trio
from attrs import field

from kirotrio.access.audit import Actor
from kirotrio.access.key_terms import keys_are_given
from kirotrio.access.keys import PREFIX, Key
from kirotrio.classes import define, frozen
from kirotrio.config.team import UserSettings
from kirotrio.errors import AuthenticationFailed, KirotrioError, PermissionDenied
from kirotrio.store.database import Database
from kirotrio.store.key_record import PLAYGROUND
from kirotrio.store.sealer import KeyMissing, Sealer
from kirotrio.store.user_record import Role, Session
from kirotrio.store.vault import key_id_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

LASTS: Final = 600.0
"""Seconds."""
SHORT: Final = PREFIX + "short-"
"""How each begins. No key that is given out does: those have letters and digits alone behind their prefix."""
OWNERS: Final = frozenset({Role.OPERATOR, Role.MEMBER})
"""Whose keys may be made in the console."""
_PURPOSE: Final = "short keys"
"""What the seal is bound to: no other sealed value passes for one."""
_LONGEST: Final = 400
_LOOK_AGAIN: Final = 2.0
"""Seconds between two looks for the name of the key that seals, however many strangers offer what nobody sealed."""


@frozen
class ShortKey:
    """One that was made. `ends_at`: epoch seconds."""

    secret: str = field(repr=False)
    ends_at: float

    def seconds_left(self, now: float) -> float:
        return max(0.0, self.ends_at - now)


@define(eq=False)
class ShortKeys:
    """Those of one gateway process. `clock` is the wall clock, which gateways of one store have to agree on."""

    _database: Database
    _sealer: Sealer
    _users: UserSettings
    clock: Callable[[], float] = time.time
    _named: str = field(default="", init=False)
    """The id of the key that seals, as the database named it last."""
    _look_at: float = field(default=-math.inf, init=False)
    """Not before then."""
    _looking: trio.Lock = field(factory=trio.Lock, init=False)

    async def make(self, session: Session, actor: Actor) -> ShortKey:
        """One for this sign-in, which the audit log has. It ends no later than the sign-in does.

        Raises PermissionDenied for whom no key is made; SettingsError where there is nothing to seal with;
        StoreUnavailable. Cancelled, it may be noted and known to nobody.
        """
        self._check(session)
        now = self.clock()
        ends_at = min(now + LASTS, session.expires_at)
        plain = orjson.dumps([session.id, ends_at])
        entry = actor.entry("playground.key", session.user.name, now)

        def seal(connection: Connection) -> bytes:
            from kirotrio.store.audit_rows import note
            from kirotrio.store.revisions import begin_change
            from kirotrio.store.sealing import seal_in

            begin_change(connection)
            note(connection, entry)
            return seal_in(connection, self._sealer, plain, _PURPOSE)

        sealed = await self._database.write(seal)
        self._named = key_id_of(sealed)
        return ShortKey(SHORT + base64.urlsafe_b64encode(sealed).decode().rstrip("="), ends_at)

    async def find(self, offered: str) -> Key | None:
        """What a short key may do; None for what cannot be one.

        Raises AuthenticationFailed for one that has ended, or that nobody of this store has made, and
        StoreUnavailable.
        """
        if not offered.startswith(SHORT):
            return None
        sealed = _unwritten(offered)
        if sealed is None or not await self._is_sealed_here(sealed):
            raise _unknown()
        try:
            plain = await trio.to_thread.run_sync(self._sealer.open, sealed, _PURPOSE)
        except KirotrioError:
            raise _unknown() from None
        session_id, ends_at = orjson.loads(plain)
        if self.clock() >= ends_at:
            raise AuthenticationFailed("this key of the playground has expired; ask for another one on its page")
        session = await self._database.read(partial(self._session, session_id))
        if session is None:
            raise AuthenticationFailed("the sign-in that this key of the playground was for has ended; sign in again")
        self._check(session)
        return Key(
            id=PLAYGROUND + session.user.id,
            name="playground",
            prefix=SHORT,
            digest="",
            owner=session.user.id,
            created_at=session.created_at,
            expires_at=ends_at,
        )

    def _check(self, session: Session) -> None:
        needed = self._users.require_second_factor and session.user.is_operator
        if session.waits_for_code or (needed and session.user.second_factor_at is None):
            raise PermissionDenied("a second factor is needed first; set it up on your own page in the console")
        if session.user.role not in OWNERS:
            raise PermissionDenied("your role does not include this")
        if not (self._users.own_keys or session.user.is_operator):
            raise keys_are_given()  # it would be a key without the limits that operators set

    def _session(self, session_id: str, connection: Connection) -> Session | None:
        from kirotrio.store import sign_in_rows

        return sign_in_rows.find_by_id(connection, session_id, self.clock(), self._users.session_idle)

    async def _is_sealed_here(self, sealed: bytes) -> bool:
        """Whether the key that seals now has sealed it. Another one is not even looked for: a stranger would choose
        it, and the system's keyring be asked for it."""
        try:
            key_id = key_id_of(sealed)
        except KirotrioError:
            return False
        if key_id == self._named:
            return True
        async with self._looking:
            if key_id != self._named and trio.current_time() >= self._look_at:
                self._named = await self._database.read(self._look)
                self._look_at = trio.current_time() + _LOOK_AGAIN
        return key_id == self._named

    def _look(self, connection: Connection) -> str:
        from kirotrio.store.sealing import key_named

        named = key_named(connection)
        try:
            return self._sealer.current(named) if named else ""
        except KeyMissing:
            return ""


def _unknown() -> AuthenticationFailed:
    return AuthenticationFailed("this key of the playground was not made here; load the playground's page again")


def _unwritten(offered: str) -> bytes | None:
    text = offered.removeprefix(SHORT)
    if len(offered) > _LONGEST or not text.isascii():
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
