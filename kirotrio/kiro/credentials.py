"""What one call to the upstream needs to know about the account that makes it."""

from __future__ import annotations

import hashlib
from functools import cached_property

from attrs import field

from kirotrio.classes import frozen


@frozen
class Credentials:
    """A usable access token and what goes with it. Never logged: the token has no `repr`.

    `token_type` is the `TokenType` header (KIRO_PROTOCOL 1.3): "API_KEY", "EXTERNAL_IDP" or "" (no header).
    `profile_arn` is "" where none is to be sent. `region` is the data region, which the ARN decides.
    """

    access_token: str = field(repr=False)
    token_type: str = ""
    profile_arn: str = ""
    region: str = "us-east-1"
    account: str = "default"
    """The account's name, for logs and messages."""
    flavour: str = "rest"
    """Which of Kiro's protocols this account speaks."""
    url: str = ""
    """Replaces scheme and host of its data calls, "" for Kiro's own."""
    proxy_url: str | None = field(default=None, repr=False)
    """The account's own proxy; "" for none at all, None for the one of the settings."""

    provider: str = ""
    """Through whom the account signed in, as its credential spells it (`Google`, `BuilderId`); the portal asks."""

    @cached_property
    def account_hash(self) -> str:
        """Eight hex digits that tell accounts apart without naming them (signature wrapping)."""
        return hashlib.sha256(self.account.encode()).hexdigest()[:8]
