"""How somebody becomes a user: as the first operator, by an invitation, by asking, or known from elsewhere."""

from __future__ import annotations

import secrets
from uuid import uuid4

from sqlalchemy import Connection

from kirotrio.access import names
from kirotrio.access.audit import Actor, note
from kirotrio.access.members.ground import Ground, digest_of, slowed
from kirotrio.access.members.outcomes import (
    Entered,
    InvitationInvalid,
    NotOpen,
    SignInRefused,
    WaitingForApproval,
    throttled,
)
from kirotrio.errors import KirotrioError
from kirotrio.store import audit_rows, invitation_rows, sign_in_rows, user_rows
from kirotrio.store.columns import as_text
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.revisions import begin_change
from kirotrio.store.user_record import Identity, Invitation, Role, User, UserState

MOST_WAITING = 100
"""Users who may wait for approval at one time: strangers make them."""


class Joining(Ground):
    async def has_operator(self) -> bool:
        """Whether the gateway has been set up."""
        return await self.database.read(user_rows.has_operator)

    async def set_up(self, name: str, password: str, proof: str, address: str = "", agent: str = "") -> Entered:
        """Make the first operator, who is signed in then. `proof` is the gateway's own key: whoever merely reaches a
        fresh gateway first does not have it.

        Raises SignInRefused for a wrong proof, NotOpen where there is an operator, SettingsError for what is no name
        or password.
        """
        if await self.has_operator():
            raise NotOpen("this gateway is set up already; sign in")
        slow = slowed("set-up", "", address)
        if wait := await self.database.write(lambda link: sign_in_rows.begin_attempt(link, slow, self.now())):
            raise throttled(wait)
        if not self._is_own_key(proof):
            await note(self.database, Actor("", "", address).entry("user.set-up-fail", "", self.now(), {"by": "key"}))
            raise SignInRefused("this is not the gateway's key; `kirotrio keys show` prints it")
        await self.database.write(lambda link: sign_in_rows.take_back(link, slow[0].name, slow[-1].name))
        user, hashed = await self._new_user(name, password, Role.OPERATOR)

        def work(connection: Connection) -> Entered:
            begin_change(connection)
            if user_rows.has_operator(connection):
                raise NotOpen("this gateway is set up already; sign in")
            added = user_rows.add(connection, user, hashed)
            entry = Actor(added.id, added.name, address).entry("user.set-up", added.name, self.now())
            audit_rows.note(connection, entry)
            return self._enter(connection, added, "set-up", address, agent)

        return await self._change(work)

    async def invite(self, actor: Actor, role: Role, email: str = "") -> str:
        """The token of a new invitation, which is shown this once. Raises SettingsError for what is no address,
        NotOpen where `users.registration` is closed."""
        if self.settings.users.registration == "closed":
            raise NotOpen("users.registration is closed, so that nobody can accept an invitation")
        token, now = secrets.token_urlsafe(32), self.now()
        made = Invitation(
            id=str(uuid4()),
            role=role,
            email=names.email(email),
            created_by=actor.id,
            created_at=now,
            expires_at=now + self.settings.users.invitation_lifetime,
        )

        def work(connection: Connection) -> None:
            invitation_rows.add(connection, digest_of(token), made)
            entry = actor.entry("invitation.create", made.email or made.id, now, {"id": made.id, "role": role.value})
            audit_rows.note(connection, entry)

        await self._change(work)
        return token

    async def invitation(self, token: str) -> Invitation | None:
        """The one that can be accepted with this token now."""
        digest, now = digest_of(token), self.now()
        return await self.database.read(lambda link: invitation_rows.find(link, digest, now))

    async def invitations(self, listing: Listing) -> Listed[Invitation]:
        """As `invitation_rows.page` says."""
        return await self.database.read(lambda link: invitation_rows.page(link, listing))

    async def revoke_invitation(self, actor: Actor, invitation_id: str) -> bool:
        """Take it back. Whether there was one."""

        def work(connection: Connection) -> bool:
            gone = invitation_rows.remove(connection, invitation_id)
            if gone is not None:
                entry = actor.entry("invitation.remove", gone.email or gone.id, self.now(), {"id": gone.id})
                audit_rows.note(connection, entry)
            return gone is not None

        return await self._change(work)

    async def accept_invitation(
        self, token: str, name: str, password: str, address: str = "", agent: str = ""
    ) -> Entered:
        """Become a user by an invitation, and sign in. It is used up only where all of it succeeds.

        Raises InvitationInvalid, UserNameTaken, and SettingsError for what is no name or password.
        """
        invitation = await self._invitation(token)
        user, hashed = await self._new_user(name, password, invitation.role, email=invitation.email)

        def work(connection: Connection) -> Entered:
            return self._enter(
                connection, self._join(connection, user, hashed, token, address), "invitation", address, agent
            )

        return await self._change(work)

    async def register(self, name: str, password: str, address: str = "") -> None:
        """Ask to become a user. Says nothing of whether the name is taken: then there is a line in the audit log.

        Raises NotOpen, SignInRefused where this was asked too often, SettingsError for what is no name or password.
        """
        if self.settings.users.registration != "approval":
            raise NotOpen("nobody can ask to become a user here; ask the operator for an invitation")
        slow = slowed("register", address, address)
        if wait := await self.database.write(lambda link: sign_in_rows.begin_attempt(link, slow, self.now())):
            raise throttled(wait)
        role = Role(self.settings.users.new_role)
        user, hashed = await self._new_user(name, password, role, state=UserState.WAITING)

        def work(connection: Connection) -> None:
            begin_change(connection)
            taken = user_rows.named(connection, user.name) is not None
            entry = Actor("", "", address).entry("user.register", user.name, self.now(), {"taken": taken})
            audit_rows.note(connection, entry)
            if not taken:
                self._check_room(connection)
                user_rows.add(connection, user, hashed)

        await self._change(work)

    async def sign_in_as(
        self,
        provider: str,
        subject: str,
        *,
        shown: str = "",
        name: str = "",
        email: str = "",
        invitation: str = "",
        address: str = "",
        agent: str = "",
    ) -> Entered:
        """Sign in whom a provider vouches for. `name` is a proposal, `email` one that the provider has verified.

        A known identity is its user. An unknown one becomes a user by an invitation's token, or waits for approval, or
        is refused; it is never taken for a user who is there, whatever the e-mail. Raises SignInRefused,
        WaitingForApproval, InvitationInvalid.
        """
        if as_text(provider) != provider or as_text(subject) != subject or not provider or not subject:
            raise SignInRefused("who this is there cannot be kept here")
        now = self.now()

        def work(connection: Connection) -> Entered | KirotrioError:
            begin_change(connection)
            known = user_rows.identity(connection, provider, subject)
            user = user_rows.find(connection, known.user_id) if known is not None else None
            if user is None:
                if not invitation and self.settings.users.registration != "approval":
                    stranger = {"by": provider, "shown": as_text(shown)}
                    audit_rows.note(connection, Actor("", "", address).entry("sign-in.fail", "", now, stranger))
                    return SignInRefused("nobody here is known by that sign-in; ask the operator for an invitation")
                user = self._newcomer(connection, name or shown, email, invitation, address)
                user_rows.attach(
                    connection,
                    Identity(provider=provider, subject=subject, user_id=user.id, shown=as_text(shown), created_at=now),
                )
            if user.state is UserState.WAITING:
                return WaitingForApproval()
            if not user.is_active:
                entry = Actor("", "", address).entry("sign-in.fail", user.name, now, {"by": provider})
                audit_rows.note(connection, entry)
                return SignInRefused("this user may not sign in; ask the operator")
            return self._enter(connection, user, provider, address, agent)

        done = await self._change(work)
        if isinstance(done, KirotrioError):
            raise done
        return done

    def _newcomer(self, connection: Connection, shown: str, email: str, invitation: str, address: str) -> User:
        now = self.now()
        name = names.suggested(shown, set(user_rows.names(connection)))
        try:
            email = names.email(email)
        except KirotrioError:
            email = ""  # it is only shown
        if invitation:
            found = invitation_rows.find(connection, digest_of(invitation), now)
            if found is None:
                raise InvitationInvalid
            user = _made(name, shown, found.role, email=found.email or email, now=now)
            return self._join(connection, user, "", invitation, address)
        self._check_room(connection)
        role = Role(self.settings.users.new_role)
        user = _made(name, shown, role, email=email, state=UserState.WAITING, now=now)
        audit_rows.note(connection, Actor("", "", address).entry("user.register", name, now))
        return user_rows.add(connection, user, "")

    async def _invitation(self, token: str) -> Invitation:
        if self.settings.users.registration == "closed":
            raise NotOpen("nobody can become a user here")
        found = await self.invitation(token)
        if found is None:
            raise InvitationInvalid
        return found

    def _join(self, connection: Connection, user: User, hashed: str, token: str, address: str) -> User:
        """Use the invitation up for this user. Raises InvitationInvalid, UserNameTaken; nothing is changed then."""
        begin_change(connection)
        if self.settings.users.registration == "closed":
            raise NotOpen("nobody can become a user here")
        if not invitation_rows.accept(connection, digest_of(token), user.id, self.now()):
            raise InvitationInvalid
        added = user_rows.add(connection, user, hashed)
        entry = Actor(added.id, added.name, address).entry(
            "invitation.accept", added.name, self.now(), {"role": added.role.value}
        )
        audit_rows.note(connection, entry)
        return added

    async def _new_user(
        self, name: str, password: str, role: Role, *, email: str = "", state: UserState = UserState.ACTIVE
    ) -> tuple[User, str]:
        """Checked, with the hash of the password. Raises SettingsError."""
        wanted = names.user_name(name)
        given = names.password(password, wanted, self.settings.users.password_length)
        made = _made(wanted, name.strip(), role, email=names.email(email), state=state, now=self.now())
        return made, await self.passwords.hash(given)

    def _check_room(self, connection: Connection) -> None:
        if user_rows.count(connection, state=UserState.WAITING) >= MOST_WAITING:
            raise NotOpen("too many wait for approval already; try again later")


def _made(
    name: str, display: str, role: Role, *, now: float, email: str = "", state: UserState = UserState.ACTIVE
) -> User:
    display = "".join(sign for sign in display if sign.isprintable())[:128]
    return User(
        id=str(uuid4()),
        name=name,
        display=display or name,
        email=email,
        role=role,
        state=state,
        created_at=now,
        updated_at=now,
    )
