"""Keys that were given out: how they look, what they may ask for."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.access.keys import PREFIX, SHOWN, Key, digest_of, new_key
from kirotrio.config.networks import read_address
from kirotrio.errors import AuthenticationFailed, PermissionDenied


def key(**options: object) -> Key:
    return Key("1", "ci", "sk-kt-abcdef", "0" * 64, **options)


def test_a_new_key_is_like_no_other_and_has_the_prefix_of_the_gateways_keys() -> None:
    made = [new_key() for _ in range(100)]
    assert len(set(made)) == len({one[:SHOWN] for one in made}) == 100
    assert all(one.startswith(PREFIX) and len(one) == len(PREFIX) + 32 and one.isascii() for one in made)


@given(st.text() | st.text(st.characters(categories=["Cs"])))
def test_whatever_is_sent_as_a_key_has_a_digest(text: str) -> None:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return
    assert len(digest_of(text)) == 64


def test_a_key_does_not_show_its_digest() -> None:
    assert "000" not in repr(key())


def test_the_key_of_a_user_who_may_use_nothing_is_refused() -> None:
    with pytest.raises(AuthenticationFailed, match="belongs to a user"):
        key(owner="somebody", owner_active=False).check_valid(0.0)


@pytest.mark.parametrize(("options", "said"), [({"revoked_at": 5.0}, "revoked"), ({"expires_at": 5.0}, "expired")])
def test_a_key_ends_at_the_moment_that_was_set(options: dict[str, float], said: str) -> None:
    key(**options).check_valid(4.9)
    with pytest.raises(AuthenticationFailed, match=said):
        key(**options).check_valid(5.0)


def test_a_key_without_limits_may_be_used_for_everything_from_everywhere() -> None:
    key().check_place("messages", None)
    key().check_model("claude-sonnet-4.5")


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "auto"])
def test_models_may_be_named_with_a_star(model: str) -> None:
    limited = key(models=("claude-sonnet-*", "auto"))
    limited.check_model(model)
    with pytest.raises(PermissionDenied, match="claude-opus-4"):
        limited.check_model("claude-opus-4")


def test_a_surface_that_is_not_named_is_refused() -> None:
    with pytest.raises(PermissionDenied, match="may not use chat; it may use messages, responses"):
        key(surfaces=("messages", "responses")).check_place("chat", None)


def test_the_list_of_models_is_open_to_every_key() -> None:
    key(surfaces=("messages",)).check_place("models", None)


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::1", True),
        ("fe80::1", False),
        (None, False),
    ],
)
def test_a_key_is_bound_to_its_networks(address: str | None, admitted: bool) -> None:
    bound = key(networks=(ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")))
    client = read_address(address) if address is not None else None
    if admitted:
        bound.check_place("messages", client)
    else:
        with pytest.raises(PermissionDenied, match="may not be used from"):
            bound.check_place("messages", client)
