"""Forged, stale and foreign ID tokens prove nothing; a good one does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk
from joserfc.errors import SecurityWarning
from support.far_provider import CLIENT, EPOCH, ISSUER, claims, key, public, signed

from kirotrio.access.elsewhere.id_token import ALGORITHMS, SKEW, Expectation, KeyUnknown, verified
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble

GOOD = key("good")
OTHER = key("other")
KEYS = [public(GOOD)]
EXPECTED = Expectation(ISSUER, CLIENT, "the-nonce", "at", ("RS256",))


def refused(token: str, keys: list[Any] | None = None, expected: Expectation = EXPECTED, now: float = EPOCH) -> str:
    with pytest.raises(ElsewhereFailed) as caught:
        verified(token, KEYS if keys is None else keys, expected, now)
    assert caught.value.trouble is Trouble.UNTRUSTED
    return caught.value.message


def test_a_good_token_gives_its_claims() -> None:
    found = verified(signed(claims(), GOOD), KEYS, EXPECTED, EPOCH)
    assert (found["sub"], found["email"]) == ("248289761001", "jane@example.com")


@pytest.mark.parametrize(
    ("alg", "kind", "size"),
    [
        ("PS256", "RSA", 2048),
        ("ES256", "EC", "P-256"),
        ("ES384", "EC", "P-384"),
        ("Ed25519", "OKP", "Ed25519"),
        ("EdDSA", "OKP", "Ed25519"),
    ],
)
def test_every_kind_of_signature_that_takes_a_private_key_is_accepted(alg: str, kind: str, size: Any) -> None:
    by = key(f"{kind}-{size}", kind, size)
    expected = Expectation(ISSUER, CLIENT, "the-nonce")
    assert verified(signed(claims(), by, alg), [public(by)], expected, EPOCH)["sub"] == "248289761001"


@pytest.mark.parametrize(
    ("wrong", "claim"),
    [
        ({"iss": "https://evil.example.com"}, "iss"),
        ({"iss": ISSUER + "/"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "somebody-else"}, "aud"),
        ({"aud": ["somebody-else"]}, "aud"),
        ({"aud": []}, "a"),
        ({"aud": None}, "aud"),
        ({"aud": [CLIENT, "somebody-else"]}, "a"),
        ({"aud": [CLIENT, "somebody-else"], "azp": "somebody-else"}, "azp"),
        ({"azp": "somebody-else"}, "azp"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": ["the-nonce"]}, "nonce"),
        ({"exp": int(EPOCH) - SKEW}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "exp"),
        ({"exp": True}, "exp"),
        ({"iat": int(EPOCH) + SKEW + 1}, "iat"),
        ({"iat": None}, "iat"),
        ({"nbf": int(EPOCH) + SKEW + 1}, "nbf"),
        ({"sub": ""}, "sub"),
        ({"sub": None}, "sub"),
        ({"sub": 7}, "sub"),
        ({"sub": "x" * 256}, "sub"),
        ({"sub": "a\nb"}, "sub"),
        ({"at_hash": "bm90IGl0"}, "at_hash"),
    ],
)
def test_a_wrong_claim_is_refused(wrong: dict[str, Any], claim: str) -> None:
    assert claim in refused(signed(claims(**wrong), GOOD))


def test_a_token_for_several_is_ours_where_it_was_given_to_us() -> None:
    token = signed(claims(aud=[CLIENT, "another"], azp=CLIENT), GOOD)
    assert verified(token, KEYS, EXPECTED, EPOCH)["azp"] == CLIENT


def test_clocks_may_differ_a_little() -> None:
    assert verified(signed(claims(exp=int(EPOCH) - SKEW + 1), GOOD), KEYS, EXPECTED, EPOCH)
    assert verified(signed(claims(iat=int(EPOCH) + SKEW), GOOD), KEYS, EXPECTED, EPOCH)


def encoded(value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value).rstrip(b"=")


def unsigned(header: dict[str, Any], signature: bytes = b"") -> str:
    body = encoded(json.dumps(header).encode()) + b"." + encoded(json.dumps(claims()).encode())
    return (body + b"." + signature).decode()


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE"])
@pytest.mark.parametrize("named", [(), ("RS256",), ("none", "RS256")])
def test_a_token_without_signature_is_refused(name: str, named: tuple[str, ...]) -> None:
    expected = Expectation(ISSUER, CLIENT, "the-nonce", "at", named)
    assert "not accepted" in refused(unsigned({"alg": name, "kid": "good"}), expected=expected)


@pytest.mark.parametrize("form", ["pem", "der", "jwk", "n"])
def test_the_public_key_as_a_shared_secret_is_refused(form: str) -> None:
    secret = {
        "pem": GOOD.as_pem(private=False),
        "der": GOOD.as_der(private=False),
        "jwk": json.dumps(public(GOOD)).encode(),
        "n": str(public(GOOD)["n"]).encode(),
    }[form]
    body = unsigned({"alg": "HS256", "kid": "good"}).rpartition(".")[0]
    mac = encoded(hmac.digest(secret, body.encode(), hashlib.sha256)).decode()
    # Even a provider that says it uses such tokens is not believed.
    for named in ((), ("HS256",), ("RS256", "HS256")):
        expected = Expectation(ISSUER, CLIENT, "the-nonce", "at", named)
        keys = [*KEYS, {"kty": "oct", "kid": "good", "k": encoded(secret).decode()}]
        assert "not accepted" in refused(f"{body}.{mac}", keys, expected)


def test_a_token_of_another_key_is_refused() -> None:
    forged = signed(claims(), OTHER, kid="good")
    assert "no key of the provider" in refused(forged)


def test_a_key_that_the_token_brings_along_is_not_believed() -> None:
    for header in ({"jwk": public(OTHER)}, {"jku": "https://evil.example.com/jwks"}):
        assert "no key of the provider" in refused(signed(claims(), OTHER, kid="good", **header))


def test_an_unknown_key_is_told_apart_so_that_the_keys_are_looked_at_anew() -> None:
    with pytest.raises(KeyUnknown):
        verified(signed(claims(), OTHER), KEYS, EXPECTED, EPOCH)
    with pytest.raises(KeyUnknown):
        verified(signed(claims(), GOOD), [], EXPECTED, EPOCH)


def test_a_token_that_names_no_key_is_held_against_all_of_the_providers() -> None:
    token = signed(claims(), GOOD, kid=None)
    assert verified(token, [public(OTHER), public(GOOD)], EXPECTED, EPOCH)
    assert "no key" in refused(token, [public(OTHER)])


@pytest.mark.parametrize(
    "unfit", [{"use": "enc"}, {"alg": "RS512"}, {"kty": "EC"}, {"kty": "oct"}, {"n": "!"}, {"e": 3}, {"kid": ["good"]}]
)
def test_a_key_that_is_for_something_else_signs_nothing(unfit: dict[str, Any]) -> None:
    refused(signed(claims(), GOOD), [{**public(GOOD), **unfit}, "no key", None, 3])


def test_a_small_key_signs_nothing() -> None:
    with pytest.warns(SecurityWarning):
        small = jwk.RSAKey.import_key(_small_pem(), {"kid": "good"})
    refused(signed(claims(), small), [public(small)])


def _small_pem() -> bytes:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    made = rsa.generate_private_key(65537, 1024)
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def test_what_a_token_demands_that_nobody_understands_is_refused() -> None:
    with_crit = unsigned({"alg": "RS256", "kid": "good", "crit": ["exp2"], "exp2": 1}, b"AAAA")
    refused(with_crit)


@given(st.text(max_size=200) | st.from_regex(r"[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,40}", fullmatch=True))
def test_no_text_is_a_token(text: str) -> None:
    refused(text)


@given(place=st.integers(min_value=0), letter=st.sampled_from("ABCxyz019-_."))
def test_no_letter_of_a_token_can_be_changed(place: int, letter: str) -> None:
    token = signed(claims(), GOOD)
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    try:
        found = verified(changed, KEYS, EXPECTED, EPOCH)
    except ElsewhereFailed:
        return
    # The last letter of each part has bits that mean nothing.
    assert found == claims()


@given(
    st.dictionaries(
        st.sampled_from(sorted(claims())),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()),
        min_size=1,
    )
)
def test_claims_of_other_kinds_are_refused_or_harmless(changes: dict[str, Any]) -> None:
    token = signed({**claims(), **changes}, GOOD)
    try:
        found = verified(token, KEYS, EXPECTED, EPOCH)
    except ElsewhereFailed:
        return
    assert (found["iss"], found["nonce"]) == (ISSUER, "the-nonce")
    assert found["aud"] in (CLIENT, [CLIENT])
    assert isinstance(found["sub"], str)


def test_only_signatures_with_a_private_key_are_allowed() -> None:
    assert not {name for name in ALGORITHMS if name.startswith("HS") or name.lower() == "none"}
