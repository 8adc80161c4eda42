"""GitHub and LinuxDo: the person is a number there, whatever else is said of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from support.far_provider import EPOCH, REDIRECT, Site

from kirotrio.access.elsewhere.code import Client
from kirotrio.access.elsewhere.fetch import Fetched
from kirotrio.access.elsewhere.github import SCOPE, GitHub
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Identity, Trouble
from kirotrio.access.elsewhere.journey import Journey
from kirotrio.access.elsewhere.linuxdo import LinuxDo
from kirotrio.access.elsewhere.providers import providers_of
from kirotrio.config.team import SignInSettings

GITHUB = GitHub(Client("app", "s3cret", SCOPE))
LINUXDO = LinuxDo(Client("app", "s3cret"))
JOURNEY = Journey("github", EPOCH)
BACK = {"code": "the-code", "state": JOURNEY.state}
TOKEN = {"access_token": "gho_x", "token_type": "bearer", "scope": "read:user,user:email"}
JANE = {"id": 583231, "login": "jane", "name": "Jane", "email": "shown@example.com"}
ADDRESSES = [
    {"email": "old@example.com", "primary": False, "verified": True},
    {"email": "jane@example.com", "primary": True, "verified": True},
]


def github(**answers: Any) -> Site:
    return Site(
        {
            "https://github.com/login/oauth/access_token": answers.get("token", TOKEN),
            "https://api.github.com/user": answers.get("user", JANE),
            "https://api.github.com/user/emails": answers.get("emails", ADDRESSES),
        }
    )


def linuxdo(**user: Any) -> Site:
    person = {"id": 4711, "username": "neo", "email": "u4711@linux.do", "trust_level": 2, "active": True, **user}
    return Site({"https://connect.linux.do/oauth2/token": TOKEN, "https://connect.linux.do/api/user": person})


async def trouble(provider: GitHub | LinuxDo, far: Site) -> Trouble:
    with pytest.raises(ElsewhereFailed) as caught:
        await provider.arrival(JOURNEY, BACK, REDIRECT, far)
    return caught.value.trouble


async def test_who_signed_in_at_github() -> None:
    far = github()
    found = await GITHUB.arrival(JOURNEY, BACK, REDIRECT, far)
    assert found == Identity("github", "583231", "jane", "jane", "jane@example.com")
    token, user, _ = far.calls
    sent = {name: values[0] for name, values in parse_qs(token[3].decode()).items()}
    assert (sent["client_secret"], sent["code_verifier"]) == ("s3cret", JOURNEY.verifier)
    assert user[2]["authorization"] == "Bearer gho_x"


async def test_the_browser_is_sent_to_github() -> None:
    url = urlsplit(await GITHUB.departure(JOURNEY, REDIRECT, github()))
    asked = parse_qs(url.query)
    assert (url.netloc, url.path) == ("github.com", "/login/oauth/authorize")
    assert asked["code_challenge"] == [JOURNEY.challenge]
    assert asked["scope"] == [SCOPE]


@pytest.mark.parametrize(
    "addresses",
    [
        [{"email": "a@example.com", "primary": True, "verified": False}],
        [{"email": "a@example.com", "primary": False, "verified": True}],
        {"message": "no"},
        Fetched(404, b""),
        [],
        ["a@example.com"],
    ],
)
async def test_an_address_that_is_not_primary_and_verified_is_not_kept(addresses: Any) -> None:
    assert (await GITHUB.arrival(JOURNEY, BACK, REDIRECT, github(emails=addresses))).email == ""


@pytest.mark.parametrize("number", [None, "583231", 0, -1, True, 1.5, 2**63])
async def test_a_user_without_a_number_is_nobody(number: Any) -> None:
    assert await trouble(GITHUB, github(user={**JANE, "id": number})) is Trouble.UNTRUSTED
    assert await trouble(LINUXDO, linuxdo(id=number)) is Trouble.UNTRUSTED


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"error": "bad_verification_code", "error_description": "gho_x"}, Trouble.EXPIRED),
        ({"error": "incorrect_client_credentials"}, Trouble.MISCONFIGURED),
        ({"access_token": "two words"}, Trouble.UNTRUSTED),
        ({"access_token": "head\r\nx: y"}, Trouble.UNTRUSTED),
    ],
)
async def test_a_no_of_github_with_a_status_of_200(answer: Any, expected: Trouble) -> None:
    assert await trouble(GITHUB, github(token=answer)) is expected


async def test_who_signed_in_at_linuxdo() -> None:
    far = linuxdo()
    assert await LINUXDO.arrival(JOURNEY, BACK, REDIRECT, far) == Identity("linuxdo", "4711", "neo", "neo")
    assert far.calls[0][2]["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("least", "user", "admitted"),
    [
        (0, {"trust_level": 0}, True),
        (0, {"trust_level": None}, True),
        (2, {"trust_level": 2}, True),
        (3, {"trust_level": 2}, False),
        (1, {"trust_level": None}, False),
        (1, {"trust_level": "4"}, False),
        (0, {"active": False}, False),
        (0, {"silenced": True}, False),
    ],
)
async def test_who_is_admitted_from_linuxdo(least: int, user: dict[str, Any], admitted: bool) -> None:
    provider = LinuxDo(Client("app", "s3cret"), least_trust=least)
    if admitted:
        assert await provider.arrival(JOURNEY, BACK, REDIRECT, linuxdo(**user))
    else:
        assert await trouble(provider, linuxdo(**user)) is Trouble.NOT_ADMITTED


def test_the_same_number_at_another_address_is_another_person() -> None:
    client = Client("app")
    assert GitHub(client, "https://git.example.com").key != GitHub(client, "https://git.example.org").key != "github"
    assert GitHub(client, "https://git.example.com").api == "https://git.example.com/api/v3"
    assert LinuxDo(client, "https://connect.example.com").key != "linuxdo"


def test_a_provider_is_there_where_its_client_is_set() -> None:
    assert not providers_of(SignInSettings(), lambda: 0.0)
    assert not providers_of(SignInSettings(openid_issuer="https://id.example.com"), lambda: 0.0)
    settings = SignInSettings(
        openid_issuer="https://id.example.com", openid_client_id="a", openid_scopes="email, groups",
        github_client_id="b", github_url="https://git.example.com/", linuxdo_client_id="c", linuxdo_client_secret="s3",
    )  # fmt: skip
    found = providers_of(settings, lambda: 0.0)
    assert list(found) == ["openid", "github", "linuxdo"]
    assert [one.label for one in found.values()] == ["id.example.com", "GitHub", "LinuxDo"]
    assert found["openid"].client.scope == "openid email groups"
    assert "s3" not in repr(found)
