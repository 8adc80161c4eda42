"""What a sign-in is asked for, what it says on its way, and what it brings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol, TypeAlias

from attrs import field

from kirotrio.accounts.credential import Credential
from kirotrio.accounts.profiles import Profile
from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.errors import Cause, KirotrioError

SignInKind: TypeAlias = Literal["social", "builder-id", "identity-center", "api-key", "external"]
SignInMethod: TypeAlias = Literal["browser", "device"]
FailureReason: TypeAlias = Literal["denied", "expired", "refused", "cancelled", "unusable"]


@frozen
class SignInPlan:
    """What a person asked for. `method` matters to the kinds that know both ways (all but `api-key`, `external`)."""

    kind: SignInKind
    method: SignInMethod
    provider: str = ""
    """Of a social sign-in: Google or Github, in any case."""
    start_url: str = ""
    """Of an Identity Center: the address of the company's access portal."""
    region: str = "us-east-1"
    """Of the sign-in, which has nothing to do with the region of data calls."""
    domain: str = ""
    """Of an external sign-in: what stands behind the @ of the company's mail addresses."""
    api_key: str = field(default="", repr=False)


class Prompt(Protocol):
    """Whoever talks to the person. Only `choose_profile` may wait; an exception out of any of them ends the sign-in."""

    def code(self, user_code: str, address: str, complete_address: str, seconds: float) -> None:
        """The person is to open `address` and enter `user_code`, or to open `complete_address` ("" if there is none),
        within `seconds`."""

    def browser(self, address: str, seconds: float, came_back: Callable[[str], bool]) -> None:
        """The person is to sign in at `address`, in a browser on this machine, within `seconds`. Where the browser is
        on another one, `came_back` takes the address that it ended at: whether it is one of this sign-in, which goes
        on then."""

    def waiting(self, note: str) -> None:
        """Something that explains why it takes longer: a clause in plain words."""

    async def choose_profile(self, profiles: Sequence[Profile]) -> Profile:
        """One of these, of which there are two or more; or the one that an account has had, to keep the sign-in all the
        same. Cancellation ends the sign-in."""


@frozen
class SignedIn:
    """A finished sign-in. `profile_arn`, `email`, `user_id` and `plan` (its title) are "" where the sign-in did not
    tell them. `usage` is what Kiro said of the account's worth at `usage_at` (epoch seconds), as it is kept; None where
    it told nothing."""

    credential: Credential
    profile_arn: str = ""
    email: str = ""
    user_id: str = ""
    plan: str = ""
    usage: dict[str, Json] | None = field(default=None, repr=False)
    usage_at: float = 0.0


class SignInFailed(KirotrioError):
    """The sign-in brought nothing; the message says what to do.

    `reason`: denied (by the person), expired (nobody agreed in time), refused (by the service), cancelled (given up
    before its end), unusable (what was asked for, or what was answered, cannot be used).
    """

    cause = Cause.ACCOUNT_UNAVAILABLE

    def __init__(self, message: str, reason: FailureReason, *, upstream_status: int | None = None) -> None:
        super().__init__(message, upstream_status=upstream_status)
        self.reason: FailureReason = reason
