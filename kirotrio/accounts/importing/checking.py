"""Whether a sign-in is any good: one cheap call that rotates nothing while its access token lives, else one refresh."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable

import trio
from attrs import evolve, field

from kirotrio.accounts.calling import credentials_for
from kirotrio.accounts.credential import ApiKey, Credential, Oidc, Refreshable
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.profiles import Answers, ask_profiles
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.tokens.refresh import SignInRefused, refresh
from kirotrio.accounts.worth.usage import ask_usage
from kirotrio.classes import frozen
from kirotrio.config.settings import Settings
from kirotrio.errors import AccountSuspended, KirotrioError, Recovery
from kirotrio.kiro.endpoints import DEFAULT_REGION

LAST_SECONDS = 60.0
"""A token this close to its end is not worth a try."""
_NAME = "new"
"""Of what has no name yet."""

Keep = Callable[[Refreshable], Awaitable[None]]
"""Puts rotated tokens where they last."""


class Health(enum.Enum):
    GOOD = "good"
    SUSPENDED = "suspended"
    """It signs in, and Kiro has locked it."""
    UNCHECKED = "unchecked"
    """Nothing can be said at present."""
    REFUSED = "refused"


@frozen
class Checked:
    """`credential` has the newest tokens. `reason` is a sentence where the health is not GOOD."""

    health: Health
    credential: Credential = field(repr=False)
    reason: str = ""
    email: str = ""
    user_id: str = ""


class Check:
    """`now`: the wall clock, in epoch seconds. Without `may_refresh` nothing is rotated (a dry run, a token that stays
    in another program's store)."""

    def __init__(self, http: HttpCalls, settings: Settings, now: Callable[[], float]) -> None:
        self._http = http
        self._settings = settings
        self._now = now

    async def __call__(self, credential: Credential, terms: Terms, keep: Keep, *, may_refresh: bool) -> Checked:
        """Never raises for what the service or the network does; what `keep` raises is raised.

        Cancellation ends a look at once; a refresh and the keeping of what it brought are finished first.
        """
        if self._lives(credential):
            checked = await self._look(credential, terms)
            if checked is not None:
                return checked
        if isinstance(credential, ApiKey):
            reason = "Kiro does not accept this key; make a new one in the Kiro portal"
            return Checked(Health.REFUSED, credential, reason)
        if not may_refresh:
            reason = "not checked, since no access token that is still good is there and nothing is refreshed now"
            return Checked(Health.UNCHECKED, credential, reason)
        try:
            fresh = await self._refreshed(credential, terms, keep)
        except SignInRefused as error:
            return Checked(Health.REFUSED, credential, f"{error.reason}; sign in again with `kirotrio login`")
        except _NotNow as error:
            return Checked(Health.UNCHECKED, credential, f"not checked: {error}")
        looked = await self._look(fresh, terms)
        return looked or Checked(Health.UNCHECKED, fresh, "it was refreshed, and Kiro refuses even the new token")

    async def _look(self, credential: Credential, terms: Terms) -> Checked | None:
        """None where the access token is refused."""
        try:
            answers = await self._profiles(credential, terms)
            credential = _with_profile(credential, answers)
            usage = await ask_usage(
                self._http, credentials_for(credential, terms, account=_NAME), self._settings, now=self._now
            )
        except AccountSuspended as error:
            return Checked(Health.SUSPENDED, credential, error.message)
        except KirotrioError as error:
            if error.recovery is Recovery.REFRESH_TOKEN:
                return None
            return Checked(Health.UNCHECKED, credential, f"not checked: {error.message}")
        if answers.refused:
            credential = _as_builder_id(credential)
        return Checked(Health.GOOD, credential, email=usage.email, user_id=usage.user_id)

    async def _profiles(self, credential: Credential, terms: Terms) -> Answers:
        """Of kinds that need one; it is looked for again when it is needed, if none is found."""
        if isinstance(credential, ApiKey) or not credential.needs_profile or credential.profile_arn:
            return Answers()
        try:
            return await ask_profiles(
                self._http,
                credentials_for(credential, terms, account=_NAME),
                user_agent=terms.user_agent,
                deadline=terms.deadline,
            )
        except KirotrioError:
            return Answers()

    async def _refreshed(self, credential: Refreshable, terms: Terms, keep: Keep) -> Refreshable:
        # From the moment the call leaves, the service may have rotated the token: nobody may leave before it is kept.
        with trio.CancelScope(shield=True):
            try:
                with trio.fail_after(terms.deadline):
                    renewed = await refresh(
                        self._http,
                        credential,
                        auth_url=terms.auth_url,
                        user_agent=terms.user_agent,
                        deadline=terms.deadline,
                        now=self._now,
                        proxy_url=terms.proxy_url,
                    )
            except SignInRefused:
                raise
            except KirotrioError as error:
                raise _NotNow(error.message) from error
            except trio.TooSlowError:
                raise _NotNow(f"the sign-in service did not answer within {terms.deadline:g} seconds") from None
            fresh = credential.after(renewed)
            await keep(fresh)
        return fresh

    def _lives(self, credential: Credential) -> bool:
        if isinstance(credential, ApiKey):
            return True
        ends = credential.expires_at
        return bool(credential.access_token) and ends is not None and self._now() < ends - LAST_SECONDS


def _with_profile(credential: Credential, answers: Answers) -> Credential:
    if isinstance(credential, ApiKey) or not answers.profiles:
        return credential
    return credential.with_profile(answers.profiles[0].arn)


def _as_builder_id(credential: Credential) -> Credential:
    """A client's sign-in of which nothing says through whom it was made, and which has no profiles although its token
    is good (KIRO_PROTOCOL 6.2)."""
    if not isinstance(credential, Oidc) or credential.provider or credential.start_url:
        return credential
    return evolve(credential, provider="BuilderId") if credential.sign_in_region == DEFAULT_REGION else credential


class _NotNow(Exception):
    """A refresh that failed for a reason that passes."""
