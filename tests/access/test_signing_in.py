"""Signing in: who gets in, who is slowed down, what a session is worth and when it ends. On both engines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from access.peoples import HERE, OPERATOR, PASSWORD, House

from kirotrio.access.members.outcomes import NeedsSecondFactor, SignInRefused
from kirotrio.access.passwords import Cost, Passwords
from kirotrio.access.people import CONFIRMED, REMEMBERED
from kirotrio.store import sign_in_rows
from kirotrio.store.database import Database
from kirotrio.store.schema import sign_ins, throttles, users
from kirotrio.store.sign_in_rows import FORGOTTEN
from kirotrio.store.user_record import Role
from kirotrio.store.user_rows import password_of


async def failure(house: House, name: str, password: str = "wrong password", address: str = HERE) -> SignInRefused:
    with pytest.raises(SignInRefused) as caught:
        await house.people.sign_in(name, password, address)
    return caught.value


async def test_the_right_password_signs_in_however_the_name_is_written(database: Database) -> None:
    house = House.on(database)
    await house.add("Änna")
    for name in ("Änna", "änna", "ÄNNA", " änna ", "A\u0308nna"):
        done = await house.enter(name)
        found = await house.session(done.token)
        assert found is not None
        assert (found.user.name, found.user.role, found.csrf) == ("änna", Role.OPERATOR, done.session.csrf)
        assert found.address == HERE
        assert house.people.is_confirmed(found)


async def test_nothing_that_is_kept_signs_anybody_in(database: Database) -> None:
    house = House.on(database)
    await house.add()
    done = await house.enter()
    kept = database.reading(lambda link: [*link.execute(sign_ins.select()), *link.execute(users.select())])
    everything = repr(kept)
    assert done.token not in everything
    assert PASSWORD not in everything
    assert "$argon2id$" in everything
    assert done.token not in repr(done)
    assert done.session.csrf not in repr(done)


async def test_whoever_is_refused_is_refused_alike_and_at_the_same_price(database: Database) -> None:
    house = House.on(database)
    await house.add("anna")
    bert = await house.add("bert", Role.MEMBER)
    await house.people.disable(OPERATOR, bert.id)
    carla = await house.people.create_user(OPERATOR, "carla", PASSWORD, Role.MEMBER)
    database.writing(lambda link: link.execute(users.update().where(users.c.id == carla.id).values(password="")))
    seen = set()
    for name, password in (
        ("anna", "wrong password"),
        ("bert", PASSWORD),
        ("bert", "wrong password"),
        ("carla", PASSWORD),
        ("carla", ""),
        ("nobody", PASSWORD),
        ("no\0body\ud800", "\ud800" * 2000),
        ("", ""),
    ):
        hashed, steps = house.people.passwords.hashed, len(await house.audited())
        refusal = await failure(house, name, password)
        seen.add((refusal.message, refusal.cause, refusal.retry_after, house.people.passwords.hashed - hashed))
        assert len(await house.audited()) - steps == 1
    assert len(seen) == 1
    assert seen.pop()[3] == 1, "each refusal computes one hash"


async def test_failures_slow_down_a_name_that_nobody_has_just_as_one_that_somebody_has(database: Database) -> None:
    house = House.on(database)
    await house.add("anna")
    waits: dict[str, list[float | None]] = {}
    for name in ("anna", "nobody"):
        began = house.clock.at
        for _ in range(12):
            refusal = await failure(house, name, address="")
            waits.setdefault(name, []).append(refusal.retry_after)
            if refusal.retry_after:
                house.clock.at += refusal.retry_after
        house.clock.at = began
    assert waits["anna"] == waits["nobody"]
    told = [wait for wait in waits["anna"] if wait]
    assert waits["anna"][:5] == [None] * 5
    assert waits["anna"][5] == 2.0, "after five failures the sixth attempt waits"
    assert told == [2.0, 4.0, 8.0, 16.0]


async def test_the_right_password_waits_too_and_then_clears_the_name(database: Database) -> None:
    house = House.on(database)
    await house.add()
    for _ in range(5):
        await failure(house, "anna")
    hashed = house.people.passwords.hashed
    refusal = await failure(house, "anna", PASSWORD)
    assert refusal.retry_after
    assert house.people.passwords.hashed == hashed, "nothing is computed for who has to wait"
    house.clock.at += refusal.retry_after
    await house.enter()
    for _ in range(5):
        assert (await failure(house, "anna")).retry_after is None


async def test_no_wait_is_longer_than_five_minutes_and_failures_are_forgotten(database: Database) -> None:
    house = House.on(database)
    await house.add()
    for _ in range(40):
        refusal = await failure(house, "anna", address="")
        assert (refusal.retry_after or 0) <= 300
        house.clock.at += refusal.retry_after or 0
    house.clock.at += FORGOTTEN + 301
    for _ in range(5):
        assert (await failure(house, "anna", address="")).retry_after is None


async def test_an_address_is_slowed_down_whatever_names_it_tries(database: Database) -> None:
    house = House.on(database)
    await house.add()
    for number in range(30):
        assert (await failure(house, f"name-{number}")).retry_after is None
    assert (await failure(house, "another")).retry_after
    assert (await failure(house, "another", address="192.0.2.2")).retry_after is None
    await house.enter(address="192.0.2.2")
    for number in range(30):
        host = f"2001:db8:1:2::{number + 1:x}"
        assert (await failure(house, f"other-{number}", address=host)).retry_after is None
    assert (await failure(house, "another", address="2001:db8:1:2:ffff::")).retry_after, "a /64 is one subscriber"
    assert (await failure(house, "another", address="2001:db8:1:3::")).retry_after is None


async def test_attempts_at_one_time_are_counted_as_one_after_the_other(database: Database) -> None:
    house = House.on(database)
    await house.add()
    outcomes: list[float | None] = []

    async def attempt() -> None:
        outcomes.append((await failure(house, "anna")).retry_after)

    async with trio.open_nursery() as nursery:
        for _ in range(15):
            nursery.start_soon(attempt)
    assert outcomes.count(None) == 5
    assert house.people.passwords.hashed == 1 + 5, "the user's own and five attempts"


async def test_what_was_typed_as_a_name_is_not_kept(database: Database) -> None:
    house = House.on(database)
    await failure(house, "My$ecretPassword")
    kept = database.reading(lambda link: repr([*link.execute(throttles.select())]))
    audited = database.reading(lambda link: repr(link.exec_driver_sql("SELECT * FROM audit").all()))
    assert "secretpass" not in (kept + audited).lower()


Ended = Callable[[House, str], Awaitable[object]]


async def _idle(house: House, _: str) -> None:
    house.clock.at += house.people.settings.users.session_idle


async def _disabled(house: House, user_id: str) -> None:
    await house.add("other")
    await house.people.disable(OPERATOR, user_id)


async def _other_role(house: House, user_id: str) -> None:
    await house.add("other")
    await house.people.set_role(OPERATOR, user_id, Role.VIEWER)


async def _other_password(house: House, user_id: str) -> None:
    await house.people.set_password(OPERATOR, user_id, "another good password")


async def _no_factor(house: House, user_id: str) -> None:
    await house.people.reset_second_factor(OPERATOR, user_id)


async def _removed(house: House, user_id: str) -> None:
    await house.add("other")
    await house.people.remove_user(OPERATOR, user_id)


async def _revoked(house: House, user_id: str) -> None:
    for session in await house.people.sessions_of(user_id):
        assert await house.people.revoke_session(OPERATOR, session.id)


@pytest.mark.parametrize("end", [_idle, _disabled, _other_role, _other_password, _no_factor, _removed, _revoked])
async def test_a_session_ends_with(database: Database, end: Ended) -> None:
    house = House.on(database)
    user = await house.add()
    done = await house.enter()
    other = House.on(database, house.clock)
    assert await other.people.session(done.token)
    await end(house, user.id)
    assert await house.people.session(done.token) is None, "at once where it was ended"
    house.clock.at += REMEMBERED
    assert await other.people.session(done.token) is None, "soon in every other gateway"
    assert await house.people.sessions_of(user.id) == ()


async def test_a_session_ends_after_its_lifetime_however_much_it_is_used(database: Database) -> None:
    house = House.on(database, session_idle=100.0, session_lifetime=1000.0)
    await house.add()
    done = await house.enter()
    for _ in range(19):
        house.clock.at += 51.0
        assert await house.people.session(done.token)
    house.clock.at += 49.0
    assert await house.people.session(done.token) is None


async def test_being_enabled_again_revives_no_session(database: Database) -> None:
    house = House.on(database)
    await house.add("other")
    user = await house.add()
    done = await house.enter()
    await house.people.disable(OPERATOR, user.id)
    await house.people.enable(OPERATOR, user.id)
    assert await house.session(done.token) is None
    await house.enter()


async def test_a_token_that_is_none_is_nobody(database: Database) -> None:
    house = House.on(database)
    for token in ("", "x", "\ud800", "\0", "a" * 10_000):
        assert await house.people.session(token) is None


async def test_signing_out_ends_this_session_alone(database: Database) -> None:
    house = House.on(database)
    user = await house.add()
    first, second = await house.enter(), await house.enter()
    await house.people.sign_out(first.session)
    assert await house.people.session(first.token) is None
    assert await house.people.session(second.token)
    assert [one.id for one in await house.people.sessions_of(user.id)] == [second.session.id]
    assert (await house.audited())[-1] == "sign-in.end"


async def test_the_password_again_counts_for_five_minutes(database: Database) -> None:
    house = House.on(database)
    await house.add()
    done = await house.enter()
    house.clock.at += CONFIRMED
    session = await house.people.session(done.token)
    assert session
    assert not house.people.is_confirmed(session)
    with pytest.raises(SignInRefused):
        await house.people.confirm(session, "wrong password")
    assert not house.people.is_confirmed(session)
    assert house.people.is_confirmed(await house.people.confirm(session, PASSWORD))
    again = await house.session(done.token)
    assert again
    assert house.people.is_confirmed(again)
    house.clock.at += CONFIRMED
    assert not house.people.is_confirmed(again)


async def test_strangers_who_try_a_name_keep_nobody_from_giving_the_password_again(database: Database) -> None:
    house = House.on(database)
    await house.add()
    session = (await house.enter()).session
    for _ in range(6):
        refusal = await failure(house, "anna")
    assert refusal.retry_after, "the name is tried too often"
    assert house.people.is_confirmed(await house.people.confirm(session, PASSWORD))
    for _ in range(5):
        with pytest.raises(SignInRefused):
            await house.people.confirm(session, "a guess of theirs")
    with pytest.raises(SignInRefused, match="too many"):
        await house.people.confirm(session, PASSWORD)


async def test_changing_ones_password_keeps_this_session_and_ends_the_others(database: Database) -> None:
    house = House.on(database)
    await house.add()
    mine, other = await house.enter(), await house.enter()
    with pytest.raises(SignInRefused):
        await house.people.change_password(mine.session, "wrong password", "another good password")
    await house.people.change_password(mine.session, PASSWORD, "another good password")
    assert await house.session(mine.token)
    assert await house.session(other.token) is None
    await failure(house, "anna", PASSWORD)
    await house.enter(password="another good password")


async def test_nobody_keeps_more_than_fifty_sessions(database: Database) -> None:
    house = House.on(database)
    user = await house.add()
    first = await house.enter()
    for _ in range(sign_in_rows.MOST_SESSIONS):
        house.clock.at += 1
        last = await house.enter()
    assert len(await house.people.sessions_of(user.id)) == sign_in_rows.MOST_SESSIONS
    assert await house.session(first.token) is None
    assert await house.session(last.token)


async def test_a_gateways_hash_costs_as_much_as_is_said(database: Database, usual_cost: Cost) -> None:
    house = House.on(database)
    house.people.passwords = Passwords(usual_cost)
    user = await house.add()
    made = database.reading(lambda link: password_of(link, user.id))
    assert made.startswith("$argon2id$v=19$m=47104,t=2,p=1$"), "weaker than documented, or a change to be told"
    assert await house.enter()
    assert Passwords().cost != usual_cost, "this fixture is what keeps the tests from making hashes of full price"


async def test_a_hash_of_another_cost_is_made_anew(database: Database) -> None:
    house = House.on(database)
    user = await house.add()
    dearer = House.on(database)
    dearer.people.passwords = Passwords(Cost(memory=16, time=1))
    await dearer.enter()
    assert "m=16," in database.reading(lambda link: password_of(link, user.id))
    await dearer.enter()


async def test_a_second_factor_is_asked_for_and_nobody_is_signed_in_before(database: Database) -> None:
    house = House.on(database)
    await house.add()
    totp, _ = await house.with_second_factor()
    waiting = await house.people.sign_in("anna", PASSWORD, HERE)
    assert isinstance(waiting, NeedsSecondFactor)
    assert await house.people.session(waiting.token) is None
    found = await house.people.session(waiting.token, waiting=True)
    assert found
    assert found.waits_for_code
    house.clock.at += 30
    done = await house.people.second_factor(waiting.token, totp.at(int(house.clock.at)), HERE)
    assert done.token != waiting.token
    assert await house.people.session(done.token)
    with pytest.raises(SignInRefused):
        await house.people.second_factor(waiting.token, totp.at(int(house.clock.at) + 30), HERE)


async def test_the_code_may_not_come_too_late(database: Database) -> None:
    house = House.on(database)
    await house.add()
    totp, _ = await house.with_second_factor()
    waiting = await house.people.sign_in("anna", PASSWORD, HERE)
    house.clock.at += 300
    with pytest.raises(SignInRefused, match="over"):
        await house.people.second_factor(waiting.token, totp.at(int(house.clock.at)), HERE)


async def test_a_code_is_taken_once_whoever_brings_it(database: Database) -> None:
    house = House.on(database)
    await house.add()
    totp, _ = await house.with_second_factor()
    house.clock.at += 60
    code = totp.at(int(house.clock.at))
    tokens = [(await house.people.sign_in("anna", PASSWORD, HERE)).token for _ in range(4)]
    outcomes: list[bool] = []

    async def bring(token: str) -> None:
        try:
            await house.people.second_factor(token, code, HERE)
        except SignInRefused:
            outcomes.append(False)
        else:
            outcomes.append(True)

    async with trio.open_nursery() as nursery:
        for token in tokens:
            nursery.start_soon(bring, token)
    assert sorted(outcomes) == [False, False, False, True]


async def test_codes_cannot_be_tried_out(database: Database) -> None:
    house = House.on(database)
    await house.add()
    await house.with_second_factor()
    told = []
    for _ in range(10):
        waiting = await house.people.sign_in("anna", PASSWORD, HERE)
        with pytest.raises(SignInRefused) as caught:
            await house.people.second_factor(waiting.token, "000000", HERE)
        told.append(caught.value.retry_after)
    assert told[:5] == [None] * 5
    assert all(told[5:]), "a right password in between does not help"


async def test_a_recovery_code_is_taken_once(database: Database) -> None:
    house = House.on(database)
    user = await house.add()
    _, codes = await house.with_second_factor()
    assert len(set(codes)) == 10
    assert codes[0] not in repr(database.reading(lambda link: [*link.execute(users.select())]))
    for code, taken in ((codes[3].upper(), True), (codes[3], False), (f" {codes[4].replace('-', '')}", True)):
        waiting = await house.people.sign_in("anna", PASSWORD, HERE)
        assert isinstance(waiting, NeedsSecondFactor)
        if taken:
            await house.people.second_factor(waiting.token, code, HERE)
        else:
            with pytest.raises(SignInRefused):
                await house.people.second_factor(waiting.token, code, HERE)
    assert len(await house.people.sessions_of(user.id)) == 3


async def test_an_operator_without_a_second_factor_can_only_set_one_up_where_it_is_required(database: Database) -> None:
    house = House.on(database, require_second_factor=True)
    await house.add()
    await house.add("bert", Role.MEMBER)
    assert not (await house.enter("bert")).session.needs_enrolment
    done = await house.enter()
    assert done.session.needs_enrolment
    found = await house.session(done.token)
    assert found
    assert found.needs_enrolment
    begun = await house.people.start_second_factor(found)
    import pyotp

    await house.people.enable_second_factor(found, pyotp.TOTP(begun.secret).at(int(house.clock.at)))
    after = await house.session(done.token)
    assert after
    assert not after.needs_enrolment
    from kirotrio.errors import SettingsError

    with pytest.raises(SettingsError):
        await house.people.disable_second_factor(after)
