"""What an ID token is worth (OpenID Connect Core 3.1.3.7): its signature by joserfc, its claims by Authlib.

Here: which algorithms and keys may vouch for anything at all, and what of the claims the library leaves open. No I/O;
a check takes a tenth of a millisecond of a processor, the first one a tenth of a second for the import.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import orjson
from attrs import field

from kirotrio.access.elsewhere.identity import LONGEST_SUBJECT, ElsewhereFailed, Trouble
from kirotrio.classes import frozen

SKEW: Final = 60
"""Seconds by which the provider's clock may differ from ours."""

_KEY_TYPES: Final = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA", "Ed25519"),
}
"""Signatures that only the provider's private key can make, by the kind of the key. Neither `none` nor anything with a
shared secret is among them, so a public key is never taken for one."""

ALGORITHMS: Final = frozenset(name for names in _KEY_TYPES.values() for name in names)

_SHORTEST_MODULUS: Final = 2048 // 6
"""Letters of base64 that an RSA key of 2048 bits takes."""
_MOST_KEYS: Final = 100
_LONGEST_HEADER: Final = 8192
"""Some bring their certificate along, which nobody here looks at."""


class KeyUnknown(ElsewhereFailed):
    """The token names a key that the provider's set does not have: perhaps it has a new one since."""


@frozen
class Expectation:
    """What the token has to say. `algorithms`: those that the provider's description names, empty for any allowed."""

    issuer: str
    client_id: str
    nonce: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    algorithms: Collection[str] = ()


def verified(token: str, keys: Sequence[Any], expected: Expectation, now: float) -> dict[str, Any]:
    """The claims of a token that proves what it says. `keys` are those of the provider's JSON Web Key Set.

    Raises KeyUnknown, and ElsewhereFailed (UNTRUSTED) for everything else.
    """
    from joserfc import jwt
    from joserfc.errors import JoseError

    header = _header(token)
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _allowed(expected.algorithms):
        raise _untrusted("it is signed in a way that is not accepted")
    registry = _registry(algorithm)
    for key in _candidates(keys, algorithm, header.get("kid")):
        try:
            claims = jwt.decode(token, key, registry=registry).claims
        # The library lets some of its parts' own complaints through, about what a header or a key may hold.
        except (JoseError, ValueError, TypeError):
            continue
        _check(claims, header, expected, now)
        return claims
    raise _untrusted("no key of the provider has signed it")


def _header(token: str) -> dict[str, Any]:
    """What the token says of itself, which only chooses among what is allowed."""
    encoded = token.partition(".")[0]
    try:
        header = orjson.loads(base64.urlsafe_b64decode(encoded[:_LONGEST_HEADER] + "==="))
    except ValueError:
        header = None
    if not isinstance(header, dict) or not token.isascii():
        raise _untrusted("it is no signed token")
    return header


def _registry(algorithm: str) -> Any:
    """What the library takes algorithms from: this one alone. It would warn of EdDSA, which got a second name in 2025;
    other names in a header are left alone, as JWS demands, unless it says that they are critical."""
    from joserfc.jws import JWSRegistry

    class Registry(JWSRegistry):
        max_header_length = _LONGEST_HEADER

        def get_alg(self, name: str) -> Any:
            return self.algorithms[algorithm] if name == algorithm else super().get_alg(name)

    return Registry(algorithms=[algorithm], strict_check_header=False)


def _allowed(named: Collection[str]) -> Collection[str]:
    return ALGORITHMS.intersection(named) if named else ALGORITHMS


def _candidates(keys: Sequence[Any], algorithm: str, kid: object) -> list[Any]:
    """The keys that may have made this signature, imported. Raises KeyUnknown where none fits."""
    from joserfc import jwk
    from joserfc.errors import JoseError

    kty = next(kind for kind, names in _KEY_TYPES.items() if algorithm in names)
    found = []
    for one in keys[:_MOST_KEYS]:
        if not isinstance(one, Mapping) or one.get("kty") != kty or one.get("use", "sig") != "sig":
            continue
        if one.get("alg", algorithm) != algorithm or (kid is not None and one.get("kid") != kid):
            continue
        public = {name: one[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in one}
        try:
            if kty == "RSA" and len(str(one.get("n")).rstrip("=")) < _SHORTEST_MODULUS:
                continue
            key = jwk.import_key(public)
        except (JoseError, ValueError, TypeError, AttributeError):
            continue
        found.append(key)
    if not found:
        raise KeyUnknown("the ID token is signed with a key that the provider does not name", Trouble.UNTRUSTED)
    return found


def _check(claims: dict[str, Any], header: dict[str, Any], expected: Expectation, now: float) -> None:
    from authlib.oidc.core import CodeIDToken  # type: ignore[import-untyped]  # it has no types
    from joserfc.errors import ClaimError, JoseError

    options = {
        "iss": {"essential": True, "value": expected.issuer},
        "aud": {"essential": True, "value": expected.client_id},
        "sub": {"essential": True},
        "exp": {"essential": True},
        "iat": {"essential": True},
    }
    params = {"nonce": expected.nonce, "client_id": expected.client_id, "access_token": expected.access_token or None}
    try:
        CodeIDToken(claims, header, options, params).validate(now=int(now), leeway=SKEW)
    except ClaimError as error:
        claim = getattr(error, "claim", "")
        named = f"its claim {claim}" if claim in options or claim in ("nonce", "azp", "nbf", "at_hash") else "a claim"
        raise _untrusted(f"{named} is not as it has to be") from None
    except (JoseError, ValueError, TypeError, AttributeError):
        raise _untrusted("its claims are not of the right kinds") from None
    # The library asks for `azp` where another audience is named besides; it compares the nonce with `!=`.
    nonce, subject, audience = claims.get("nonce"), claims["sub"], claims["aud"]
    if not isinstance(nonce, str) or not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise _untrusted("its claim nonce is not as it has to be")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise _untrusted("its claim sub is not as it has to be")
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != expected.client_id:
        raise _untrusted("its claim azp is not as it has to be")


def _untrusted(why: str) -> ElsewhereFailed:
    return ElsewhereFailed(f"the ID token proves nothing: {why}", Trouble.UNTRUSTED)
