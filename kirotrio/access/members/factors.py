"""Setting a second factor up, and doing without it."""

from __future__ import annotations

from attrs import field
from sqlalchemy import Connection

from kirotrio.access.audit import Actor
from kirotrio.access.members.ground import actor_of, slowed
from kirotrio.access.members.outcomes import SignInRefused, throttled
from kirotrio.access.members.signing_in import SigningIn
from kirotrio.access.second_factor import address_of, begun
from kirotrio.classes import frozen
from kirotrio.errors import SettingsError
from kirotrio.store import audit_rows, sign_in_rows, user_rows
from kirotrio.store.revisions import begin_change
from kirotrio.store.user_record import Session, User

_ISSUER = "kirotrio"


@frozen
class Enrolment:
    """What an authenticator is to be told: by hand (`secret`) or as a picture of `address`."""

    secret: str = field(repr=False)
    address: str = field(repr=False)


class Factors(SigningIn):
    async def start_second_factor(self, session: Session) -> Enrolment:
        """A new secret, which asks for nothing before `enable_second_factor`. Raises ConfirmationNeeded, and
        SettingsError where the key to the secrets is missing."""
        self.require_confirmed(session)

        def work(connection: Connection) -> str:
            begin_change(connection)
            factor = begun(self._factor(connection, session.user.id))
            self._keep_factor(connection, session.user.id, factor)
            return factor.pending

        secret = await self._change(work)
        return Enrolment(secret, address_of(secret, session.user.name, _ISSUER))

    async def pending_second_factor(self, session: Session) -> Enrolment | None:
        """What `start_second_factor` gave, as long as it waits for its first code."""
        factor = await self.database.read(lambda link: self._factor(link, session.user.id))
        if factor is None or not factor.pending:
            return None
        return Enrolment(factor.pending, address_of(factor.pending, session.user.name, _ISSUER))

    async def enable_second_factor(self, session: Session, code: str, address: str = "") -> tuple[str, ...]:
        """From now on a code is asked for; all other sessions of this user end. The recovery codes, shown this once.

        Raises SignInRefused for a wrong code, ConfirmationNeeded.
        """
        self.require_confirmed(session)
        now, user = self.now(), session.user
        slow = slowed("code", user.id, address)

        def work(connection: Connection) -> tuple[str, ...] | SignInRefused:
            begin_change(connection)
            if wait := sign_in_rows.begin_attempt(connection, slow, now):
                return throttled(wait)
            factor = self._factor(connection, user.id)
            enabled = factor.enabled(code, now) if factor is not None else None
            if enabled is None:
                return SignInRefused("this code is not right; look whether the clocks agree, and enter the next one")
            sign_in_rows.take_back(connection, slow[0].name, slow[1].name if len(slow) > 1 else "")
            self._keep_factor(connection, user.id, enabled[0])
            after = user_rows.change(connection, user.id, now, voids=True, second_factor_at=now)
            self._keep_session(connection, session, after, second_factor_at=now)
            audit_rows.note(connection, actor_of(session, address).entry("user.enable-second-factor", user.name, now))
            return enabled[1]

        done = await self._change(work)
        if isinstance(done, SignInRefused):
            raise done
        return done

    async def disable_second_factor(self, session: Session, address: str = "") -> None:
        """Ask for none any more; all other sessions of this user end. Raises ConfirmationNeeded, and SettingsError
        where operators have to have one."""
        self.require_confirmed(session)
        if self.settings.users.require_second_factor and session.user.is_operator:
            raise SettingsError("operators have to have a second factor here (users.require_second_factor)")
        now, user = self.now(), session.user

        def work(connection: Connection) -> None:
            begin_change(connection)
            self._keep_factor(connection, user.id, None)
            after = user_rows.change(connection, user.id, now, voids=True, second_factor_at=None)
            self._keep_session(connection, session, after, second_factor_at=None)
            audit_rows.note(connection, actor_of(session, address).entry("user.disable-second-factor", user.name, now))

        await self._change(work)

    async def reset_second_factor(self, actor: Actor, user_id: str) -> User:
        """For somebody who has lost it. All their sessions end. Raises UserGone."""

        def work(connection: Connection) -> User:
            begin_change(connection)
            after = user_rows.change(connection, user_id, self.now(), voids=True, second_factor_at=None)
            self._keep_factor(connection, user_id, None)
            audit_rows.note(connection, actor.entry("user.reset-second-factor", after.name, self.now()))
            return after

        return await self._change(work)

    def _keep_session(self, connection: Connection, session: Session, user: User, **changes: float | None) -> None:
        """The session through which the user was changed goes on; the others end."""
        sign_in_rows.remove_of(connection, user.id, besides=session.id)
        sign_in_rows.touch(connection, session.id, version=user.version, **changes)
