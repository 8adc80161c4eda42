"""LinuxDo, by its service Connect: OAuth 2, and an address that says who the access token's owner is.

Its answer has `id` (the forum's number of the user), `username`, `name`, `trust_level` from 0 to 4, `active` and
`silenced`. Its `email` is made up from the number, so it is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import trio

from kirotrio.access.elsewhere.code import Client, Proof, authorization_url, code_of, tokens_for
from kirotrio.access.elsewhere.fetch import Fetch, bearer, json_object
from kirotrio.access.elsewhere.github import keyed, numbered
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Identity, Trouble, printable
from kirotrio.access.elsewhere.journey import Journey
from kirotrio.classes import frozen

NAME: Final = "linuxdo"
PUBLIC: Final = "https://connect.linux.do"


@frozen
class LinuxDo:
    """`least_trust`: the forum's level of trust that somebody has to have."""

    client: Client
    url: str = PUBLIC
    least_trust: int = 0
    label: str = "LinuxDo"

    @property
    def name(self) -> str:
        return NAME

    @property
    def key(self) -> str:
        return keyed(NAME, self.url, PUBLIC)

    async def departure(self, journey: Journey, redirect_uri: str, fetch: Fetch) -> str:
        return await trio.to_thread.run_sync(
            authorization_url, f"{self.url}/oauth2/authorize", self.client, journey, redirect_uri
        )

    async def arrival(
        self, journey: Journey, arguments: Mapping[str, str], redirect_uri: str, fetch: Fetch
    ) -> Identity:
        code, endpoint = code_of(arguments), f"{self.url}/oauth2/token"
        tokens = await tokens_for(code, endpoint, self.client, Proof.BASIC, journey, redirect_uri, fetch)
        user = json_object(await fetch("GET", f"{self.url}/api/user", headers=bearer(tokens.access)), "user")
        subject, name = numbered(user.get("id")), printable(user.get("username"), 64)
        if user.get("active") is False or user.get("silenced") is True:
            raise ElsewhereFailed("LinuxDo says that this user is not active there", Trouble.NOT_ADMITTED)
        level = user.get("trust_level")
        if self.least_trust and (not isinstance(level, int) or level < self.least_trust):
            raise ElsewhereFailed(
                f"this user's trust level is below sign_in.linuxdo_trust_level ({self.least_trust})",
                Trouble.NOT_ADMITTED,
            )
        return Identity(self.key, subject, name or subject, name)
