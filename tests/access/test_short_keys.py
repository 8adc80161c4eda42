"""Keys of the playground: who gets one, what it may do, and that it ends with its time, its sign-in and its user."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from peoples import OPERATOR, House
from support.engines import Place

from kirotrio.access.grant import Keyring
from kirotrio.access.keys import is_key, new_key
from kirotrio.access.members.ground import actor_of
from kirotrio.access.short_keys import LASTS, SHORT, ShortKeys, _unwritten
from kirotrio.config.settings import Settings
from kirotrio.errors import AuthenticationFailed, PermissionDenied
from kirotrio.store import sign_in_rows
from kirotrio.store.database import Database
from kirotrio.store.user_record import Role
from kirotrio.store.vault import Vault, vault_of


def vault(folder: Path) -> Vault:
    return vault_of(attrs.evolve(Settings().store, key_source="file"), folder)


@attrs.define
class Ground:
    """A gateway's users and short keys; `another` is a second process of it."""

    database: Database
    house: House
    folder: Path
    keys: ShortKeys

    @classmethod
    def on(cls, database: Database, folder: Path, **users: Any) -> Ground:
        house = House.on(database, **{"own_keys": True, **users})
        folder.mkdir(parents=True, exist_ok=True)
        keys = ShortKeys(database, vault(folder), house.people.settings.users, house.clock)
        return cls(database, house, folder, keys)

    def another(self, database: Database | None = None) -> ShortKeys:
        users = self.house.people.settings.users
        return ShortKeys(database or self.database, vault(self.folder), users, self.house.clock)

    async def made(self, name: str = "anna", role: Role = Role.MEMBER) -> str:
        await self.house.add(name, role)
        session = (await self.house.enter(name)).session
        return (await self.keys.make(session, actor_of(session))).secret


@pytest.fixture
def ground(database: Database, tmp_path: Path) -> Ground:
    return Ground.on(database, tmp_path / "keys")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.MEMBER])
async def test_it_is_the_users_own_and_says_what_it_is(ground: Ground, role: Role) -> None:
    secret = await ground.made(role=role)
    grant = await Keyring({}, short=ground.keys).admit({"authorization": f"Bearer {secret}"})
    user = await ground.house.people.user_named("anna")
    assert user is not None
    assert grant.key_id == f"playground:{user.id}"
    assert (grant.owner, grant.accounts, grant.credential) == (user.id, None, None)
    assert grant.key is not None
    assert (grant.key.name, grant.key.owner, grant.key.counts) == ("playground", user.id, False)
    assert secret not in repr(grant)


async def test_the_audit_log_has_each_that_was_made(ground: Ground) -> None:
    await ground.made()
    assert (await ground.house.audited())[-1] == "playground.key"


async def test_a_viewer_gets_none_and_who_becomes_one_has_none(ground: Ground) -> None:
    with pytest.raises(PermissionDenied, match="your role"):
        await ground.made("ben", Role.VIEWER)
    secret = await ground.made("anna", Role.MEMBER)
    # Not by `set_role`, which ends the sign-ins: what a key may do is asked for with each request, whoever changed it.
    await ground.database.write(lambda link: link.exec_driver_sql("UPDATE users SET role = 'viewer'"))
    with pytest.raises(PermissionDenied, match="your role"):
        await ground.keys.find(secret)


async def test_an_operator_who_needs_a_second_factor_gets_none_before(database: Database, tmp_path: Path) -> None:
    ground = Ground.on(database, tmp_path / "keys", require_second_factor=True)
    with pytest.raises(PermissionDenied, match="second factor"):
        await ground.made(role=Role.OPERATOR)


async def test_it_ends_at_its_time_and_not_before(ground: Ground) -> None:
    secret = await ground.made()
    ground.house.clock.at += LASTS - 0.1
    assert await ground.keys.find(secret) is not None
    ground.house.clock.at += 0.1
    with pytest.raises(AuthenticationFailed, match="has expired"):
        await ground.keys.find(secret)


async def test_it_does_not_outlast_the_sign_in(database: Database, tmp_path: Path) -> None:
    ground = Ground.on(database, tmp_path / "keys", session_lifetime=60.0)
    secret = await ground.made()
    ground.house.clock.at += 60.0
    with pytest.raises(AuthenticationFailed, match="has expired"):
        await ground.keys.find(secret)


