"""Signing in with a browser that comes back to this machine: only the browser of this sign-in is believed."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import parse_qsl, urlencode, urlsplit

import attrs
import cbor2
import httpx
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sign_in_service import answer
from support.signing_in import DirectHttp, Person, direct_browser, fetched, real_browser, refused_connection

from kirotrio.accounts.credential import ExternalIdp, Oidc, Social
from kirotrio.accounts.sign_in import SignedIn, SignInFailed, SignInPlan, sign_in
from kirotrio.accounts.sign_in.loopback import Loopback, listening
from kirotrio.accounts.sign_in.proof import Proof
from kirotrio.accounts.sign_in.social import PORTS
from kirotrio.accounts.tokens.refresh import refresh
from kirotrio.config.settings import DeadlineSettings, Settings, UpstreamSettings
from kirotrio.errors import UpstreamFailed
from kirotrio.kiro.client import Transport
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.simulator import Simulator
from kirotrio.simulator.accounts import TokenState, sample_profiles
from kirotrio.simulator.external_auth import DISCOVERY_PATH, EXTERNAL_CLIENT_ID, ISSUER, SCOPES, TOKEN_PATH
from kirotrio.simulator.portal import PREFIX

BUILDER_ID = SignInPlan("builder-id", "browser")
IDENTITY_CENTER = SignInPlan(
    "identity-center", "browser", start_url="https://d-1234567890.awsapps.com/start", region="ap-southeast-1"
)
SOCIAL = SignInPlan("social", "browser")
EXTERNAL = SignInPlan("external", "browser", domain="example.com")
PLANS = [pytest.param(plan, id=plan.kind) for plan in (BUILDER_ID, IDENTITY_CENTER, SOCIAL, EXTERNAL)]
KINDS = {"builder-id": Oidc, "identity-center": Oidc, "social": Social, "external": ExternalIdp}
METADATA = PREFIX + "GetLoginMetadata"
PROOF = Proof("the-state", "the-verifier", "the-challenge")


async def signed_in(plan: SignInPlan, http: DirectHttp, person: Person, chosen: Settings | None = None) -> SignedIn:
    with trio.fail_after(30):
        return await sign_in(plan, person, http, chosen or Settings())


@pytest.mark.parametrize("plan", PLANS)
async def test_everything_over_real_sockets(plan: SignInPlan, nursery: trio.Nursery) -> None:
    simulator = Simulator()
    url = await nursery.start(simulator.serve)
    upstream = UpstreamSettings(url=url, auth_url=url, portal_url=url)
    person = Person(opens=real_browser(nursery))
    async with Transport(upstream, DeadlineSettings()) as http:
        with trio.fail_after(30):
            signed = await sign_in(plan, person, http, Settings(upstream=upstream))
        credential = signed.credential
        assert isinstance(credential, KINDS[plan.kind])
        assert not isinstance(credential, Oidc) or credential.registration_expires_at
        renewed = await refresh(http, credential, auth_url=url, deadline=5, now=lambda: 0.0)
        assert signed.email == "person@example.com"
    for token in (credential.access_token, renewed.access_token):
        assert simulator.book.identify(token)[0] is TokenState.VALID
    assert await nobody_listens(person.addresses[0]), "the listener is closed right after"


async def nobody_listens(address: str) -> bool:
    """Whether the port that `address` names is free again. Known ports may be another program's by now."""
    port = urlsplit(dict(parse_qsl(urlsplit(address).query))["redirect_uri"]).port or 0
    return port in PORTS or await refused_connection(port)


@pytest.mark.parametrize("plan", PLANS)
async def test_the_real_hosts_are_called(plan: SignInPlan, nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())
    person = Person(opens=direct_browser(http.simulator, nursery))
    await signed_in(plan, http, person)
    page = {
        "builder-id": "https://oidc.us-east-1.amazonaws.com/authorize",
        "identity-center": "https://oidc.ap-southeast-1.amazonaws.com/authorize",
        "social": "https://app.kiro.dev/signin",
        "external": "https://login.microsoftonline.com/simulated-tenant/oauth2/v2.0/authorize",
    }[plan.kind]
    assert person.addresses[0].partition("?")[0] == page
    assert person.seconds == Settings().deadlines.login


