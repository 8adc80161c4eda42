"""Gateways on machines of their own, on one PostgreSQL: the key to the secrets, and people who are signed in."""

from __future__ import annotations

import shutil
from pathlib import Path

import attrs
import trio
from support.console import PASSWORD, Browser
from support.engines import Place, PostgresServer
from support.gateways import World, until, world
from support.several import kept

from kirotrio.accounts.opening import open_shared
from kirotrio.store.vault import KEY_FILE


def on_another_machine(w: World, folder: Path) -> World:
    return attrs.evolve(w, data_dir=folder)


async def test_a_gateway_without_the_key_says_so_once_and_goes_on_when_it_is_brought(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    """It had started before there was a secret."""
    ada = kept("ada")
    async with world(tmp_path / "one", ada, url=postgresql.migrated_database()) as w:
        (tmp_path / "other").mkdir()
        other = await on_another_machine(w, tmp_path / "other").gateway()
        await w.keep(ada)
        said = "the accounts in the store cannot be used here"
        await until(lambda: other.logged(said))
        (line,) = other.logged(said)
        assert "the key" in line["error"]
        assert "Copy it from the machine where it was made" in line["error"]
        assert str(tmp_path / "other" / KEY_FILE) in line["error"]
        shutil.copy(tmp_path / "one" / KEY_FILE, tmp_path / "other" / KEY_FILE)
        await until(other.pool.present)
        assert (await other.ask(account="ada")).status_code == 200
        assert other.logged("the accounts in the store can be used again")
        assert len(other.logged(said)) == 1, "it is said once"
        assert not other.logged("looking at the accounts failed")


async def test_who_is_signed_in_at_one_is_at_the_other_until_it_ends_at_either(tmp_path: Path, place: Place) -> None:
    async with world(place.data_dir, url=place.url, server={"api_key": "sk-kt-a-key-for-tests-only"}) as w:
        open_shared(w.settings, w.data_dir).database.close()
        one, other = await w.gateway(), await w.gateway()
        here = Browser(one.url, {})

        def at_the_other() -> Browser:
            there = Browser(other.url, {}, here.cookies)
            there.page = here.page
            return there

        await here.set_up()
        page = await at_the_other().open("/console/me")
        assert page.status_code == 200, "signed in at one, the next page comes from the other"
        assert "anna" in page.text
        # A form that the one has shown goes to the other.
        assert (await here.open("/console/me")).status_code == 200
        answer = await at_the_other().send("/console/sign-out")
        assert answer.status_code == 303, answer.text

        async def signed_in(gateway: Browser) -> bool:
            return (await gateway.open("/console/me")).status_code == 200

        with trio.fail_after(30):  # what another gateway revokes may hold for two seconds
            while await signed_in(here):  # noqa: ASYNC110 - the other end tells no event
                await trio.sleep(0.1)
        # A page of the one, from before anybody signs in, is taken by the other.
        fresh = Browser(one.url, {})
        await fresh.open("/console/sign-in")
        there = Browser(other.url, {}, fresh.cookies)
        there.page = fresh.page
        answer = await there.send("/console/sign-in", {"name": "anna", "password": PASSWORD, "next": "/console"})
        assert answer.status_code == 303, answer.text
        assert await signed_in(Browser(one.url, {}, there.cookies))
