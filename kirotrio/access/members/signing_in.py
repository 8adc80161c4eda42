"""Signing in by password and second factor, and the sessions that come of it."""

from __future__ import annotations

import attrs
from sqlalchemy import Connection

from kirotrio.access.audit import Actor
from kirotrio.access.members.ground import Ground, actor_of, digest_of, slowed
from kirotrio.access.members.outcomes import Entered, NeedsSecondFactor, SignedIn, SignInRefused, refused, throttled
from kirotrio.access.names import as_password, normalised
from kirotrio.access.second_factor import SecondFactor
from kirotrio.errors import PermissionDenied
from kirotrio.store import audit_rows, sign_in_rows, user_rows
from kirotrio.store.revisions import begin_change
from kirotrio.store.sealing import purpose_of, seal_in
from kirotrio.store.user_record import Session, User

_SEEN_EVERY = 60.0


class SigningIn(Ground):
    async def sign_in(self, name: str, password: str, address: str = "", agent: str = "") -> Entered:
        """Whether the name is unknown, the user disabled or the password wrong: the answer, the work and the steps of
        the database are the same. Raises SignInRefused, Overloaded, StoreUnavailable."""
        user = await self._proved(normalised(name), password, address)

        def enter(connection: Connection) -> Entered | None:
            now = user_rows.find(connection, user.id)
            if now is None or not now.is_active or now.version != user.version:
                return None  # changed while the hash was computed
            return self._enter(connection, now, "password", address, agent)

        entered = await self._change(enter)
        if entered is None:
            raise refused()
        return entered

    async def second_factor(self, token: str, code: str, address: str = "", agent: str = "") -> SignedIn:
        """The code after the password: of six digits, or a recovery code. The session has another token than the one
        that waited. Raises SignInRefused, StoreUnavailable, and SettingsError where the key to the secrets is missing.
        """
        digest, now = digest_of(token), self.now()

        def work(connection: Connection) -> Entered | SignInRefused:
            begin_change(connection)  # so that of two who bring the same code one comes too late
            waiting = sign_in_rows.find(connection, digest, now, self.settings.users.session_idle)
            if waiting is None or not waiting.waits_for_code:
                return SignInRefused("this sign-in is over; begin it anew")
            user = waiting.user
            slow = slowed("code", user.id, address)
            if wait := sign_in_rows.begin_attempt(connection, slow, now):
                return throttled(wait)
            if not self._take_code(connection, user, code, now):
                failed = Actor("", "", address).entry("sign-in.fail", user.name, now, {"by": "code"})
                audit_rows.note(connection, failed)
                return SignInRefused("this code is not right, or was used already")
            sign_in_rows.take_back(connection, slow[0].name, slow[1].name if len(slow) > 1 else "")
            sign_in_rows.remove(connection, waiting.id)
            return self._enter(connection, user, "code", address, agent, second_factor=True)

        done = await self._change(work)
        if isinstance(done, SignInRefused):
            raise done
        assert not isinstance(done, NeedsSecondFactor)  # noqa: S101 - it was given
        return done

    async def session(self, token: str, *, waiting: bool = False) -> Session | None:
        """Who has signed in with this token; None where it is none, is over, was revoked, or was made before the user
        was changed. Looked at anew after `REMEMBERED` seconds. Raises StoreUnavailable.

        `waiting`: also a session that waits for its second factor, which nobody has signed in with yet.
        """
        if not token:
            return None
        digest, now, limits = digest_of(token), self.now(), self.settings.users
        known = self._remembered.get(digest)
        if known is not None and now < known[1] and now < known[0].expires_at:
            return known[0]
        self._remembered.pop(digest, None)
        found = await self.database.read(lambda link: sign_in_rows.find(link, digest, now, limits.session_idle))
        if found is None or found.waits_for_code:
            return found if waiting else None
        if now - found.seen_at >= min(_SEEN_EVERY, limits.session_idle / 10):
            session_id = found.id
            await self.database.write(lambda link: sign_in_rows.touch(link, session_id, seen_at=now))
            found = attrs.evolve(found, seen_at=now)
        found = self._judged(found)
        self._remember(digest, found)
        return found

    async def confirm(self, session: Session, password: str, address: str = "") -> Session:
        """The password again: then `is_confirmed` for five minutes. Raises SignInRefused as `sign_in` does."""
        await self._proved(session.user.name, password, address or session.address, again=session.user.id)
        now = self.now()
        await self._change(lambda link: sign_in_rows.touch(link, session.id, confirmed_at=now))
        return attrs.evolve(session, confirmed_at=now)

    async def confirm_as(self, session: Session, provider: str, subject: str) -> None:
        """The same for who has no password: a provider vouches for them again. Raises PermissionDenied for somebody
        else, and for who has a password."""
        now = self.now()

        def work(connection: Connection) -> bool:
            begin_change(connection)
            known = user_rows.identity(connection, provider, subject)
            user = user_rows.find(connection, session.user.id)
            if known is None or known.user_id != session.user.id or user is None or user.has_password:
                return False
            sign_in_rows.touch(connection, session.id, confirmed_at=now)
            return True

        if not await self._change(work):
            raise PermissionDenied("that sign-in does not confirm who you are here")

    async def sign_out(self, session: Session, address: str = "") -> None:
        def work(connection: Connection) -> None:
            if sign_in_rows.remove(connection, session.id):
                entry = actor_of(session, address).entry("sign-in.end", session.user.name, self.now())
                audit_rows.note(connection, entry)

        await self._change(work)

    async def sessions_of(self, user_id: str) -> tuple[Session, ...]:
        """Those that hold, the one used last first."""
        now, idle = self.now(), self.settings.users.session_idle
        found = await self.database.read(lambda link: sign_in_rows.of_user(link, user_id, now, idle))
        return tuple(self._judged(session) for session in found if not session.waits_for_code)

    async def revoke_session(self, actor: Actor, session_id: str, user_id: str | None = None) -> bool:
        """End one; with `user_id` only where it is that user's. Whether there was one."""

        def work(connection: Connection) -> bool:
            gone = sign_in_rows.remove(connection, session_id, user_id)
            if gone:
                audit_rows.note(connection, actor.entry("sign-in.revoke", session_id, self.now()))
            return gone

        return await self._change(work)

    async def revoke_sessions(self, actor: Actor, user: User, besides: str = "") -> int:
        """End all of a user's, `besides` one; how many there were."""

        def work(connection: Connection) -> int:
            count = sign_in_rows.remove_of(connection, user.id, besides)
            if count:
                audit_rows.note(connection, actor.entry("sign-in.revoke", user.name, self.now(), {"count": count}))
            return count

        return await self._change(work)

    async def _proved(self, name: str, password: str, address: str, *, again: str = "") -> User:
        """The active user of this name, whose password it is. Raises SignInRefused.

        `again`: the id of the user who has signed in and gives the password once more. Their failures count apart: no
        stranger who tries their name can keep them from it.
        """
        now, slow = self.now(), slowed("again", again, address) if again else slowed("name", name, address)

        def begin(connection: Connection) -> tuple[float, tuple[User, str] | None]:
            wait = sign_in_rows.begin_attempt(connection, slow, now)
            return wait, None if wait else user_rows.credentials(connection, name)

        wait, found = await self.database.write(begin)
        if wait:
            raise throttled(wait)
        user, hashed = found or (None, "")
        given = as_password(password)
        right = await self.passwords.matches(hashed, given)
        proved = user if right and user is not None and user.is_active else None
        anew = await self.passwords.hash(given) if proved and self.passwords.is_outdated(hashed) else ""

        def end(connection: Connection) -> None:
            if proved is None:
                known = user.name if user is not None else ""
                audit_rows.note(
                    connection, Actor("", "", address).entry("sign-in.fail", known, now, {"by": "password"})
                )
                return
            sign_in_rows.take_back(connection, slow[0].name, slow[1].name if len(slow) > 1 else "")
            if anew:
                user_rows.rehash(connection, proved.id, hashed, anew)

        await self.database.write(end)
        if proved is None:
            raise refused(named=not again)
        return proved

    def _take_code(self, connection: Connection, user: User, code: str, now: float) -> bool:
        """Whether the code is right, which it is once. Within a change that has begun."""
        factor = self._factor(connection, user.id)
        after = factor.checked(code, now) if factor is not None else None
        if after is None:
            return False
        self._keep_factor(connection, user.id, after)
        return True

    def _factor(self, connection: Connection, user_id: str) -> SecondFactor | None:
        sealed = user_rows.sealed_of(connection, user_id)
        if sealed is None:
            return None
        return SecondFactor.from_bytes(self.sealer.open(sealed, purpose_of("users", user_id)))

    def _keep_factor(self, connection: Connection, user_id: str, factor: SecondFactor | None) -> None:
        purpose = purpose_of("users", user_id)
        sealed = None if factor is None else seal_in(connection, self.sealer, factor.to_bytes(), purpose)
        user_rows.keep_sealed(connection, user_id, sealed)
