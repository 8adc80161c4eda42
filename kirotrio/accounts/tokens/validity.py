"""How long a token is good, and when it is to be looked after."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from kirotrio.accounts.credential import ApiKey, Credential, Refreshable
from kirotrio.accounts.terms import Terms

LAST_SECONDS = 5.0
"""A token this close to its end might not survive the way to the service."""
ENOUGH = 30.0
"""Seconds that a token must have left to be used while its refresh is under way."""


class Validity:
    """What the tokens of one account are good for. All times are epoch seconds, as `now` tells them.

    `spread`: by how much of `terms.ahead` a refresh is earlier still. `refused` is the access token that the service
    did not take, whatever time it had left.
    """

    def __init__(self, terms: Terms, now: Callable[[], float], spread: float) -> None:
        self.terms = terms
        self.refused = ""
        self._now = now
        self._spread = spread

    def alive(self, credential: Refreshable) -> bool:
        """Whether its access token would be taken at all."""
        return (
            bool(credential.access_token)
            and credential.access_token != self.refused
            and credential.expires_at is not None
            and self._now() < credential.expires_at - LAST_SECONDS
        )

    def good(self, credential: Credential) -> bool:
        """The same for every kind: a key has no end."""
        return isinstance(credential, ApiKey) or self.alive(credential)

    def outlasts_a_refresh(self, credential: Credential) -> bool:
        """Whether whoever holds it need not wait for the refresh that is under way."""
        if isinstance(credential, ApiKey):
            return True
        return self.alive(credential) and self._now() < (credential.expires_at or 0.0) - ENOUGH

    def due(self, credential: Refreshable) -> float:
        """When a token that was found is to be refreshed."""
        return (credential.expires_at or 0.0) - self.terms.ahead * (1 + self._spread)

    def due_when_new(self, credential: Refreshable) -> float:
        """The same for one that a refresh has just brought: a short-lived one is renewed at half its life, or every
        request would refresh it."""
        now = self._now()
        return max(self.due(credential), now + ((credential.expires_at or 0.0) - now) / 2)


def token_of(credential: Credential) -> str:
    """What stands in the `Authorization` header."""
    return credential.key if isinstance(credential, ApiKey) else credential.access_token


def digest_of(refresh_token: str) -> str:
    """What a refresh token is known by once it is of no use any more."""
    return hashlib.sha256(refresh_token.encode()).hexdigest()
