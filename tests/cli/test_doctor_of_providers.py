"""What the doctor says of the providers at which people sign in to the console."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from support.openid_process import OpenIdProcess, free_port, openid_process

from kirotrio.config.settings import Settings
from kirotrio.config.team import SignInSettings, unfinished

Run = Callable[..., Result]
CLIENT = {"KIROTRIO_SIGN_IN_OPENID_CLIENT_ID": "us"}


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenIdProcess]:
    with openid_process(tmp_path_factory.mktemp("provider")) as process:
        yield process


def lines(result: Result, about: str = "sign-in elsewhere") -> list[str]:
    return [line for line in result.output.splitlines() if about in line]


def test_without_a_provider_nothing_is_said(run: Run) -> None:
    assert lines(run("doctor")) == []


def test_a_provider_that_describes_itself_is_well(run: Run, provider: OpenIdProcess) -> None:
    environ = {**CLIENT, "KIROTRIO_SIGN_IN_OPENID_ISSUER": provider.url}
    place, well = lines(run("doctor", **environ))
    assert place.startswith("note"), "only this machine's browsers can be sent back"
    assert "sign_in.public_url" in place
    assert re.match(r"ok .* has [1-9]\d* keys", well), f"its keys were not asked for: {well}"
    known = {**environ, "KIROTRIO_SIGN_IN_PUBLIC_URL": "https://kiro.example"}
    assert lines(run("doctor", **known))[0].startswith("ok")


@pytest.mark.parametrize(
    ("issuer", "reason"),
    [("http://127.0.0.1:{port}", "127.0.0.1"), ("http://idp.example", "https://"), ("{url}/else", "answered 404")],
)
def test_one_that_cannot_be_believed_or_reached_is_wrong(
    run: Run, provider: OpenIdProcess, issuer: str, reason: str
) -> None:
    named = issuer.format(port=free_port(), url=provider.url)
    result = run("doctor", **CLIENT, KIROTRIO_SIGN_IN_OPENID_ISSUER=named)
    told = lines(result)[1]
    assert told.startswith("WRONG"), told
    assert reason in told, f"this does not tell what is wrong: {told}"
    assert result.exit_code == 1


def test_that_github_answers_is_looked_at(run: Run, provider: OpenIdProcess) -> None:
    app = {"KIROTRIO_SIGN_IN_GITHUB_CLIENT_ID": "us", "KIROTRIO_SIGN_IN_GITHUB_CLIENT_SECRET": "a secret"}
    place = provider.url.removeprefix("http://")
    (told,) = lines(run("doctor", **app, KIROTRIO_SIGN_IN_GITHUB_URL=provider.url), f"reach {place}")
    assert told.startswith("ok")


@pytest.mark.parametrize(
    ("half", "lacks"),
    [
        ({"openid_issuer": "https://idp.example"}, "openid_client_id"),
        ({"openid_client_id": "us"}, "openid_issuer"),
        ({"github_client_id": "us"}, "github_client_secret"),
        ({"linuxdo_client_secret": "x" * 20}, "linuxdo_client_id"),
    ],
)
def test_a_provider_that_is_named_by_half_is_told_at_every_start(half: dict[str, str], lacks: str, run: Run) -> None:
    (told,) = unfinished(SignInSettings(**half))
    assert f"sign_in.{lacks}" in told
    environ = {f"KIROTRIO_SIGN_IN_{name.upper()}": value for name, value in half.items()}
    result = run("settings", **environ)
    assert f"sign_in.{lacks} is not" in result.output
    assert "x" * 20 not in result.output, "the secret itself has no place there"


def test_whole_ones_and_none_are_not_told_of() -> None:
    whole = SignInSettings(openid_issuer="https://idp.example", openid_client_id="us", linuxdo_client_id="us",
                           linuxdo_client_secret="secret")  # fmt: skip
    assert unfinished(whole) == unfinished(Settings().sign_in) == []
