"""Signing in by a real OpenID provider that runs in a process of its own, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
import pytest
from support.console import kept_fields, let_confirmation_end
from support.openid_process import OpenIdProcess, free_port, openid_process
from support.stack import KEY, Stack, changed, running
from support.visitors import BOSS, Visitor, member, operator

from kirotrio.store.listing import Listing
from kirotrio.store.user_record import Role, User, UserState
from kirotrio.web.console.origin import token_of_link

START = "/console/sign-in/openid"
CALLBACK = "/console/sign-in/openid/callback"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProcess]:
    with openid_process(tmp_path_factory.mktemp("provider")) as process:
        process.knows("alice-1", email="alice@example.com", email_verified=True, preferred_username="alice")
        yield process


@asynccontextmanager
async def gate(provider: OpenIdProcess, folder: Path, **users: Any) -> AsyncIterator[Stack]:
    """A gateway that the provider knows, with an operator. `users` are settings of that section."""
    port = free_port()
    client_id, secret = provider.register(f"http://127.0.0.1:{port}{CALLBACK}")
    sign_in = {"openid_issuer": provider.url, "openid_client_id": client_id, "openid_client_secret": secret}
    async with running(
        folder, server={"port": port}, sign_in={**sign_in, "openid_name": "Example"}, users=users
    ) as stack:
        await operator(stack.gateway.people, KEY)
        yield stack


async def users(stack: Stack) -> dict[str, User]:
    found = await stack.gateway.people.users(Listing())
    return {user.name: user for user in found.rows}


async def test_the_sign_in_page_leads_to_the_provider(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack, Visitor(stack.url) as visitor:
        page = await visitor.go("/console/sign-in")
        assert "Sign in with Example" in page.text
        assert f'href="{START}?' in page.text


async def test_a_new_user_waits_for_approval_and_is_let_in_then(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path, registration="approval") as stack:
        people = stack.gateway.people
        async with Visitor(stack.url, "alice-1") as alice:
            page = await alice.go(START)
            assert page.status_code == 403
            assert "approve" in page.text
            assert await alice.user(people) is None
        made = (await users(stack))["alice"]
        assert (made.state, made.role, made.email) == (UserState.WAITING, Role.MEMBER, "alice@example.com")
        await people.approve(BOSS, made.id)
        async with Visitor(stack.url, "alice-1") as alice:
            page = await alice.go(f"{START}?next=/console/me")
            assert page.status_code == 200
            assert str(page.url) == f"{stack.url}/console/me"
            found = await alice.user(people)
            assert found is not None
            assert found.id == made.id
            assert "alice@example.com" in page.text
            assert "kirotrio-elsewhere" not in alice.http.cookies


async def test_an_invitation_makes_a_user_of_whoever_comes_with_it(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack:
        people = stack.gateway.people
        token = await people.invite(BOSS, Role.VIEWER)
        async with Visitor(stack.url, "bob-1") as bob:
            page = await bob.go(f"/console/invitation/{token}")
            assert f"invitation={token}" in page.text
            assert (await bob.go(f"{START}?invitation={token}")).status_code == 200
            found = await bob.user(people)
            assert found is not None
            assert found.role is Role.VIEWER
        async with Visitor(stack.url, "carol-1") as carol:
            await carol.go(f"{START}?invitation={token}")
            assert await carol.user(people) is None


@pytest.mark.parametrize("registration", ["closed", "invitation"])
async def test_a_stranger_is_refused_and_nobody_is_taken_for_another_by_an_address(
    provider: OpenIdProcess, tmp_path: Path, registration: str
) -> None:
    async with gate(provider, tmp_path, registration=registration) as stack:
        people = stack.gateway.people
        await member(people, "alice", email="alice@example.com")
        async with Visitor(stack.url, "alice-1") as alice:
            page = await alice.go(START)
            assert page.status_code == 401
            assert await alice.user(people) is None
        assert set(await users(stack)) == {"boss", "alice"}


async def test_a_disabled_user_is_refused(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack:
        people = stack.gateway.people
        token = await people.invite(BOSS, Role.MEMBER)
        async with Visitor(stack.url, "dora-1") as dora:
            await dora.go(f"{START}?invitation={token}")
            found = await dora.user(people)
            assert found is not None
        await people.disable(BOSS, found.id)
        async with Visitor(stack.url, "dora-1") as dora:
            assert (await dora.go(START)).status_code == 401
            assert await dora.user(people) is None


async def test_whoever_does_not_agree_is_not_signed_in(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path, registration="approval") as stack, Visitor(stack.url) as nobody:
        page = await nobody.go(START)
        assert "error=access_denied" in nobody.went[-1]
        # Some versions of this provider forget the state with their no, so that it could be anybody's.
        assert page.status_code == (403 if "state=" in nobody.went[-1] else 400)
        assert set(await users(stack)) == {"boss"}


async def test_an_answer_counts_once_and_in_its_own_browser_alone(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path, registration="approval") as stack:
        people = stack.gateway.people
        async with Visitor(stack.url, "alice-1") as alice, Visitor(stack.url, "eve-1") as eve:
            back = (await alice.go(START, until=CALLBACK)).headers["location"]
            # Who is lured into opening somebody else's answer is not signed in as them.
            await eve.go(START, until=CALLBACK)
            assert (await eve.go(back)).status_code == 400
            async with Visitor(stack.url) as fresh:
                assert (await fresh.go(back)).status_code == 400
            assert set(await users(stack)) == {"boss"}
            journey = alice.http.cookies["kirotrio-elsewhere"]
            await alice.go(back)
            await people.approve(BOSS, (await users(stack))["alice"].id)
            assert (await alice.go(back)).status_code == 400
            alice.http.cookies.set("kirotrio-elsewhere", journey, domain="127.0.0.1", path="/")
            page = await alice.go(back)  # the code was used
            assert page.status_code == 400
            assert "used already" in page.text
            assert await alice.user(people) is None


@pytest.mark.parametrize("change", ["state=x", "code=x", "iss=https://evil.example.com"])
async def test_an_answer_that_was_altered_is_refused(provider: OpenIdProcess, tmp_path: Path, change: str) -> None:
    async with gate(provider, tmp_path, registration="approval") as stack, Visitor(stack.url, "alice-1") as alice:
        back = (await alice.go(START, until=CALLBACK)).headers["location"]
        assert (await alice.go(f"{back}&{change}")).status_code in (400, 403)
        assert set(await users(stack)) == {"boss"}


async def test_another_gateway_on_the_same_store_takes_the_browser_back(
    provider: OpenIdProcess, tmp_path: Path
) -> None:
    async with gate(provider, tmp_path, registration="approval") as stack:
        async with Visitor(stack.url, "alice-1") as alice:
            back = urlsplit((await alice.go(START, until=CALLBACK)).headers["location"])
            # The other's own address would be another redirect URI, so it is asked under the first one's.
            stack.settings = changed(stack.settings, {"server": {"port": 0}})
            second = await stack.another()
            answer = await alice.http.get(
                f"{second.url}{back.path}?{back.query}", headers={"host": f"127.0.0.1:{stack.port}"}
            )
            assert answer.status_code == 403
            assert "approve" in answer.text


async def test_an_identity_is_attached_used_and_detached(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack:
        people = stack.gateway.people
        made = await member(people, "mara")
        async with Visitor(stack.url, "mara-1") as mara:
            await mara.sign_in("mara")
            page = await mara.go("/console/me/identities")
            link = page.text.partition(f'href="{START}?attach=')[2].partition('"')[0]
            assert (await mara.go(f"{START}?attach={'0' * 43}")).status_code == 403
            page = await mara.go(f"{START}?attach={link}")
            assert "From now on you can sign in with Example." in page.text
            assert [one.subject for one in await people.identities_of(made.id)] == ["mara-1"]
        async with Visitor(stack.url, "mara-1") as again:
            await again.go(START)
            found = await again.user(people)
            assert found is not None
            assert found.id == made.id
            (one,) = await people.identities_of(made.id)
            await again.send(
                "/console/me/identities/detach", "/console/me/identities", provider=one.provider, subject=one.subject
            )
        async with Visitor(stack.url, "mara-1") as gone:
            assert (await gone.go(START)).status_code == 401


async def test_an_identity_of_somebody_else_is_not_attached(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack:
        people = stack.gateway.people
        token = await people.invite(BOSS, Role.MEMBER)
        async with Visitor(stack.url, "nora-1") as nora:
            await nora.go(f"{START}?invitation={token}")
            owner = await nora.user(people)
            assert owner is not None
        await member(people, "olaf")
        async with Visitor(stack.url, "nora-1") as olaf:
            await olaf.sign_in("olaf")
            page = await olaf.go("/console/me/identities")
            link = page.text.partition(f'href="{START}?attach=')[2].partition('"')[0]
            page = await olaf.go(f"{START}?attach={link}")
            assert "belongs to another user" in page.text
        assert len(await people.identities_of(owner.id)) == 1


async def test_an_identity_is_attached_to_nobody_but_who_asked_for_it(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack:
        people = stack.gateway.people
        first, second = await member(people, "quinn"), await member(people, "rosa")
        async with Visitor(stack.url, "quinn-1") as shared:
            await shared.sign_in("quinn")
            page = await shared.go("/console/me/identities")
            link = page.text.partition(f'href="{START}?attach=')[2].partition('"')[0]
            back = (await shared.go(f"{START}?attach={link}", until=CALLBACK)).headers["location"]
            await shared.send("/console/sign-out", "/console/me")
            await shared.sign_in("rosa")
            assert (await shared.go(back)).status_code == 400
        assert not [*await people.identities_of(first.id), *await people.identities_of(second.id)]


async def test_who_has_no_password_confirms_at_the_provider_and_loses_nothing_of_a_form(
    provider: OpenIdProcess, tmp_path: Path
) -> None:
    async with gate(provider, tmp_path, own_keys=True) as stack:
        people = stack.gateway.people
        async with Visitor(stack.url, "wilma-1") as wilma:
            await wilma.go(f"{START}?invitation={await people.invite(BOSS, Role.MEMBER)}")
        async with Visitor(stack.url, "vera-1") as vera:
            await vera.go(f"{START}?invitation={await people.invite(BOSS, Role.MEMBER)}")
            made = await vera.user(people)
            assert made is not None
            await let_confirmation_end(stack, made.name)
            page = await vera.send("/console/keys", "/console/keys", name="<mine>", models="a")
            assert page.status_code == 403, page.text
            assert not (await stack.gateway.keys.list(Listing())).rows
            held = kept_fields(page)
            assert held == {"name": ["<mine>"], "models": ["a"]}
            link = unescape(page.text.partition(f'href="{START}?')[2].partition('"')[0])
            assert "&lt;mine&gt;" not in link
            assert 'target="_blank"' in page.text, "the page that holds what was entered stays"
            assert (await vera.go(f"{START}?confirm={'0' * 43}")).status_code == 403
            again = await vera.send("/console/keys", "/console/keys", name="<mine>")
            assert again.status_code == 403, "nobody has confirmed anything yet"
            vera.subject = "wilma-1"
            stranger = await vera.go(f"{START}?{link}")
            assert stranger.status_code == 403
            assert "does not confirm who you are" in stranger.text
            vera.subject = "vera-1"
            session = vera.http.cookies["kirotrio-session"]
            done = await vera.go(f"{START}?{link}")
            assert (done.status_code, "You are confirmed" in done.text) == (200, True), done.text
            assert [one for one in vera.went if "prompt=login" in one], "the provider is to ask anew"
            assert vera.http.cookies["kirotrio-session"] == session, "the page with the form still holds"
            csrf = page.text.partition('name="csrf" value="')[2].partition('"')[0]
            fields = {"csrf": csrf, **{name: values[0] for name, values in held.items()}}
            answer = await vera.http.post(f"{stack.url}/console/keys", data=fields, headers={"origin": stack.url})
            assert answer.status_code == 200, answer.text
            assert [row.name for row in (await stack.gateway.keys.list(Listing())).rows] == ["<mine>"]


async def test_who_has_a_password_is_asked_for_it_and_a_provider_does_not_stand_in(
    provider: OpenIdProcess, tmp_path: Path
) -> None:
    async with gate(provider, tmp_path) as stack:
        people = stack.gateway.people
        made = await member(people, "xenia")
        async with Visitor(stack.url, "xenia-1") as xenia:
            await xenia.sign_in("xenia")
            page = await xenia.go("/console/me/identities")
            link = page.text.partition(f'href="{START}?attach=')[2].partition('"')[0]
            assert (await xenia.go(f"{START}?attach={link}")).status_code == 200
            await let_confirmation_end(stack, made.name)
            page = await xenia.send("/console/keys", "/console/keys", name="mine")
            assert "Confirm with" not in page.text
            session = await people.session(xenia.http.cookies["kirotrio-session"])
            assert session is not None
            proof = token_of_link("confirm", session.csrf)
            assert (await xenia.go(f"{START}?confirm={proof}")).status_code == 403
            session = await people.session(xenia.http.cookies["kirotrio-session"])
            assert session is not None
            assert not people.is_confirmed(session)
            assert (await xenia.go("/console/confirm/done")).url.path == "/console/confirm"


async def test_a_second_factor_is_asked_for_here_too(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack:
        people = stack.gateway.people
        token = await people.invite(BOSS, Role.OPERATOR)
        async with Visitor(stack.url, "sam-1") as sam:
            await sam.go(f"{START}?invitation={token}")
            session = await people.session(sam.http.cookies["kirotrio-session"])
            assert session is not None
            secret = (await people.start_second_factor(session)).secret
            await people.enable_second_factor(session, pyotp.TOTP(secret).now())
        async with Visitor(stack.url, "sam-1") as again:
            page = await again.go(f"{START}?next=/console/me")
            assert page.url.path == "/console/sign-in/code"
            assert await again.user(people) is None


async def test_nobody_is_sent_on_to_another_site(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack:
        token = await stack.gateway.people.invite(BOSS, Role.MEMBER)
        async with Visitor(stack.url, "paul-1") as paul:
            await paul.go(f"{START}?invitation={token}&next=https://evil.example.com/console")
            assert all(address.startswith((stack.url, provider.url)) for address in paul.went)


async def test_a_host_that_a_request_makes_up_is_not_where_codes_go(provider: OpenIdProcess, tmp_path: Path) -> None:
    async with gate(provider, tmp_path) as stack, Visitor(stack.url) as eve:
        page = await eve.http.get(f"{stack.url}{START}", headers={"host": "evil.example.com"})
        assert page.status_code == 500
        assert "location" not in page.headers
        assert "evil" not in page.text
        logged = [fields for _, said, fields in stack.log.lines if said == "sign-in elsewhere failed"]
        assert "sign_in.public_url" in logged[0]["reason"]


async def test_a_provider_that_is_down_is_said_so_without_details(tmp_path: Path) -> None:
    port = free_port()
    sign_in = {"openid_issuer": f"http://127.0.0.1:{port}", "openid_client_id": "x", "openid_client_secret": "s3cret"}
    async with running(tmp_path, sign_in=sign_in) as stack, Visitor(stack.url) as visitor:
        page = await visitor.go(START)
        assert page.status_code == 502
        assert "does not answer at the moment" in page.text
        assert str(port) not in page.text
        assert "s3cret" not in repr(stack.log.lines)
        assert (await visitor.go("/console/sign-in/github")).status_code == 404
