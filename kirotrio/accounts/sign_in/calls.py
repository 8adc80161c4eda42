"""The calls of one sign-in: the same deadline, proxy and name for all, and what a refusal among them means."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import trio

from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.sign_in.addresses import checked_page, checked_user_code
from kirotrio.accounts.sign_in.values import Prompt, SignInFailed
from kirotrio.accounts.tokens.answers import error_name, json_object, plain_name, retry_after
from kirotrio.accounts.tokens.refresh import NetworkRefused
from kirotrio.classes import frozen
from kirotrio.config.settings import Settings
from kirotrio.errors import DeadlineExceeded, KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.endpoints import USER_AGENT
from kirotrio.kiro.http_answer import HttpAnswer

TRIES = 3
"""Of a call that fails for reasons that pass. A person waits, so not for long."""
FIRST_PAUSE = 1.0
"""Seconds before the second try, doubled before the third."""
LONGEST_PAUSE = 10.0
"""A service that asks for more is not waited for."""
OAUTH_DEAD = frozenset({"expiredtoken", "invalidgrant"})
"""Names of errors that say that a code is used up or too old."""


@frozen
class Calls:
    """`now` is the wall clock in epoch seconds; `proxy_url` the account's own proxy."""

    http: HttpCalls
    settings: Settings
    prompt: Prompt
    now: Callable[[], float]
    proxy_url: str | None = None

    @property
    def auth_url(self) -> str:
        return self.settings.upstream.auth_url

    @property
    def bases(self) -> tuple[str, ...]:
        """The addresses that the settings themselves name."""
        upstream = self.settings.upstream
        return tuple(base for base in (upstream.auth_url, upstream.portal_url) if base)

    def show_code(self, user_code: str, address: str, complete_address: str, seconds: float) -> None:
        """Show what a service's answer wants shown, if a terminal may. Raises SignInFailed."""
        for url in filter(None, (address, complete_address)):
            checked_page(url, self.bases)
        self.prompt.code(checked_user_code(user_code), address, complete_address, seconds)

    @property
    def patience(self) -> float:
        """Seconds that a person has to sign in, unless the service grants fewer."""
        return self.settings.deadlines.login

    async def once(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> HttpAnswer:
        """One call. Raises UpstreamFailed or DeadlineExceeded where there is no answer."""
        head = {"accept": "application/json", "user-agent": self.settings.upstream.user_agent or USER_AGENT}
        return await self.http.call(
            method,
            url,
            headers={**head, **(headers or {})},
            body=body,
            deadline=self.settings.deadlines.sign_in,
            proxy_url=self.proxy_url,
        )

    async def post_json(self, url: str, members: Mapping[str, Any]) -> HttpAnswer:
        """One POST of a JSON object, whatever comes of it."""
        return await self.once("POST", url, headers=JSON, body=json.dumps(members).encode())

    async def wanted(self, ask: Callable[[], Awaitable[HttpAnswer]], what: str) -> HttpAnswer:
        """The answer of `ask`, which has to be a success; faults that pass are tried again. `what` is what the call
        was to bring, for the message.

        Raises SignInFailed where the service refuses, UpstreamFailed or DeadlineExceeded where it cannot be reached,
        NetworkRefused where it does not talk to this network.
        """
        pause = FIRST_PAUSE
        for left in reversed(range(TRIES)):
            try:
                answer = await ask()
                if 200 <= answer.status < 300:
                    return answer
                raise refusal(answer, what)
            except (UpstreamFailed, DeadlineExceeded) as error:
                wait = max(pause, error.retry_after or 0.0)
                if not left or not error.retryable or wait > LONGEST_PAUSE:
                    raise
                self.prompt.waiting(f"{error.message}; trying again")
            await trio.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable: the last try returns or raises")

    async def wanted_json(self, url: str, members: Mapping[str, Any], what: str) -> HttpAnswer:
        """`post_json` as `wanted` makes it."""
        return await self.wanted(lambda: self.post_json(url, members), what)

    async def wanted_form(self, url: str, members: Mapping[str, str], what: str) -> HttpAnswer:
        """The same with a form (KIRO_PROTOCOL 5.4)."""
        body = urlencode(members).encode()
        return await self.wanted(lambda: self.once("POST", url, headers=FORM, body=body), what)


JSON: Mapping[str, str] = {"content-type": "application/json"}
FORM: Mapping[str, str] = {"content-type": "application/x-www-form-urlencoded"}


def transient(answer: HttpAnswer) -> bool:
    """Whether the same call may succeed later."""
    return answer.status in (408, 429) or answer.status >= 500


def named(answer: HttpAnswer) -> str:
    """How a message calls an answer: its status, and the error's name where it has one."""
    return f"{answer.status} {error_name(answer)}".strip()


def refusal(answer: HttpAnswer, what: str) -> KirotrioError:
    """What an answer that is no success means for a sign-in that wanted `what`."""
    called = named(answer)
    if transient(answer) or plain_name(error_name(answer)) == "slowdown":
        return UpstreamFailed(
            f"The sign-in service cannot give {what} at present ({called})",
            recovery=Recovery.RETRY,
            retry_after=retry_after(answer),
            upstream_status=answer.status,
        )
    if answer.status == 403 and json_object(answer) is None:
        # A firewall in front of the service says this, whatever was sent (KIRO_PROTOCOL 5.1).
        return NetworkRefused(
            f"The sign-in service refuses calls from this network ({called}). Use another network, or a proxy "
            "(--proxy, or the setting upstream.proxy_url).",
            upstream_status=answer.status,
        )
    if plain_name(error_name(answer)) in OAUTH_DEAD:
        return SignInFailed(
            f"The sign-in took too long or was used already ({called}). Run `kirotrio login` once more.",
            "expired",
            upstream_status=answer.status,
        )
    return SignInFailed(
        f"The sign-in service does not give {what} ({called}). Look at what was asked for (kind, region, address), "
        "then run `kirotrio login` once more.",
        "refused",
        upstream_status=answer.status,
    )


def unusable_answer(what: str) -> SignInFailed:
    """The service said yes, but not what is needed to go on."""
    return SignInFailed(
        f"The sign-in service answered without {what}; nothing was kept. Run `kirotrio login` once more; if that "
        "changes nothing, another kind of sign-in may work.",
        "unusable",
    )