async def test_the_redirect_addresses_of_each_kind(nursery: trio.Nursery) -> None:
    expected = {
        BUILDER_ID: r"http://127\.0\.0\.1:\d+/oauth/callback",
        SOCIAL: r"http://localhost:(3128|1987[6-9]|19880)",
        EXTERNAL: r"http://localhost:\d+/oauth/callback",
    }
    for plan, form in expected.items():
        http = DirectHttp(Simulator())
        person = Person(opens=direct_browser(http.simulator, nursery))
        await signed_in(plan, http, person)
        redirect = dict(parse_qsl(urlsplit(person.addresses[0]).query))["redirect_uri"]
        assert re.fullmatch(form, redirect), f"{plan.kind} comes back to {redirect}"


async def test_a_company_is_found_by_its_domain(nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())
    person = Person(opens=direct_browser(http.simulator, nursery), choice=1)
    signed = await signed_in(attrs.evolve(EXTERNAL, domain="Someone@Example.COM "), http, person)
    credential = signed.credential
    assert isinstance(credential, ExternalIdp)
    assert credential.token_endpoint == "https://login.microsoftonline.com" + TOKEN_PATH
    assert "offline_access" in credential.scope.split()
    assert signed.profile_arn == credential.profile_arn == sample_profiles()[1]
    profile_calls = http.to("/ListAvailableProfiles")
    assert {sent.headers["tokentype"] for sent in profile_calls} == {"EXTERNAL_IDP"}


async def test_whose_sign_in_it_is_where_only_the_id_token_tells(nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())
    http.script["/getUsageLimits"] = [answer(403, {}), answer(403, {})]
    http.script["/service/KiroWebPortalService/operation/GetUserUsageAndLimits"] = [answer(500, b"")]
    signed = await signed_in(EXTERNAL, http, Person(opens=direct_browser(http.simulator, nursery)))
    assert (signed.email, signed.user_id) == ("person@example.com", "d-0000000000.person")


async def test_a_refresh_token_is_asked_for_where_the_company_forgot_it(nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())
    found = {"found": True, "clientId": EXTERNAL_CLIENT_ID, "issuerUrl": ISSUER, "scopes": [SCOPES[0], 5]}
    http.script[METADATA] = [HttpAnswer(200, {}, cbor2.dumps(found))]
    person = Person(opens=direct_browser(http.simulator, nursery))
    await signed_in(EXTERNAL, http, person)
    asked = dict(parse_qsl(urlsplit(person.addresses[0]).query))["scope"]
    assert asked.split() == [SCOPES[0], "offline_access"]


@pytest.mark.parametrize("content", [b"", b"\xff", b"<html>", cbor2.dumps([]), cbor2.dumps({"found": True})])
async def test_metadata_that_cannot_be_read(content: bytes) -> None:
    http = DirectHttp(Simulator())
    http.script[METADATA] = [HttpAnswer(200, {}, content)]
    person = Person()
    with pytest.raises((SignInFailed, UpstreamFailed)):
        await signed_in(EXTERNAL, http, person)
    assert not person.addresses


@pytest.mark.parametrize("domain", ["", "example", "@", "exa mple.com", "example.com/x", "-.com", "x" * 300 + ".com"])
async def test_a_domain_that_is_none(domain: str) -> None:
    http = DirectHttp(Simulator())
    with pytest.raises(SignInFailed, match="--domain") as failed:
        await signed_in(attrs.evolve(EXTERNAL, domain=domain), http, Person())
    assert failed.value.reason == "unusable"
    assert not http.sent


async def test_a_domain_that_kiro_does_not_know() -> None:
    http = DirectHttp(Simulator())
    with pytest.raises(SignInFailed, match=r"knows no sign-in for other\.example"):
        await signed_in(attrs.evolve(EXTERNAL, domain="other.example"), http, Person())


EVIL = [
    "https://evil.example/v2.0",
    "http://login.microsoftonline.com/t/v2.0",
    "https://login.microsoftonline.com.evil.example/t",
    "https://login.microsoftonline.com@evil.example/t",
    "https://login.microsoftonline.com:8443/t",
    "https://127.0.0.1/t",
    "https://evil.example\\.microsoftonline.com/t",
    "https://login.microsoftonline.com/t\x1b]8;;x\x07/v2.0",
]


