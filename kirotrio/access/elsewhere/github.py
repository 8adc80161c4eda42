"""GitHub, which is no OpenID provider: who signed in is what its API says to the access token.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps and .../rest/users/emails
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import trio

from kirotrio.access.elsewhere.code import Client, Proof, authorization_url, code_of, tokens_for
from kirotrio.access.elsewhere.fetch import Fetch, bearer, json_object, json_value
from kirotrio.access.elsewhere.identity import LONGEST_SHOWN, ElsewhereFailed, Identity, Trouble, printable
from kirotrio.access.elsewhere.journey import Journey
from kirotrio.classes import frozen

NAME: Final = "github"
PUBLIC: Final = "https://github.com"
SCOPE: Final = "read:user user:email"


@frozen
class GitHub:
    """`url`: of GitHub, or of an Enterprise Server, whose API lies beneath it."""

    client: Client
    url: str = PUBLIC
    label: str = "GitHub"

    @property
    def name(self) -> str:
        return NAME

    @property
    def key(self) -> str:
        return keyed(NAME, self.url, PUBLIC)

    @property
    def api(self) -> str:
        return "https://api.github.com" if self.url == PUBLIC else f"{self.url}/api/v3"

    async def departure(self, journey: Journey, redirect_uri: str, fetch: Fetch) -> str:
        return await trio.to_thread.run_sync(
            authorization_url, f"{self.url}/login/oauth/authorize", self.client, journey, redirect_uri
        )

    async def arrival(
        self, journey: Journey, arguments: Mapping[str, str], redirect_uri: str, fetch: Fetch
    ) -> Identity:
        endpoint = f"{self.url}/login/oauth/access_token"
        code = code_of(arguments)
        tokens = await tokens_for(code, endpoint, self.client, Proof.BODY, journey, redirect_uri, fetch)
        headers = {**bearer(tokens.access), "accept": "application/vnd.github+json"}
        user = json_object(await fetch("GET", f"{self.api}/user", headers=headers), "user")
        subject, login = numbered(user.get("id")), printable(user.get("login"), 64)
        try:
            email = primary(json_value(await fetch("GET", f"{self.api}/user/emails", headers=headers), "addresses"))
        except ElsewhereFailed:
            email = ""  # the person may have withheld them; it is only shown
        return Identity(self.key, subject, login or email or subject, login, email)


def numbered(value: object) -> str:
    """A user's number, which stays when names change hands. Raises ElsewhereFailed."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**63:
        raise ElsewhereFailed("the provider's answer does not number the user", Trouble.UNTRUSTED)
    return str(value)


def keyed(name: str, url: str, public: str) -> str:
    """`name` for the provider everybody means, and another for each other address."""
    return name if url == public else f"{name}-{hashlib.sha256(url.encode()).hexdigest()[:40]}"


def primary(addresses: Any) -> str:
    """The primary address, if it is verified."""
    for one in addresses if isinstance(addresses, list) else ():
        if isinstance(one, Mapping) and one.get("primary") is True and one.get("verified") is True:
            return printable(one.get("email"), LONGEST_SHOWN)
    return ""
