"""An OpenID provider's side of a sign-in without sockets: keys, tokens that it signs, and answers by address."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import orjson
from joserfc import jwk, jwt
from joserfc.jws import JWSRegistry

from kirotrio.access.elsewhere.fetch import Fetched
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble

ISSUER = "https://id.example.com"
CLIENT = "kirotrio"
EPOCH = 1_800_000_000.0
REDIRECT = "https://gate.example.com/console/sign-in/openid/callback"


@functools.cache
def key(kid: str, kind: str = "RSA", size: int | str = 2048) -> jwk.Key:
    """The same one for the same name: making one takes long."""
    return jwk.generate_key(kind, size, {"kid": kid})


def public(one: jwk.Key, **more: Any) -> dict[str, Any]:
    return {**one.as_dict(private=False), **more}


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a good token; None leaves one out."""
    found = {
        "iss": ISSUER,
        "sub": "248289761001",
        "aud": CLIENT,
        "exp": int(EPOCH) + 300,
        "iat": int(EPOCH),
        "nonce": "the-nonce",
        "email": "jane@example.com",
        "email_verified": True,
        "preferred_username": "jane",
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def signed(payload: Mapping[str, Any], by: jwk.Key, alg: str = "RS256", **header: Any) -> str:
    names = {"alg": alg, "kid": by.kid, **header}
    names = {name: value for name, value in names.items() if value is not None}
    registry = JWSRegistry(algorithms=[alg], strict_check_header=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of EdDSA, which got a second name in 2025
        return jwt.encode(names, dict(payload), by, registry=registry)


def ok(body: object) -> Fetched:
    return Fetched(200, orjson.dumps(body))


@attrs.define
class Site:
    """`answers` by address: a value, or what makes one of the call's body. No other address answers."""

    answers: dict[str, Any]
    calls: list[tuple[str, str, Mapping[str, str], bytes]] = attrs.field(factory=list)

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Fetched:
        self.calls.append((method, url, headers or {}, body or b""))
        if url not in self.answers:
            raise ElsewhereFailed(f"{url} does not answer", Trouble.UNREACHABLE)
        answer = self.answers[url]
        made = answer(body or b"") if callable(answer) else answer
        return made if isinstance(made, Fetched) else ok(made)

    def count(self, url: str) -> int:
        return sum(called == url for _, called, _, _ in self.calls)


def description(**changes: Any) -> dict[str, Any]:
    found = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize",
        "token_endpoint": f"{ISSUER}/token",
        "jwks_uri": f"{ISSUER}/jwks",
        "userinfo_endpoint": f"{ISSUER}/userinfo",
        "id_token_signing_alg_values_supported": ["RS256"],
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def site(token: str | Callable[[bytes], Any], *keys: jwk.Key, **changes: Any) -> Site:
    """A provider that answers any code with `token`, or with what that makes of the call."""
    tokens = token if callable(token) else lambda _: {"access_token": "at", "token_type": "Bearer", "id_token": token}
    return Site(
        {
            f"{ISSUER}/.well-known/openid-configuration": description(**changes),
            f"{ISSUER}/jwks": {"keys": [public(one) for one in keys]},
            f"{ISSUER}/token": tokens,
        }
    )