@pytest.mark.parametrize("address", EVIL)
async def test_an_issuer_elsewhere_is_never_called(address: str) -> None:
    http = DirectHttp(Simulator())
    found = cbor2.dumps({"found": True, "clientId": "client", "issuerUrl": address, "scopes": ["openid"]})
    http.script[METADATA] = [HttpAnswer(200, {}, found)]
    person = Person()
    with pytest.raises(SignInFailed, match="does not trust") as failed:
        await signed_in(EXTERNAL, http, person)
    assert failed.value.reason == "unusable"
    assert len(http.sent) == 1
    assert not person.addresses


@pytest.mark.parametrize("address", EVIL)
@pytest.mark.parametrize("which", ["authorization_endpoint", "token_endpoint"])
async def test_an_endpoint_elsewhere_is_never_used(address: str, which: str) -> None:
    http = DirectHttp(Simulator())
    good = "https://login.microsoftonline.com/simulated-tenant/oauth2/v2.0/"
    endpoints = {"authorization_endpoint": good + "authorize", "token_endpoint": good + "token", which: address}
    http.script[DISCOVERY_PATH] = [answer(200, endpoints)]
    person = Person()
    with pytest.raises(SignInFailed, match="does not trust"):
        await signed_in(EXTERNAL, http, person)
    assert not person.addresses, "neither the browser nor a code goes there"


@pytest.mark.parametrize("plan", PLANS)
async def test_a_person_who_refuses_in_the_browser(plan: SignInPlan, nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())
    http.simulator.person.does = "deny"
    pages: list[httpx.Response] = []
    with pytest.raises(SignInFailed) as failed:
        await signed_in(plan, http, Person(opens=direct_browser(http.simulator, nursery, pages)))
    assert failed.value.reason == "denied"
    with trio.fail_after(30):
        while not pages:  # noqa: ASYNC110 - the other side of a socket has no event
            await trio.sleep(0.01)
    assert "Not signed in" in pages[0].text


@pytest.mark.parametrize("plan", PLANS)
async def test_nobody_comes_back(plan: SignInPlan) -> None:
    http = DirectHttp(Simulator())
    person = Person()
    with pytest.raises(SignInFailed, match="--device") as failed:
        await signed_in(plan, http, person, Settings(deadlines=DeadlineSettings(login=0.05)))
    assert failed.value.reason == "expired"
    assert await nobody_listens(person.addresses[0])


@pytest.mark.parametrize("plan", PLANS)
async def test_giving_up_closes_the_listener(plan: SignInPlan, nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())
    shown = trio.Event()
    person = Person(opens=lambda address: shown.set())
    async with trio.open_nursery() as inner:
        inner.start_soon(signed_in, plan, http, person)
        await shown.wait()
        assert plan in (SOCIAL, EXTERNAL) or not await nobody_listens(person.addresses[0])
        inner.cancel_scope.cancel()
    assert await nobody_listens(person.addresses[0])


async def test_a_code_that_was_not_meant_for_us_is_refused(nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())

    def opens(address: str) -> None:
        query = dict(parse_qsl(urlsplit(address).query))
        back = f"{query['redirect_uri']}?{urlencode({'code': 'stolen', 'state': query['state']})}"
        nursery.start_soon(fetched, back)

    with pytest.raises(SignInFailed, match="too long or was used") as failed:
        await signed_in(BUILDER_ID, http, Person(opens=opens))
    assert failed.value.reason == "expired"
    assert "stolen" not in str(failed.value)


async def test_a_browser_that_brings_neither_code_nor_error(nursery: trio.Nursery) -> None:
    http = DirectHttp(Simulator())

    def opens(address: str) -> None:
        query = dict(parse_qsl(urlsplit(address).query))
        nursery.start_soon(fetched, f"{query['redirect_uri']}/oauth/callback?state={query['state']}&error=%3Cb%3E")

    with pytest.raises(SignInFailed, match=r"without a sign-in \(no code\)"):
        await signed_in(SOCIAL, http, Person(opens=opens))


# -- the listener by itself --------------------------------------------------------------------------------------------


