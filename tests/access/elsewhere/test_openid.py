"""A sign-in at an OpenID provider, as a transcript: what is asked, what comes back, what is believed."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import trio
from attrs import evolve
from support.far_provider import CLIENT, EPOCH, ISSUER, REDIRECT, Site, claims, key, ok, public, signed, site

from kirotrio.access.elsewhere.code import Client
from kirotrio.access.elsewhere.discovery import BETWEEN_LOOKS, KEPT, PAUSE
from kirotrio.access.elsewhere.fetch import Fetched
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Identity, Trouble
from kirotrio.access.elsewhere.journey import Journey
from kirotrio.access.elsewhere.openid import OpenIdProvider

KEY = key("good")
JOURNEY = evolve(Journey("openid", EPOCH + 600), nonce="the-nonce")
BACK = {"code": "the-code", "state": JOURNEY.state}
JWKS, WELL_KNOWN = f"{ISSUER}/jwks", f"{ISSUER}/.well-known/openid-configuration"


class Clock:
    now = EPOCH

    def __call__(self) -> float:
        return self.now


def provider(issuer: str = ISSUER, secret: str = "s3cret/%", clock: Clock | None = None) -> OpenIdProvider:
    return OpenIdProvider.at(issuer, "Example", Client(CLIENT, secret, "openid email"), clock or Clock())


async def arrive(far: Site, one: OpenIdProvider | None = None, **arguments: str) -> Identity:
    return await (one or provider()).arrival(JOURNEY, {**BACK, **arguments}, REDIRECT, far)


async def trouble(far: Site, one: OpenIdProvider | None = None, **arguments: str) -> Trouble:
    with pytest.raises(ElsewhereFailed) as caught:
        await arrive(far, one, **arguments)
    return caught.value.trouble


async def test_the_browser_is_sent_with_state_nonce_and_challenge_and_no_secret() -> None:
    url = await provider().departure(JOURNEY, REDIRECT, site("", KEY))
    asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith(f"{ISSUER}/authorize?")
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": REDIRECT,
        "scope": "openid email",
        "state": JOURNEY.state,
        "nonce": "the-nonce",
        "code_challenge": JOURNEY.challenge,
        "code_challenge_method": "S256",
    }


async def test_the_code_is_exchanged_with_the_verifier_and_the_token_tells_who_it_is() -> None:
    far = site(signed(claims(), KEY), KEY)
    found = await arrive(far)
    assert (found.subject, found.shown, found.name, found.email) == (
        "248289761001", "jane@example.com", "jane", "jane@example.com",
    )  # fmt: skip
    _, _, headers, body = next(call for call in far.calls if call[1] == f"{ISSUER}/token")
    sent = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    assert sent == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": REDIRECT,
        "code_verifier": JOURNEY.verifier,
    }
    assert base64.b64decode(headers["authorization"].removeprefix("Basic ")) == b"kirotrio:s3cret%2F%25"


@pytest.mark.parametrize(
    ("secret", "methods", "sent"),
    [
        ("s", ["client_secret_post"], {"client_id", "client_secret"}),
        ("s", ["client_secret_post", "client_secret_basic"], set()),
        ("", None, {"client_id"}),
    ],
)
async def test_the_gateway_names_itself_as_the_provider_wants_it(secret: str, methods: Any, sent: set[str]) -> None:
    far = site(signed(claims(), KEY), KEY, token_endpoint_auth_methods_supported=methods)
    await arrive(far, provider(secret=secret))
    body = next(call[3] for call in far.calls if call[1] == f"{ISSUER}/token")
    assert {name for name in parse_qs(body.decode()) if name.startswith("client_")} == sent


async def test_an_address_is_kept_only_where_the_provider_has_verified_it() -> None:
    for said in (False, None, "true"):
        found = await arrive(site(signed(claims(email_verified=said), KEY), KEY))
        assert (found.email, found.shown) == ("", "jane")


async def test_the_same_subject_of_another_issuer_is_another_person() -> None:
    keys = {provider(issuer).key for issuer in (ISSUER, ISSUER + "/", "https://other.example.com", ISSUER + "/realm")}
    assert len(keys) == 3
    assert all(len(one) <= 64 for one in keys)


async def test_what_the_token_does_not_tell_is_asked_for() -> None:
    far = site(signed(claims(email=None, email_verified=None, preferred_username=None), KEY), KEY)
    far.answers[f"{ISSUER}/userinfo"] = {"sub": "248289761001", "name": "Jane\nDoe <script>"}
    assert (await arrive(far)).shown == "JaneDoe <script>"
    far.answers[f"{ISSUER}/userinfo"] = {"sub": "somebody-else", "name": "Eve"}
    assert await trouble(far) is Trouble.UNTRUSTED
    del far.answers[f"{ISSUER}/userinfo"]
    assert (await arrive(far)).shown == "248289761001"


async def test_the_description_and_the_keys_are_looked_at_once_an_hour() -> None:
    clock, far = Clock(), site(signed(claims(), KEY), KEY)
    one = provider(clock=clock)
    for _ in range(3):
        await arrive(far, one)
    assert (far.count(WELL_KNOWN), far.count(JWKS)) == (1, 1)
    clock.now += KEPT + 1
    await trouble(far, one)  # the token is too old by then
    assert (far.count(WELL_KNOWN), far.count(JWKS)) == (2, 2)


async def test_a_new_key_of_the_provider_is_found_and_unknown_ones_do_not_make_it_a_target() -> None:
    clock, new = Clock(), key("new")
    far = site(signed(claims(), KEY), KEY)
    one = provider(clock=clock)
    await arrive(far, one)
    far.answers[f"{ISSUER}/token"] = {"access_token": "at", "id_token": signed(claims(), new)}
    far.answers[JWKS] = {"keys": [public(KEY), public(new)]}
    clock.now += BETWEEN_LOOKS
    assert (await arrive(far, one)).subject == "248289761001"
    assert far.count(JWKS) == 2
    far.answers[f"{ISSUER}/token"] = {"access_token": "at", "id_token": signed(claims(), key("other"))}
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(trouble, far, one)
    assert far.count(JWKS) == 2
    clock.now += BETWEEN_LOOKS
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(trouble, far, one)
    assert far.count(JWKS) == 3


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"access_token": "at"}, Trouble.MISCONFIGURED),
        ({"id_token": "x.y.z"}, Trouble.UNTRUSTED),
        ({"access_token": "at", "id_token": 7}, Trouble.UNTRUSTED),
        ({"access_token": "at", "id_token": "x" * 70_000}, Trouble.UNTRUSTED),
        ({"access_token": "at", "token_type": "mac", "id_token": "x"}, Trouble.UNTRUSTED),
        (Fetched(400, b'{"error":"invalid_grant"}'), Trouble.EXPIRED),
        (Fetched(401, b'{"error":"invalid_client"}'), Trouble.MISCONFIGURED),
        (Fetched(400, b"<html>"), Trouble.MISCONFIGURED),
        (Fetched(429, b""), Trouble.UNREACHABLE),
        (Fetched(503, b""), Trouble.UNREACHABLE),
        (Fetched(302, b""), Trouble.MISCONFIGURED),
        (Fetched(200, b"[]"), Trouble.MISCONFIGURED),
        (Fetched(200, b"{"), Trouble.MISCONFIGURED),
    ],
)
async def test_a_token_answer_that_brings_nothing(answer: Any, expected: Trouble) -> None:
    far = site("", KEY)
    far.answers[f"{ISSUER}/token"] = answer
    assert await trouble(far) is expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("access_denied", Trouble.DECLINED),
        ("temporarily_unavailable", Trouble.UNREACHABLE),
        ("invalid_scope", Trouble.MISCONFIGURED),
        ("<script>alert(1)</script>", Trouble.MISCONFIGURED),
    ],
)
async def test_an_error_in_place_of_a_code(error: str, expected: Trouble) -> None:
    far = site("", KEY)
    with pytest.raises(ElsewhereFailed) as caught:
        await arrive(far, error=error, error_description="call 555-1234")
    assert caught.value.trouble is expected
    assert "script" not in caught.value.message
    assert "555" not in caught.value.message
    assert not far.count(f"{ISSUER}/token")


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "https://evil.example.com"},
        {"issuer": None},
        {"token_endpoint": "http://id.example.com/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"token_endpoint": "https://user@id.example.com/"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"jwks_uri": ["https://id.example.com/jwks"]},
    ],
)
async def test_a_description_that_cannot_be_the_providers_is_refused(wrong: dict[str, Any]) -> None:
    far = site(signed(claims(), KEY), KEY, **wrong)
    assert await trouble(far) is Trouble.MISCONFIGURED
    assert not far.count(f"{ISSUER}/token")


async def test_an_issuer_over_plain_http_is_believed_on_this_machine_alone() -> None:
    assert await trouble(site("", KEY), provider("http://id.example.com")) is Trouble.MISCONFIGURED
    local = "http://127.0.0.1:9400"
    endpoints = {"authorization_endpoint": f"{local}/a", "token_endpoint": f"{local}/t", "jwks_uri": f"{local}/j"}
    far = Site({f"{local}/.well-known/openid-configuration": {"issuer": local, **endpoints}})
    assert (await provider(local).departure(JOURNEY, REDIRECT, far)).startswith(f"{local}/a?")


async def test_an_answer_of_another_provider_is_told_apart() -> None:
    far = site(signed(claims(), KEY), KEY)
    assert (await arrive(far, iss=ISSUER)).subject
    assert await trouble(far, iss="https://evil.example.com") is Trouble.UNTRUSTED
    says = site(signed(claims(), KEY), KEY, authorization_response_iss_parameter_supported=True)
    assert await trouble(says) is Trouble.UNTRUSTED


@pytest.mark.parametrize("address", [WELL_KNOWN, JWKS])
async def test_a_provider_that_is_away_is_asked_again_a_moment_later_however_many_sign_in(address: str) -> None:
    clock, far = Clock(), site(signed(claims(), KEY), KEY)
    one = provider(clock=clock)
    answer = far.answers.pop(address)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(trouble, far, one)
    far.answers[address] = ok(answer)
    assert await trouble(far, one) is Trouble.UNREACHABLE
    assert far.count(address) == 1
    clock.now += PAUSE
    assert (await arrive(far, one)).subject
