"""Any OpenID provider, by its issuer's address."""

from __future__ import annotations

import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio

from kirotrio.access.elsewhere.code import Client, authorization_url, code_of, tokens_for
from kirotrio.access.elsewhere.discovery import Description, Discovered, check_issuer
from kirotrio.access.elsewhere.fetch import Fetch, bearer, json_object
from kirotrio.access.elsewhere.id_token import Expectation, KeyUnknown, verified
from kirotrio.access.elsewhere.identity import LONGEST_SHOWN, ElsewhereFailed, Identity, Trouble, printable
from kirotrio.access.elsewhere.journey import Journey
from kirotrio.classes import define

NAME: Final = "openid"


@define(eq=False)
class OpenIdProvider:
    """`now` is the wall clock in epoch seconds: tokens expire by it."""

    issuer: str
    label: str
    client: Client
    now: Callable[[], float]
    discovered: Discovered

    @classmethod
    def at(cls, issuer: str, label: str, client: Client, now: Callable[[], float]) -> OpenIdProvider:
        return cls(issuer, label, client, now, Discovered(issuer, bool(client.client_secret), now))

    @property
    def name(self) -> str:
        return NAME

    @property
    def key(self) -> str:
        return f"openid-{hashlib.sha256(self.issuer.rstrip('/').encode()).hexdigest()[:40]}"

    async def departure(self, journey: Journey, redirect_uri: str, fetch: Fetch) -> str:
        check_issuer(self.issuer)
        description = await self.discovered.description(fetch)
        return await trio.to_thread.run_sync(  # the library is imported there
            authorization_url,
            description.authorization_endpoint,
            self.client,
            journey,
            redirect_uri,
            {"nonce": journey.nonce, **({"prompt": "login"} if journey.confirms else {})},
        )

    async def arrival(
        self, journey: Journey, arguments: Mapping[str, str], redirect_uri: str, fetch: Fetch
    ) -> Identity:
        check_issuer(self.issuer)
        description = await self.discovered.description(fetch)
        _check_sender(description, arguments.get("iss"))
        tokens = await tokens_for(
            code_of(arguments),
            description.token_endpoint,
            self.client,
            description.proof,
            journey,
            redirect_uri,
            fetch,
        )
        if not tokens.id:
            raise ElsewhereFailed(
                "the provider sent no ID token; is `openid` in sign_in.openid_scopes?", Trouble.MISCONFIGURED
            )
        expected = Expectation(
            description.issuer, self.client.client_id, journey.nonce, tokens.access, description.algorithms
        )
        claims = await self._claims(tokens.id, expected, fetch)
        if description.userinfo_endpoint and not _says_who(claims):
            claims = {**await _told(description.userinfo_endpoint, tokens.access, claims["sub"], fetch), **claims}
        return identity_of(claims, self.key)

    async def _claims(self, token: str, expected: Expectation, fetch: Fetch) -> dict[str, Any]:
        keys = await self.discovered.keys(fetch)
        for last in (False, True):
            try:
                return await trio.to_thread.run_sync(functools.partial(verified, token, keys, expected, self.now()))
            except KeyUnknown:
                fresh = await self.discovered.keys(fetch, unless=keys)
                if last or fresh is keys:
                    raise
                keys = fresh
        raise AssertionError("unreachable: the last look returns or raises")


def identity_of(claims: Mapping[str, Any], key: str) -> Identity:
    """The person that verified claims are about."""
    email = printable(claims.get("email"), LONGEST_SHOWN) if claims.get("email_verified") is True else ""
    name = printable(claims.get("preferred_username"), 64) or printable(claims.get("nickname"), 64)
    called = printable(claims.get("name"), 128)
    shown = email or name or called or claims["sub"]
    return Identity(key, claims["sub"], printable(shown, LONGEST_SHOWN), name or called, email)


def _check_sender(description: Description, iss: str | None) -> None:
    """RFC 9207: an answer that another provider sent here is told apart by its `iss`."""
    if iss is None and not description.names_itself:
        return
    if iss is None or not hmac.compare_digest(iss.encode("utf-8", "surrogateescape"), description.issuer.encode()):
        raise ElsewhereFailed("the answer comes from another provider than the one that was asked", Trouble.UNTRUSTED)


def _says_who(claims: Mapping[str, Any]) -> bool:
    return any(isinstance(claims.get(name), str) for name in ("email", "preferred_username", "name"))


async def _told(endpoint: str, access_token: str, subject: str, fetch: Fetch) -> dict[str, Any]:
    """What the provider tells beside the token, where that says too little to show; {} where it tells nothing.

    Raises ElsewhereFailed where it is about somebody else (OpenID Connect Core 5.3.2).
    """
    try:
        told = json_object(await fetch("GET", endpoint, headers=bearer(access_token)), "user information")
    except ElsewhereFailed:
        return {}  # who it is has been proved; this would only have been shown
    if told.get("sub") != subject:
        raise ElsewhereFailed("the provider's user information is about somebody else", Trouble.UNTRUSTED)
    return told