@pytest.mark.parametrize("how", ["sign-out", "revoked", "password", "disabled", "removed", "idle"])
async def test_it_ends_with_the_sign_in_however_that_ends(ground: Ground, how: str) -> None:
    people = ground.house.people
    user = await ground.house.add("anna", Role.MEMBER)
    session = (await ground.house.enter("anna")).session
    secret = (await ground.keys.make(session, actor_of(session))).secret
    await ground.house.enter("anna")  # another sign-in of theirs, which goes on
    elsewhere = ground.another()
    assert await elsewhere.find(secret) is not None
    if how == "sign-out":
        await people.sign_out(session)
    elif how == "revoked":
        await people.revoke_session(OPERATOR, session.id)
    elif how == "password":
        await people.set_password(OPERATOR, user.id, "another long password")
    elif how == "disabled":
        await people.disable(OPERATOR, user.id)
    elif how == "removed":
        await people.remove_user(OPERATOR, user.id)
    else:
        idle = ground.house.clock.at - people.settings.users.session_idle
        await ground.database.write(lambda link: sign_in_rows.touch(link, session.id, seen_at=idle))
    for keys in (ground.keys, elsewhere):
        with pytest.raises(AuthenticationFailed, match="has ended; sign in again"):
            await keys.find(secret)


async def test_what_one_process_made_another_reads_and_the_first_key_of_a_store_is_made_for_it(
    place: Place, tmp_path: Path
) -> None:
    database, elsewhere = place.open(), place.open()
    try:
        ground = Ground.on(database, tmp_path / "keys")
        other = ground.another(elsewhere)
        with pytest.raises(AuthenticationFailed, match="was not made here"):
            await other.find(SHORT + "A" * 100)
        ground.house.clock.at += 1.0
        secret = await ground.made()
        other._look_at = 0.0  # the moment after which it looks again has come
        found = await other.find(secret)
        assert found is not None
        assert found == await ground.keys.find(secret)
    finally:
        database.close()
        elsewhere.close()


async def test_one_that_was_altered_anywhere_is_refused(ground: Ground) -> None:
    secret = await ground.made()
    sealed = base64.urlsafe_b64decode(secret.removeprefix(SHORT) + "==")
    for place in range(len(sealed)):
        altered = bytes([*sealed[:place], sealed[place] ^ 1, *sealed[place + 1 :]])
        with pytest.raises(AuthenticationFailed, match="was not made here"):
            await ground.keys.find(SHORT + base64.urlsafe_b64encode(altered).decode().rstrip("="))


async def test_what_the_same_key_sealed_for_something_else_is_none(ground: Ground) -> None:
    secret = await ground.made()
    sealed = ground.keys._sealer.open(base64.urlsafe_b64decode(secret.removeprefix(SHORT) + "=="), "short keys")
    for purpose in ("sign-in elsewhere", "accounts/1/sealed"):
        moved = SHORT + base64.urlsafe_b64encode(ground.keys._sealer.seal(sealed, purpose)).decode().rstrip("=")
        with pytest.raises(AuthenticationFailed, match="was not made here"):
            await ground.keys.find(moved)


async def test_a_key_of_another_store_is_not_even_looked_for(ground: Ground, tmp_path: Path, monkeypatch: Any) -> None:
    await ground.made()
    theirs = vault(tmp_path)
    theirs.current("")
    foreign = SHORT + base64.urlsafe_b64encode(theirs.seal(b'["1", 9e9]', "short keys")).decode().rstrip("=")
    asked: list[str] = []
    key = Vault.key
    monkeypatch.setattr(Vault, "key", lambda self, key_id: asked.append(key_id) or key(self, key_id))
    with pytest.raises(AuthenticationFailed, match="was not made here"):
        await ground.keys.find(foreign)
    assert theirs.current("") not in asked


async def test_strangers_cannot_have_the_store_asked_as_often_as_they_like(ground: Ground, monkeypatch: Any) -> None:
    await ground.made()
    looks: list[int] = []
    look = ShortKeys._look
    monkeypatch.setattr(ShortKeys, "_look", lambda self, link: looks.append(1) or look(self, link))
    for number in range(50):
        garbage = SHORT + base64.urlsafe_b64encode(b"\x01" + bytes([number]) * 60).decode().rstrip("=")
        with pytest.raises(AuthenticationFailed):
            await ground.keys.find(garbage)
    assert len(looks) == 1


@given(st.text())
def test_whatever_is_offered_can_be_read_as_one_or_not(rest: str) -> None:
    assert _unwritten(SHORT + rest) is None or rest.isascii()


def test_no_key_that_is_given_out_looks_like_one(ground: Ground) -> None:
    assert not any(new_key().startswith(SHORT) for _ in range(100))
    assert not is_key(SHORT + "a" * 26)
