"""What is done to a user at one gateway holds at another one of the same database, within what docs/several.md says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import httpx
import pytest
import trio
from support.console import Browser, browser, notice
from support.engines import Place
from support.keys import ACTOR, client_of, give_out
from support.stack import Stack, running

from kirotrio.store.user_record import Role, User

WITHIN = 2.0
"""Seconds, as docs/several.md says."""
WRONG = "a wrong pass phrase"


@attrs.define
class Clock:
    """That people's sessions and waits go by, at both gateways."""

    at: float = attrs.field(factory=time.time)

    def __call__(self) -> float:
        return self.at


@attrs.define
class Two:
    """`bert` is an operator beside the first one, `anna`."""

    one: Stack
    other: Stack
    clock: Clock
    bert: User


@asynccontextmanager
async def two(place: Place, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Two]:
    async with running(place.data_dir, store={"url": place.url, "look_every": 0.05}) as one:
        other, clock = await one.another(), Clock()
        for gateway in (one, other):
            monkeypatch.setattr(gateway.gateway.people, "now", clock)
        await browser(one).set_up("anna")
        bert = await one.gateway.people.create_user(ACTOR, "bert", "a long pass phrase", Role.OPERATOR)
        yield Two(one, other, clock, bert)


async def _status(person: Browser, path: str) -> int:
    return (await person.open(path)).status_code


async def test_another_role_given_at_one_is_the_role_at_the_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(place, monkeypatch) as here:
        bert = browser(here.other)
        await bert.sign_in("bert")
        assert await _status(bert, "/console/users") == 200
        await here.one.gateway.people.set_role(ACTOR, here.bert.id, Role.VIEWER)
        here.clock.at += WITHIN
        assert await _status(bert, "/console/users") == 303, "what he was let into as an operator has ended"
        await bert.sign_in("bert")
        assert await _status(bert, "/console/me") == 200
        assert await _status(bert, "/console/users") == 403


async def test_who_is_disabled_at_one_is_nobody_at_the_other_and_neither_are_his_keys(
    place: Place, monkeypatch
) -> None:
    async with two(place, monkeypatch) as here:
        bert = browser(here.other)
        await bert.sign_in("bert")
        made = await give_out(here.one, owner_id=here.bert.id)
        async with client_of(here.other, made) as client:
            assert (await client.get("/v1/models")).status_code == 200
            assert await _status(bert, "/console/users") == 200
            await here.one.gateway.people.disable(ACTOR, here.bert.id)
            here.clock.at += WITHIN
            assert await _status(bert, "/console/users") == 303
            assert (await bert.sign_in("bert")).status_code == 401, "nor is he let in again"
            await _refused(client)


async def _refused(client: httpx.AsyncClient) -> None:
    """Within some looks: the keys are looked at by the machine's own clock."""
    with trio.fail_after(10):
        while (await client.get("/v1/models")).status_code != 401:  # noqa: ASYNC110 - another gateway has no event
            await trio.sleep(0.01)


async def test_wrong_passwords_are_counted_at_both_together_and_a_right_one_ends_it(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(place, monkeypatch) as here:
        gateways = [here.one, here.other]
        for number in range(5):  # which are free
            answer = await browser(gateways[number % 2]).sign_in("bert", WRONG)
            assert answer.status_code == 401, f"attempt {number + 1} was not taken: {notice(answer)}"
        for gateway in gateways:
            answer = await browser(gateway).sign_in("bert")
            assert answer.status_code == 429, "the right password waits as well, wherever it is brought"
            assert "oo many attempts have failed" in notice(answer)
        here.clock.at += 2.0
        assert (await browser(here.other).sign_in("bert")).status_code == 303
        for _ in range(5):
            assert (await browser(here.one).sign_in("bert", WRONG)).status_code == 401, "it counts from nought again"
