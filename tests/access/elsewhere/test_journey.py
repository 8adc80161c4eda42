"""A browser that comes back is the one that was sent, and it ends nowhere but on a page of the console."""

from __future__ import annotations

import base64
from urllib.parse import urljoin, urlsplit

import orjson
import pytest
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from hypothesis import given
from hypothesis import strategies as st
from support.far_provider import EPOCH

from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.access.elsewhere.journey import Journey, local_path, packed, unpacked
from kirotrio.access.elsewhere.providers import redirect_uri
from kirotrio.store.secret_keys import SecretKey
from kirotrio.store.vault import open_with, seal_with


class OneKey:
    """A real seal, with a key of its own."""

    def __init__(self) -> None:
        self.key = SecretKey.new()

    def seal(self, plain: bytes, purpose: str) -> bytes:
        return seal_with(self.key, plain, purpose)

    def open(self, sealed: bytes, purpose: str) -> bytes:
        return open_with(self.key, sealed, purpose)

    def current(self, named: str) -> str:
        return named


def test_a_journey_comes_back_as_it_went() -> None:
    sealer = OneKey()
    journey = Journey("github", EPOCH, next="/console/keys", user_id="u1", invitation="inv")
    cookie = packed(journey, sealer)
    assert unpacked(cookie, sealer, sealer.key.id) == journey
    assert set(cookie) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert len(cookie) < 1200
    assert journey.verifier not in repr(journey)
    assert journey.state not in repr(journey)


def test_no_two_journeys_share_a_secret() -> None:
    one, other = Journey("github", EPOCH), Journey("github", EPOCH)
    assert len({one.state, one.nonce, one.verifier, other.state, other.nonce, other.verifier}) == 6
    assert one.challenge == create_s256_code_challenge(one.verifier)


@given(st.text(max_size=300))
def test_no_cookie_of_somebody_elses_is_a_journey(cookie: str) -> None:
    sealer = OneKey()
    with pytest.raises(ElsewhereFailed) as caught:
        unpacked(cookie, sealer, sealer.key.id)
    assert caught.value.trouble is Trouble.EXPIRED


@given(place=st.integers(min_value=0), letter=st.sampled_from("ABCxyz019-_"))
def test_no_letter_of_a_journey_can_be_changed(place: int, letter: str) -> None:
    sealer = OneKey()
    journey = Journey("github", EPOCH)
    cookie = packed(journey, sealer)
    place %= len(cookie)
    changed = cookie[:place] + letter + cookie[place + 1 :]
    try:
        assert unpacked(changed, sealer, sealer.key.id) == journey  # bits of the last letter that mean nothing
    except ElsewhereFailed:
        assert changed != cookie


def test_a_key_that_a_stranger_names_is_not_looked_for() -> None:
    sealer, theirs = OneKey(), OneKey()
    cookie = packed(Journey("github", EPOCH), theirs)
    opened: list[bytes] = []
    sealer.open = lambda sealed, _: opened.append(sealed) or b"{}"
    with pytest.raises(ElsewhereFailed):
        unpacked(cookie, sealer, sealer.key.id)
    assert not opened


def test_another_secret_of_the_store_is_no_journey() -> None:
    sealer = OneKey()
    moved = base64.urlsafe_b64encode(sealer.seal(orjson.dumps({"provider": "github", "until": 9e9}), "users/1/sealed"))
    with pytest.raises(ElsewhereFailed):
        unpacked(moved.decode().rstrip("="), sealer, sealer.key.id)


@pytest.mark.parametrize(
    ("provider", "state", "late"),
    [("openid", None, 0.0), ("github", "", 0.0), ("github", "x", 0.0), ("github", None, 1.0)],
)
def test_an_answer_to_another_journey_is_refused(provider: str, state: str | None, late: float) -> None:
    journey = Journey("github", EPOCH)
    journey.check_return("github", journey.state, EPOCH - 1)
    with pytest.raises(ElsewhereFailed) as caught:
        journey.check_return(provider, journey.state if state is None else state, EPOCH - 1 + late)
    assert caught.value.trouble is Trouble.EXPIRED


@pytest.mark.parametrize(
    "path", ["/console", "/console/keys", "/console/requests?page=2&sort=-at", "/console/keys#top"]
)
def test_a_page_of_the_console_is_gone_back_to(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//evil.example.com",
        "///evil.example.com",
        "https://evil.example.com/console",
        "/\\evil.example.com",
        "/console\\..\\..\\",
        "/console//evil.example.com",
        "/console/../..//evil.example.com",
        "/console/%2e%2e/x",
        "/consoles",
        "/console@evil.example.com",
        "javascript:alert(1)",
        "/console/\r\nset-cookie: a=b",
        "/console/ü",
        "/console/sign-in/github",
        "/console/" + "x" * 600,
    ],
)
def test_anything_else_is_not_gone_to(path: str) -> None:
    assert local_path(path) == "/console"


@given(
    st.text(alphabet=st.sampled_from("/\\.:@%?#console evil\t\r\n2e5f"), max_size=60).map("/console".__add__)
    | st.text()
)
def test_nobody_is_ever_sent_to_another_site(path: str) -> None:
    target = urlsplit(urljoin("https://gate.example.com/console/sign-in/x/callback", local_path(path)))
    assert (target.scheme, target.netloc) == ("https", "gate.example.com")
    assert target.path == "/console" or target.path.startswith("/console/")


def test_browsers_come_back_to_the_address_of_the_settings() -> None:
    back = redirect_uri("https://gate.example.com/", "evil.example.com", "github")
    assert back == "https://gate.example.com/console/sign-in/github/callback"
    assert redirect_uri("https://x.example.com/gate", "", "openid").startswith("https://x.example.com/gate/console/")


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "localhost"])
def test_without_one_this_machine_may_name_itself(host: str) -> None:
    assert redirect_uri("", host, "github") == f"http://{host}/console/sign-in/github/callback"


@pytest.mark.parametrize(
    "host",
    ["", "gate.example.com", "10.0.0.1", "127.0.0.1.evil.com", "[::1", "localhost@evil.com", "evil.com\\localhost"],
)
def test_nobody_else_may(host: str) -> None:
    with pytest.raises(ElsewhereFailed, match=r"sign_in\.public_url") as caught:
        redirect_uri("", host, "github")
    assert caught.value.trouble is Trouble.MISCONFIGURED
