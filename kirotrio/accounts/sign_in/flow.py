"""One sign-in from its first call to a credential that may be kept.

First the flow of the kind, which ends with tokens; then, for the kinds whose calls are refused without one, the
profile; last a look at whose account it is, which may fail without harm. Nothing is stored here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from kirotrio.accounts.calling import credentials_for
from kirotrio.accounts.credential import ApiKey, Credential, Refreshable
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.profiles import list_profiles
from kirotrio.accounts.sign_in import api_key, external, oidc, social
from kirotrio.accounts.sign_in.calls import Calls
from kirotrio.accounts.sign_in.values import Prompt, SignedIn, SignInFailed, SignInPlan
from kirotrio.accounts.sign_in.worth import Told, asked_worth
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.tokens.answers import text_in
from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError, UpstreamFailed
from kirotrio.kiro.credentials import Credentials


async def sign_in(
    plan: SignInPlan,
    prompt: Prompt,
    http: HttpCalls,
    settings: Settings,
    *,
    proxy_url: str | None = None,
    now: Callable[[], float] = time.time,
) -> SignedIn:
    """Sign a person in as `plan` says. `proxy_url`: the account's own proxy ("" none, None that of the settings);
    `now`: the wall clock, in epoch seconds. A person has `deadlines.login`, each call `deadlines.sign_in`.

    Raises SignInFailed with a sentence that says what to do; AccountUnavailable for a region that is none;
    UpstreamFailed or DeadlineExceeded where the network fails for good. Cancellation closes the listener and every
    call.
    """
    calls = Calls(http, settings, prompt, now, proxy_url)
    if plan.kind == "api-key":
        key = api_key.checked_key(plan.api_key)
        return _signed_in(key, await api_key.tried(calls, _credentials(calls, key)))
    claims: Mapping[str, Any] = {}
    credential: Refreshable
    match plan.kind, plan.method:
        case "social", "device":
            credential = await social.by_device(plan, calls)
        case "social", _:
            credential = await social.by_browser(plan, calls)
        case "external", _:
            credential, claims = await external.by_browser(plan, calls)
        case _, "device":
            credential = await oidc.by_device(plan, calls)
        case _:
            credential = await oidc.by_browser(plan, calls)
    credential = await _with_profile(calls, credential)
    return _signed_in(credential, await _worth(calls, credential), claims)


async def _with_profile(calls: Calls, credential: Refreshable) -> Refreshable:
    """The sign-in with the profile that the person chose, for kinds that need one (KIRO_PROTOCOL 2.6)."""
    if not credential.needs_profile:
        return credential
    upstream = calls.settings.upstream
    try:
        profiles = await list_profiles(
            calls.http,
            _credentials(calls, credential),
            user_agent=upstream.user_agent,
            deadline=calls.settings.deadlines.sign_in,
        )
    except UpstreamFailed as error:
        # The tokens are good; the profile is looked for again when they are used.
        calls.prompt.waiting(f"{error.message}; it is looked for again when the account is used")
        return credential
    usable = [profile for profile in profiles if profile.active] or profiles
    if not usable:
        raise SignInFailed(
            "The sign-in worked, but Kiro has no profile for it: the company's administrator has to give this person "
            "a Kiro subscription. Nothing was kept.",
            "refused",
        )
    chosen = usable[0] if len(usable) == 1 else await calls.prompt.choose_profile(usable)
    return credential.with_profile(chosen.arn)


async def _worth(calls: Calls, credential: Refreshable) -> Told | None:
    """Whose account it is. What cannot be had is no reason to throw good tokens away."""
    try:
        return await asked_worth(calls, _credentials(calls, credential))
    except KirotrioError:
        return None


def _credentials(calls: Calls, credential: Credential) -> Credentials:
    """What a data call needs of a sign-in that has no account yet."""
    terms = attrs.evolve(Terms.of(calls.settings), proxy_url=calls.proxy_url)
    return credentials_for(credential, terms, account="new")


def _signed_in(credential: Credential, worth: Told | None, claims: Mapping[str, Any] | None = None) -> SignedIn:
    """`claims` are the ID token's; what Kiro itself says of the person goes before them."""
    told = claims or {}
    usage = worth.usage if worth else None
    return SignedIn(
        credential,
        profile_arn="" if isinstance(credential, ApiKey) else credential.profile_arn,
        email=(usage.email if usage else "") or text_in(told, "email", "preferred_username"),
        user_id=(usage.user_id if usage else "") or text_in(told, "oid", "sub"),
        plan=usage.plan if usage else "",
        usage=worth.document if worth else None,
        usage_at=usage.fetched_at if usage else 0.0,
    )
