"""Finding the profile of an Identity Center or external sign-in (KIRO_PROTOCOL 2.6, 6.2)."""

from __future__ import annotations

import json
from typing import Any

import trio

from kirotrio.accounts.endpoints import real_arn
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError, Recovery, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import PROFILE_REGIONS, Endpoint, endpoints, headers_for

_NO_PROFILES = frozenset({400, 403})
"""Answers that say that this kind of account has none (Builder ID, API key), and also that a token is not valid."""


@frozen
class Profile:
    """One profile of an account. `status` is as the service spells it: ACTIVE, or what keeps it from use."""

    arn: str
    name: str = ""
    status: str = "ACTIVE"

    @property
    def active(self) -> bool:
        return self.status.upper() == "ACTIVE"


@frozen
class Answers:
    """What the regions say. `refused`: each of them with 403, as Builder ID is told where its token is good."""

    profiles: tuple[Profile, ...] = ()
    refused: bool = False


async def find_profile(
    http: HttpCalls,
    credentials: Credentials,
    *,
    user_agent: str = "",
    deadline: float,
) -> str:
    """The ARN of the account's profile: the first active one, the first of any status if none is, "" if the account
    certainly has none.

    Raises and takes its time as `list_profiles` does.
    """
    profiles = await list_profiles(http, credentials, user_agent=user_agent, deadline=deadline)
    return profiles[0].arn if profiles else ""


async def list_profiles(
    http: HttpCalls,
    credentials: Credentials,
    *,
    user_agent: str = "",
    deadline: float,
) -> list[Profile]:
    """All profiles of the account: active ones first, and those of us-east-1 before the others of their status. Both
    regions are asked at the same time, for `deadline` seconds at most.

    Raises UpstreamFailed (retryable) where nothing was found and not every region gave an answer: that is not to be
    remembered as "no profile". Cancellation closes the calls.
    """
    answers = await ask_profiles(http, credentials, user_agent=user_agent, deadline=deadline)
    return list(answers.profiles)


async def ask_profiles(
    http: HttpCalls,
    credentials: Credentials,
    *,
    user_agent: str = "",
    deadline: float,
) -> Answers:
    """The same, and whether the question itself was refused. Raises and takes its time as `list_profiles` does."""
    calls = (endpoints(credentials.flavour, region, credentials.url).profiles() for region in PROFILE_REGIONS)
    asked = {call.url: call for call in calls}
    found: dict[str, list[Profile]] = {}
    failures: list[KirotrioError] = []
    refused: set[str] = set()

    async def ask(call: Endpoint) -> None:
        headers = headers_for(credentials, call, user_agent=user_agent, attempts=1)
        try:
            answer = await http.call(
                call.method,
                call.url,
                headers=headers,
                body=call.body,
                deadline=deadline,
                proxy_url=credentials.proxy_url,
            )
        except KirotrioError as error:
            failures.append(error)
            return
        if answer.status == 200 and (profiles := _profiles_in(answer.body)) is not None:
            found[call.url] = _real(profiles)
            return
        if answer.status == 403:
            refused.add(call.url)
        if answer.status not in _NO_PROFILES:
            failures.append(UpstreamFailed(f"status {answer.status}", upstream_status=answer.status))

    async with trio.open_nursery() as nursery:
        for call in asked.values():
            nursery.start_soon(ask, call)
    profiles: dict[str, Profile] = {}
    for url in asked:  # with a replaced host all regions are one
        for profile in found.get(url, []):
            profiles.setdefault(profile.arn, profile)
    if profiles:
        return Answers(tuple(sorted(profiles.values(), key=lambda profile: not profile.active)))
    if failures:
        raise UpstreamFailed(
            f"The profile of this account could not be looked up ({failures[0].message})", recovery=Recovery.RETRY
        ) from failures[0]
    return Answers(refused=refused == asked.keys())


def _profiles_in(body: bytes) -> list[Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    profiles = answer.get("profiles") if isinstance(answer, dict) else None
    return profiles if isinstance(profiles, list) else None


def _real(entries: list[Any]) -> list[Profile]:
    """Those that can be used at all: an entry without a real ARN is none."""
    return [
        Profile(entry["arn"], _text(entry.get("profileName")), _text(entry.get("status")) or "ACTIVE")
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("arn"), str) and real_arn(entry["arn"])
    ]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
