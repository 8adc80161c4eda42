"""Looking after users. Who may do so is the caller's to check: an operator, or whoever sits at the command line."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select

from kirotrio.access import names
from kirotrio.access.audit import Actor
from kirotrio.access.members.factors import Factors
from kirotrio.access.members.ground import actor_of, slowed
from kirotrio.access.members.joining import Joining
from kirotrio.access.members.outcomes import refused
from kirotrio.errors import SettingsError
from kirotrio.store import accounts as account_rows
from kirotrio.store import audit_rows, key_rows, sign_in_rows, user_rows
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.revisions import begin_change
from kirotrio.store.schema import accounts
from kirotrio.store.user_record import Identity, Role, Session, User, UserState
from kirotrio.store.user_rows import UserGone


class Team(Factors, Joining):
    async def users(self, listing: Listing) -> Listed[User]:
        """As `user_rows.page` says."""
        return await self.database.read(lambda link: user_rows.page(link, listing))

    async def user(self, user_id: str) -> User | None:
        return await self.database.read(lambda link: user_rows.find(link, user_id))

    async def user_named(self, name: str) -> User | None:
        """Of that name, however its letters are written."""
        wanted = names.normalised(name)
        return await self.database.read(lambda link: user_rows.named(link, wanted))

    async def create_user(self, actor: Actor, name: str, password: str, role: Role, email: str = "") -> User:
        """Raises UserNameTaken, and SettingsError for what is no name, password or address."""
        user, hashed = await self._new_user(name, password, role, email=email)

        def work(connection: Connection) -> User:
            added = user_rows.add(connection, user, hashed)
            audit_rows.note(connection, actor.entry("user.create", added.name, self.now(), {"role": role.value}))
            return added

        return await self._change(work)

    async def approve(self, actor: Actor, user_id: str, role: Role | None = None) -> User:
        """Let somebody in who waits; with `role` as that. Raises UserGone, SettingsError for one who does not wait."""
        as_role = {} if role is None else {"role": role.value}
        return await self._alter(
            actor, "user.approve", user_id, UserState.WAITING, {"state": UserState.ACTIVE.value, **as_role}
        )

    async def enable(self, actor: Actor, user_id: str) -> User:
        """Raises UserGone, SettingsError for one who waits for approval."""
        return await self._alter(actor, "user.enable", user_id, UserState.DISABLED, {"state": UserState.ACTIVE.value})

    async def disable(self, actor: Actor, user_id: str) -> User:
        """Whoever waits is refused by it, too. Raises UserGone, LastOperator."""
        return await self._alter(actor, "user.disable", user_id, None, {"state": UserState.DISABLED.value})

    async def set_role(self, actor: Actor, user_id: str, role: Role) -> User:
        """Raises UserGone, LastOperator."""
        return await self._alter(actor, "user.set-role", user_id, None, {"role": role.value}, {"role": role.value})

    async def rename_user(self, actor: Actor, user_id: str, name: str, display: str) -> User:
        """Another name to sign in by, and to be called by; sessions go on. Raises UserGone, UserNameTaken, and
        SettingsError for what is no name."""
        wanted, shown = names.user_name(name), display.strip() or name.strip()
        if len(shown) > 128 or not shown.isprintable():
            raise SettingsError("this cannot be shown as a name; up to 128 letters and signs on one line can")

        def work(connection: Connection) -> User:
            begin_change(connection)
            before = user_rows.find(connection, user_id)
            if before is None:
                raise UserGone("there is no such user any more")
            there = user_rows.named(connection, wanted)
            if there is not None and there.id != user_id:
                raise user_rows.UserNameTaken(f"there is a user named {wanted} already; choose another name")
            after = user_rows.change(connection, user_id, self.now(), name=wanted, display=shown)
            told = {"before": before.name, "display": shown}
            audit_rows.note(connection, actor.entry("user.rename", after.name, self.now(), told))
            return after

        return await self._change(work)

    async def remove_user(self, actor: Actor, user_id: str) -> User:
        """With their keys and the accounts that they brought, whose sign-ins are theirs. Raises UserGone,
        LastOperator."""

        def work(connection: Connection) -> User:
            theirs = key_rows.names_of(connection, user_id)
            gone = user_rows.remove(connection, user_id)
            brought = connection.execute(select(accounts.c.id, accounts.c.name).where(accounts.c.owner_id == gone.id))
            taken = []
            for row in brought.all():
                account_rows.remove(connection, row.id)
                taken.append(row.name)
            _tell_of_keys(connection)
            detail = {"role": gone.role.value, "accounts": sorted(taken), "keys": theirs}
            detail = {name: value for name, value in detail.items() if value}
            audit_rows.note(connection, actor.entry("user.remove", gone.name, self.now(), detail))
            return gone

        return await self._change(work)

    async def set_password(self, actor: Actor, user_id: str, password: str) -> User:
        """In somebody's place, whose sessions all end. Raises UserGone, SettingsError for what is no password."""
        user = await self.user(user_id)
        if user is None:
            raise UserGone("there is no such user any more")
        hashed = await self._hashed(user, password)

        def work(connection: Connection) -> User:
            after = user_rows.change(connection, user_id, self.now(), voids=True, password=hashed)
            sign_in_rows.remove_of(connection, user_id)
            sign_in_rows.take_back(connection, slowed("name", after.name, "")[0].name, "")
            audit_rows.note(connection, actor.entry("user.set-password", after.name, self.now()))
            return after

        return await self._change(work)

    async def change_password(self, session: Session, current: str, password: str, address: str = "") -> None:
        """One's own; all other sessions end. Who has none yet, having come from elsewhere, needs no `current`.

        Raises SignInRefused where `current` is wrong, SettingsError for what is no password, ConfirmationNeeded.
        """
        if session.user.has_password:
            await self._proved(session.user.name, current, address or session.address, again=session.user.id)
        else:
            self.require_confirmed(session)
        hashed, now = await self._hashed(session.user, password), self.now()

        def work(connection: Connection) -> bool:
            begin_change(connection)
            before = user_rows.find(connection, session.user.id)
            if before is None or before.version != session.user.version or not before.is_active:
                return False  # changed while the hashes were computed
            after = user_rows.change(connection, before.id, now, voids=True, password=hashed)
            self._keep_session(connection, session, after, confirmed_at=now)
            audit_rows.note(connection, actor_of(session, address).entry("user.set-password", after.name, now))
            return True

        if not await self._change(work):
            raise refused()

    async def set_language(self, session: Session, language: str, address: str = "") -> User:
        """ "" takes the browser's. Raises SettingsError for what is no name of a language."""
        if len(language) > 16 or not all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in language):
            raise SettingsError("this is not the name of a language; one looks like en or zh-Hans")
        return await self._set(session.user.id, actor_of(session, address), "user.set-language", language=language)

    async def set_display(self, session: Session, display: str, address: str = "") -> User:
        """How one wants to be called. Raises SettingsError."""
        display = display.strip()
        if not display or len(display) > 128 or not display.isprintable():
            raise SettingsError("this cannot be shown as a name; up to 128 letters and signs on one line can")
        return await self._set(session.user.id, actor_of(session, address), "user.set-display", display=display)

    async def identities_of(self, user_id: str) -> tuple[Identity, ...]:
        """Who the user is elsewhere."""
        return await self.database.read(lambda link: user_rows.identities_of(link, user_id))

    async def attach_identity(
        self, session: Session, provider: str, subject: str, shown: str = "", address: str = ""
    ) -> None:
        """From now on that sign-in elsewhere is this user. Raises ConfirmationNeeded, SettingsError where it is
        somebody else's."""
        self.require_confirmed(session)
        now = self.now()
        made = Identity(provider=provider, subject=subject, user_id=session.user.id, shown=shown, created_at=now)

        def work(connection: Connection) -> bool:
            if not user_rows.attach(connection, made):
                return False
            entry = actor_of(session, address).entry("identity.attach", session.user.name, now, {"provider": provider})
            audit_rows.note(connection, entry)
            return True

        if not await self._change(work):
            raise SettingsError("that sign-in belongs to another user here")

    async def detach_identity(self, session: Session, provider: str, subject: str, address: str = "") -> bool:
        """Whether there was one. Raises ConfirmationNeeded, SettingsError where nothing would be left to sign in by."""
        self.require_confirmed(session)
        user, now = session.user, self.now()

        def work(connection: Connection) -> bool | None:
            begin_change(connection)
            others = [
                one
                for one in user_rows.identities_of(connection, user.id)
                if (one.provider, one.subject) != (provider, subject)
            ]
            if not others and not user_rows.password_of(connection, user.id):
                return None
            gone = user_rows.detach(connection, user.id, provider, subject)
            if gone:
                entry = actor_of(session, address).entry("identity.detach", user.name, now, {"provider": provider})
                audit_rows.note(connection, entry)
            return gone

        done = await self._change(work)
        if done is None:
            raise SettingsError("you could not sign in any more without it; set a password first")
        return done

    async def _hashed(self, user: User, password: str) -> str:
        return await self.passwords.hash(names.password(password, user.name, self.settings.users.password_length))

    async def _set(self, user_id: str, actor: Actor, action: str, **values: Any) -> User:
        def work(connection: Connection) -> User:
            after = user_rows.change(connection, user_id, self.now(), **values)
            audit_rows.note(connection, actor.entry(action, after.name, self.now(), values))
            return after

        return await self._change(work)

    async def _alter(
        self,
        actor: Actor,
        action: str,
        user_id: str,
        wanted: UserState | None,
        values: dict[str, Any],
        detail: dict[str, str] | None = None,
    ) -> User:
        """Change role or state, which ends all sessions. `wanted`: the state that it is changed from."""

        def work(connection: Connection) -> User:
            begin_change(connection)
            before = user_rows.find(connection, user_id)
            if before is None:
                raise UserGone("there is no such user any more")
            if all(getattr(before, name) == value for name, value in values.items()):
                return before  # it is so already
            if wanted is not None and before.state is not wanted:
                raise SettingsError(f"{before.name} is {before.state.value}, not {wanted.value}")
            after = user_rows.change(connection, user_id, self.now(), voids=True, **values)
            sign_in_rows.remove_of(connection, user_id)
            _tell_of_keys(connection)
            told = {**(detail or {}), "was": before.role.value if "role" in values else before.state.value}
            audit_rows.note(connection, actor.entry(action, after.name, self.now(), told))
            return after

        return await self._change(work)


def _tell_of_keys(connection: Connection) -> None:
    """What a user may do is what their keys may: gateways read those again."""
    key_rows.begin_change(connection)
    key_rows.bump(connection)
