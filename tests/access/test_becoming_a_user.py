"""Becoming a user, and being looked after: the first operator, invitations, approval, sign-ins elsewhere, removal."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable

import pytest
import trio
from access.peoples import HERE, OPERATOR, OWN_KEY, PASSWORD, House, entered
from support.engines import Place, PlainSealer

from kirotrio.access.key_admin import Keys
from kirotrio.access.members.outcomes import (
    ConfirmationNeeded,
    InvitationInvalid,
    NotOpen,
    SignInRefused,
    WaitingForApproval,
)
from kirotrio.access.people import CONFIRMED
from kirotrio.access.tidying import tidy
from kirotrio.errors import KirotrioError, SettingsError
from kirotrio.store import accounts, key_rows
from kirotrio.store.account_record import AccountRecord, Secrets
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.schema import accounts as account_table
from kirotrio.store.schema import invitations
from kirotrio.store.user_record import Role, UserState
from kirotrio.store.user_rows import LastOperator, UserGone, UserNameTaken


async def test_the_first_operator_proves_to_have_the_gateways_key(database: Database) -> None:
    house = House.on(database)
    assert not await house.people.has_operator()
    for proof in ("", "sk-kt-another", OWN_KEY + "x"):
        with pytest.raises(SignInRefused):
            await house.people.set_up("anna", PASSWORD, proof, HERE)
    assert not await house.people.has_operator()
    tries = [entry for entry in await house.log() if entry.action == "user.set-up-fail"]
    assert [(entry.address, entry.subject) for entry in tries] == [(HERE, "")] * 3, "each wrong key is noted"
    assert OWN_KEY not in repr(tries)
    done = entered(await house.people.set_up("Anna", PASSWORD, OWN_KEY, HERE))
    assert done.session.user.role is Role.OPERATOR
    assert done.session.user.display == "Anna"
    assert await house.people.has_operator()
    with pytest.raises(NotOpen):
        await house.people.set_up("bert", PASSWORD, OWN_KEY, HERE)


async def test_of_several_who_set_up_at_one_time_one_does(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        houses = []
        for _ in range(3):
            database = place.open()
            stack.callback(database.close)
            houses.append(House.on(database))
        done: list[str] = []

        async def attempt(house: House, name: str) -> None:
            with contextlib.suppress(NotOpen):
                await house.people.set_up(name, PASSWORD, OWN_KEY)
                done.append(name)

        async with trio.open_nursery() as nursery:
            for house, name in zip(houses, ("anna", "bert", "carla"), strict=True):
                nursery.start_soon(attempt, house, name)
        assert len(done) == 1
        assert (await houses[0].people.users(Listing())).total == 1


async def test_an_invitation_makes_a_user_of_its_role_once(database: Database) -> None:
    house = House.on(database)
    token = await house.people.invite(OPERATOR, Role.VIEWER, "bert@example.org")
    found = await house.people.invitation(token)
    assert found
    assert (found.role, found.email) == (Role.VIEWER, "bert@example.org")
    assert token not in repr(database.reading(lambda link: [*link.execute(invitations.select())]))
    with pytest.raises(SettingsError):
        await house.people.accept_invitation(token, "bert", "short")
    done = entered(await house.people.accept_invitation(token, "bert", PASSWORD, HERE))
    assert (done.session.user.role, done.session.user.email) == (Role.VIEWER, "bert@example.org")
    for again in (token, "no such token", "\ud800"):
        with pytest.raises(InvitationInvalid):
            await house.people.accept_invitation(again, "carla", PASSWORD)
    (used,) = (await house.people.invitations(Listing())).rows
    assert (used.used_by, used.used_at) == (done.session.user.id, house.clock.at)


async def test_a_taken_name_leaves_the_invitation_as_it_was(database: Database) -> None:
    house = House.on(database)
    await house.add("Anna")
    token = await house.people.invite(OPERATOR, Role.MEMBER)
    with pytest.raises(UserNameTaken):
        await house.people.accept_invitation(token, "ANNA", PASSWORD)
    await house.people.accept_invitation(token, "bert", PASSWORD)


async def test_of_several_who_accept_one_invitation_one_does(place: Place) -> None:
    with contextlib.ExitStack() as stack:
        houses = []
        for _ in range(4):
            database = place.open()
            stack.callback(database.close)
            houses.append(House.on(database))
        token = await houses[0].people.invite(OPERATOR, Role.MEMBER)
        done: list[str] = []

        async def accept(house: House, name: str) -> None:
            with contextlib.suppress(InvitationInvalid):
                await house.people.accept_invitation(token, name, PASSWORD)
                done.append(name)

        async with trio.open_nursery() as nursery:
            for number, house in enumerate(houses):
                nursery.start_soon(accept, house, f"user-{number}")
        assert len(done) == 1
        found = await houses[0].people.users(Listing())
        assert [user.name for user in found.rows] == done


async def test_an_invitation_ends(database: Database) -> None:
    house = House.on(database)
    late = await house.people.invite(OPERATOR, Role.MEMBER)
    back = await house.people.invite(OPERATOR, Role.MEMBER)
    (one, two) = (await house.people.invitations(Listing(sort="created_at"))).rows
    house.clock.at += 1
    for found in (one, two):
        assert await house.people.invitation(late)
        if found.id != (await house.people.invitation(late)).id:
            assert await house.people.revoke_invitation(OPERATOR, found.id)
            assert not await house.people.revoke_invitation(OPERATOR, found.id)
    with pytest.raises(InvitationInvalid):
        await house.people.accept_invitation(back, "anna", PASSWORD)
    house.clock.at += house.people.settings.users.invitation_lifetime
    with pytest.raises(InvitationInvalid):
        await house.people.accept_invitation(late, "anna", PASSWORD)


async def test_nobody_becomes_a_user_where_it_is_closed(database: Database) -> None:
    token = await House.on(database).people.invite(OPERATOR, Role.MEMBER)
    house = House.on(database, registration="closed")
    refused: list[Callable[[], Awaitable[object]]] = [
        lambda: house.people.invite(OPERATOR, Role.MEMBER),
        lambda: house.people.accept_invitation(token, "anna", PASSWORD),
        lambda: house.people.register("anna", PASSWORD),
        lambda: House.on(database).people.register("anna", PASSWORD),
        lambda: house.people.sign_in_as("github", "1", invitation=token),
    ]
    for attempt in refused:
        with pytest.raises(NotOpen):
            await attempt()
    assert (await house.people.users(Listing())).total == 0


async def test_who_asks_waits_and_is_let_in_by_an_operator(database: Database) -> None:
    house = House.on(database, registration="approval", new_role="viewer")
    await house.people.register("bert", PASSWORD, HERE)
    (bert,) = (await house.people.users(Listing(filters={"state": "waiting"}))).rows
    assert bert.role is Role.VIEWER
    with pytest.raises(SignInRefused, match="not right"):
        await house.enter("bert")
    with pytest.raises(SettingsError):
        await house.people.enable(OPERATOR, bert.id)
    approved = await house.people.approve(OPERATOR, bert.id, Role.MEMBER)
    assert (approved.state, approved.role) == (UserState.ACTIVE, Role.MEMBER)
    await house.enter("bert")


async def test_asking_says_nothing_of_whether_the_name_is_taken(database: Database) -> None:
    house = House.on(database, registration="approval")
    await house.add("anna")
    before = house.people.passwords.hashed
    await house.people.register("anna", "another good password", HERE)
    await house.people.register("bert", "another good password", HERE)
    assert house.people.passwords.hashed - before == 2
    assert (await house.people.users(Listing(filters={"state": "waiting"}))).total == 1
    await house.enter("anna")
    for number in range(3):
        await house.people.register(f"name-{number}", PASSWORD, HERE)
    with pytest.raises(SignInRefused):
        await house.people.register("name-5", PASSWORD, HERE)


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a\tb", "a\0b", "a\u202eb", "a" * 65, "<script>", "a/b", "\ud800", "a\u200bb"]
)
async def test_what_is_no_name_is_refused(database: Database, name: str) -> None:
    with pytest.raises(SettingsError):
        await House.on(database).add(name)


@pytest.mark.parametrize("password", ["", "xy7!z", "aaaaaaaaaaaaaaa", "anna-longer-name", "x" * 257])
async def test_what_is_no_password_is_refused_and_not_repeated(database: Database, password: str) -> None:
    with pytest.raises(SettingsError) as caught:
        await House.on(database).people.create_user(OPERATOR, "Anna-Longer-Name", password, Role.MEMBER)
    assert not password or password not in caught.value.message


async def test_names_that_look_alike_are_one(database: Database) -> None:
    house = House.on(database)
    await house.add("ﬁnn")  # a ligature
    for name in ("finn", "FINN", "Ｆｉｎｎ"):
        with pytest.raises(UserNameTaken):
            await house.add(name)


Change = Callable[[House, str], Awaitable[object]]

CHANGES: dict[str, Change] = {
    "disable": lambda house, user_id: house.people.disable(OPERATOR, user_id),
    "demote": lambda house, user_id: house.people.set_role(OPERATOR, user_id, Role.MEMBER),
    "remove": lambda house, user_id: house.people.remove_user(OPERATOR, user_id),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_the_last_operator_stays(database: Database, change: Change) -> None:
    house = House.on(database)
    anna = await house.add("anna")
    other = await house.add("other")
    await house.people.disable(OPERATOR, other.id)
    done, before = await house.enter(), await house.audited()
    with pytest.raises(LastOperator):
        await change(house, anna.id)
    assert await house.session(done.token), "nothing of it happened"
    assert await house.audited() == before
    await house.people.enable(OPERATOR, other.id)
    await change(house, anna.id)


@pytest.mark.parametrize("pair", list(itertools.combinations_with_replacement(CHANGES, 2)), ids="-".join)
async def test_of_two_operators_who_go_at_one_time_one_stays(place: Place, pair: tuple[str, str]) -> None:
    one, two = place.open(), place.open()
    try:
        houses = (House.on(one), House.on(two))
        users = [await houses[0].add(name) for name in ("anna", "bert")]
        stayed: list[int] = []

        async def go(number: int) -> None:
            try:
                await CHANGES[pair[number]](houses[number], users[number].id)
            except LastOperator:
                stayed.append(number)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(go, 0)
            nursery.start_soon(go, 1)
        assert len(stayed) == 1
        await houses[0].enter(("anna", "bert")[stayed[0]])
    finally:
        one.close()
        two.close()


async def test_accounts_that_a_removed_user_brought_go_along(database: Database) -> None:
    house = House.on(database)
    await house.add("anna")
    bert = await house.add("bert", Role.MEMBER)
    for name, owner in (("hers", bert.id), ("the-gateways", "")):
        record = AccountRecord(id=name, name=name, kind="social", secrets=Secrets(refresh_token=f"token of {name}"))
        database.writing(lambda link, record=record: accounts.add(link, PlainSealer(), record))
        database.writing(
            lambda link, name=name, owner=owner: link.execute(
                account_table.update().where(account_table.c.id == name).values(owner_id=owner)
            )
        )
    await Keys(database).create(OPERATOR, "ci", owner_id=bert.id)
    await house.people.remove_user(OPERATOR, bert.id)
    assert database.reading(accounts.names) == ["the-gateways"]
    assert (await house.log())[-1].detail == {"role": "member", "accounts": ["hers"], "keys": ["ci"]}
    with pytest.raises(UserGone):
        await house.people.disable(OPERATOR, bert.id)


async def test_gateways_read_keys_again_when_their_owner_may_do_something_else(database: Database) -> None:
    house = House.on(database)
    await house.add("anna")
    bert = await house.add("bert", Role.MEMBER)
    seen = [database.reading(key_rows.revision)]
    for change in (
        house.people.disable(OPERATOR, bert.id),
        house.people.enable(OPERATOR, bert.id),
        house.people.set_role(OPERATOR, bert.id, Role.VIEWER),
        house.people.remove_user(OPERATOR, bert.id),
    ):
        await change
        seen.append(database.reading(key_rows.revision))
    assert sorted(set(seen)) == seen


async def test_every_change_is_in_the_audit_log_with_its_actor(database: Database) -> None:
    house = House.on(database)
    user = await house.add("anna")
    await house.add("other")
    await house.people.set_role(OPERATOR, user.id, Role.MEMBER)
    await house.people.set_role(OPERATOR, user.id, Role.MEMBER)
    await house.people.disable(OPERATOR, user.id)
    await house.people.enable(OPERATOR, user.id)
    done = await house.enter()
    await house.people.set_language(done.session, "zh-Hans", "192.0.2.9")
    assert await house.audited() == [
        "user.create", "user.create", "user.set-role", "user.disable", "user.enable", "sign-in.succeed",
        "user.set-language",
    ]  # fmt: skip
    from kirotrio.access.audit import entries

    last = (await entries(database, Listing())).rows[0]
    assert (last.actor, last.actor_id, last.address) == ("anna", user.id, "192.0.2.9")
    assert last.detail == {"language": "zh-Hans"}


# -- sign-ins elsewhere


async def test_a_known_identity_is_its_user_and_an_unknown_one_is_refused(database: Database) -> None:
    house = House.on(database)
    await house.add("anna")
    session = (await house.enter()).session
    await house.people.attach_identity(session, "github", "42", "anna-at-github")
    done = entered(await house.people.sign_in_as("github", "42", address=HERE))
    assert done.session.user.id == session.user.id
    for provider, subject in (("github", "43"), ("linuxdo", "42"), ("github", "4\0" + "2"), ("", "")):
        with pytest.raises(SignInRefused):
            await house.people.sign_in_as(provider, subject, name="anna", email="anna@example.org")
    assert (await house.people.users(Listing())).total == 1


async def test_an_unknown_identity_is_never_taken_for_somebody_of_the_same_address(database: Database) -> None:
    house = House.on(database, registration="approval")
    anna = await house.people.create_user(OPERATOR, "anna", PASSWORD, Role.OPERATOR, "anna@example.org")
    with pytest.raises(WaitingForApproval):
        await house.people.sign_in_as("github", "7", name="anna", shown="anna", email="anna@example.org")
    (waiting,) = (await house.people.users(Listing(filters={"state": "waiting"}))).rows
    assert (waiting.name, waiting.role) == ("anna-2", Role.MEMBER)
    assert waiting.id != anna.id
    with pytest.raises(WaitingForApproval):
        await house.people.sign_in_as("github", "7", name="anna")
    await house.people.approve(OPERATOR, waiting.id)
    assert entered(await house.people.sign_in_as("github", "7")).session.user.id == waiting.id
    await house.people.disable(OPERATOR, waiting.id)
    with pytest.raises(SignInRefused):
        await house.people.sign_in_as("github", "7")


async def test_an_identity_may_use_an_invitation(database: Database) -> None:
    house = House.on(database)
    token = await house.people.invite(OPERATOR, Role.VIEWER)
    done = entered(await house.people.sign_in_as("openid-x", "sub", shown="<Ünal> & Co", invitation=token))
    assert (done.session.user.name, done.session.user.role) == ("ünal-co", Role.VIEWER)
    with pytest.raises(InvitationInvalid):
        await house.people.sign_in_as("openid-x", "other", shown="other", invitation=token)
    again = entered(await house.people.sign_in_as("openid-x", "sub"))
    assert again.session.user.id == done.session.user.id
    with pytest.raises(SettingsError, match="password"):
        await house.people.detach_identity(again.session, "openid-x", "sub")
    await house.people.change_password(again.session, "", PASSWORD)
    session = await house.session(again.token)
    assert session
    assert await house.people.detach_identity(session, "openid-x", "sub")


async def test_an_identity_belongs_to_one_user_and_takes_a_fresh_password(database: Database) -> None:
    house = House.on(database)
    await house.add("anna")
    await house.add("bert", Role.MEMBER)
    anna, bert = (await house.enter("anna")).session, (await house.enter("bert")).session
    await house.people.attach_identity(anna, "github", "42")
    with pytest.raises(SettingsError, match="another user"):
        await house.people.attach_identity(bert, "github", "42")
    house.clock.at += CONFIRMED
    with pytest.raises(ConfirmationNeeded):
        await house.people.attach_identity(anna, "github", "43")


async def test_a_sign_in_elsewhere_asks_for_the_second_factor_as_well(database: Database) -> None:
    house = House.on(database)
    await house.add("anna")
    await house.people.attach_identity((await house.enter()).session, "github", "42")
    await house.with_second_factor()
    waiting = await house.people.sign_in_as("github", "42")
    assert await house.people.session(waiting.token) is None


# -- what is over


async def test_what_is_over_goes_and_nothing_else(database: Database) -> None:
    house = House.on(database, keep_audit=60 * 86_400.0)
    user = await house.add()
    await house.people.invite(OPERATOR, Role.MEMBER)
    with contextlib.suppress(KirotrioError):
        await house.people.sign_in("nobody", "wrong password", HERE)
    settings = house.people.settings.users
    done = await house.enter()

    def rows() -> list[int]:
        tables = ("sign_ins", "throttles", "invitations", "audit", "users")
        return [
            database.reading(
                lambda link, table=table: link.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()
            )
            for table in tables
        ]

    before = rows()
    assert before[0] == 1
    database.writing(lambda link: tidy(link, settings, house.clock.at))
    assert rows() == before
    assert await house.session(done.token)
    database.writing(lambda link: tidy(link, settings, house.clock.at + 61 * 86_400))
    assert rows() == [0, 0, 0, 0, 1]
    assert await house.people.user(user.id)
