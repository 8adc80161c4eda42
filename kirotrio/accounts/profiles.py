"""Finding the profile of an Identity Center or external sign-in (KIRO_PROTOCOL 2.6, 6.2)."""

from __future__ import annotations

import json
from typing import Any

import trio

from kirotrio.accounts.endpoints import real_arn
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.errors import KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import PROFILE_REGIONS, Endpoint, endpoints, headers_for

_NO_PROFILES = frozenset({400, 403})
"""Answers that say that this kind of account has none (Builder ID, API key), and also that a token is not valid."""


async def find_profile(
    http: HttpCalls,
    credentials: Credentials,
    *,
    flavour: str,
    data_url: str = "",
    user_agent: str = "",
    deadline: float,
) -> str:
    """The ARN of the account's profile, "" if it certainly has none. Both regions are asked at the same time, for
    `deadline` seconds at most.

    Raises UpstreamFailed (retryable) where nothing was found and not every region gave an answer: that is not to be
    remembered as "no profile". Cancellation closes the calls.
    """
    asked = {call.url: call for call in (endpoints(flavour, region, data_url).profiles() for region in PROFILE_REGIONS)}
    found: dict[str, str] = {}
    failures: list[KirotrioError] = []

    async def ask(call: Endpoint) -> None:
        headers = headers_for(credentials, call, user_agent=user_agent, attempts=1)
        try:
            answer = await http.call(call.method, call.url, headers=headers, body=call.body, deadline=deadline)
        except KirotrioError as error:
            failures.append(error)
            return
        if answer.status == 200 and (profiles := _profiles_in(answer.body)) is not None:
            found[call.url] = _best_arn(profiles)
        elif answer.status not in _NO_PROFILES:
            failures.append(UpstreamFailed(f"status {answer.status}", upstream_status=answer.status))

    async with trio.open_nursery() as nursery:
        for call in asked.values():
            nursery.start_soon(ask, call)
    for url in asked:  # with a replaced host all regions are one
        if found.get(url):
            return found[url]
    if failures:
        raise UpstreamFailed(
            f"The profile of this account could not be looked up ({failures[0].message})", recovery=Recovery.RETRY
        ) from failures[0]
    return ""


def _profiles_in(body: bytes) -> list[Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    profiles = answer.get("profiles") if isinstance(answer, dict) else None
    return profiles if isinstance(profiles, list) else None


def _best_arn(profiles: list[Any]) -> str:
    """The first active profile; the first of any status if none is; "" if there is none."""
    named = [profile for profile in profiles if isinstance(profile, dict) and isinstance(profile.get("arn"), str)]
    real = [profile for profile in named if real_arn(profile["arn"])]
    active = [profile for profile in real if str(profile.get("status") or "ACTIVE").upper() == "ACTIVE"]
    return next((str(profile["arn"]) for profile in active or real), "")