async def test_others_at_the_door_get_a_plain_page_and_end_nothing(nursery: trio.Nursery) -> None:
    async with listening(PROOF, host="127.0.0.1", call_deadline=10) as loopback:
        found: list[str] = []
        came = trio.Event()

        async def wait() -> None:
            found.append(await loopback.code(30))
            came.set()

        nursery.start_soon(wait)
        for method, path, status in [
            ("GET", "/", 404),
            ("GET", "/favicon.ico", 404),
            ("GET", "/oauth/callback", 400),
            ("GET", "/oauth/callback?code=evil", 400),
            ("GET", "/oauth/callback?code=evil&state=", 400),
            ("GET", "/oauth/callback?code=evil&state=the-stat", 400),
            ("GET", "/oauth/callback?code=evil&state=%ff%ff", 400),
            ("GET", "/oauth/callback?error=access_denied&state=other", 400),
            ("POST", "/oauth/callback?code=evil&state=the-state", 405),
            ("GET", "/oauth/callback/../x?code=evil&state=the-state", 404),
            ("GET", "/oauth/callback?" + "&".join(f"a{number}=1" for number in range(100)), 404),
        ]:
            page = await fetched(f"{loopback.base}{path}", method)
            assert page.status_code == status, f"{method} {path[:60]}"
            assert not came.is_set(), f"{method} {path[:60]} ended the waiting"
            assert page.headers["content-security-policy"].startswith("default-src 'none'")
            assert "<script" not in page.text
            assert "evil" not in page.text
        for rubbish in [b"", b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000]:
            stream = await trio.open_tcp_stream("127.0.0.1", urlsplit(loopback.base).port or 0)
            with suppress(trio.BrokenResourceError):
                await stream.send_all(rubbish)
            await stream.aclose()
        page = await fetched(f"{loopback.callback}?code=the-code&state=the-state")
        assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
        assert "close this window" in page.text
        with trio.fail_after(10):
            await came.wait()
        assert found == ["the-code"]


async def test_a_caller_who_says_nothing_keeps_nobody_waiting(nursery: trio.Nursery) -> None:
    async with listening(PROOF, host="127.0.0.1", call_deadline=30) as loopback:
        port = urlsplit(loopback.base).port or 0
        silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(5)]
        nursery.start_soon(fetched, f"{loopback.callback}?code=the-code&state=the-state")
        with trio.fail_after(20):
            assert await loopback.code(20) == "the-code"
        for stream in silent:
            await stream.aclose()


async def test_only_this_machine_is_listened_on() -> None:
    for host in ("127.0.0.1", "localhost"):
        async with listening(PROOF, host=host, call_deadline=1) as loopback:
            names = {listener.socket.getsockname()[0] for listener in loopback._listeners}
            assert names <= {"127.0.0.1", "::1"}
            assert "127.0.0.1" in names


@contextmanager
def taken(family: socket.AddressFamily, host: str, port: int) -> Iterator[int]:
    with socket.socket(family) as holder:
        if family is socket.AF_INET6:
            holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        holder.bind((host, port))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"]
)
async def test_a_port_that_is_taken_is_passed_over(family: socket.AddressFamily, host: str) -> None:
    with ExitStack() as stack:
        try:
            port = stack.enter_context(taken(family, host, 0))
        except OSError:
            pytest.skip(f"this machine has no {host}")
        async with listening(PROOF, host="localhost", ports=(port, 0), call_deadline=1) as loopback:
            assert loopback.base != f"http://localhost:{port}", "the browser might have gone to the other program"
        with pytest.raises(SignInFailed, match=rf"taken by other programs \({port}\)") as failed:
            async with listening(PROOF, host="localhost", ports=(port,), call_deadline=1):
                pass
        assert failed.value.reason == "unusable"


@settings(max_examples=200)
@given(st.text(max_size=40), st.text(max_size=20), st.sampled_from(["/oauth/callback", "/", "/x"]))
def test_no_other_state_is_believed(state: str, code: str, path: str) -> None:
    async def run() -> None:
        loopback = Loopback("http://localhost:1", PROOF, [], 1.0)
        page, members = loopback.take("GET", f"{path}?{urlencode({'state': state, 'code': code})}")
        assert (page.status == 200) is bool(members) is (state == PROOF.state and path != "/x")

    trio.run(run)


@given(st.binary(max_size=200))
@settings(max_examples=100)
def test_no_target_breaks_the_door(target: bytes) -> None:
    async def run() -> None:
        loopback = Loopback("http://localhost:1", PROOF, [], 1.0)
        assert loopback.take("GET", target.decode("latin-1"))[0].status >= 400

    trio.run(run)


def test_the_challenge_is_that_of_rfc_7636() -> None:
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    assert create_s256_code_challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )
    first, second = Proof.new(), Proof.new()
    assert len({first.state, first.verifier, second.state, second.verifier}) == 4
    assert 43 <= len(first.verifier) <= 128
    assert first.verifier not in repr(first)
    assert first.state not in repr(first)
