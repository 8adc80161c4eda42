"""How an attempt to sign in or to become a user ends."""

from __future__ import annotations

from typing import TypeAlias

from attrs import field

from kirotrio.classes import frozen
from kirotrio.errors import AuthenticationFailed, Cause, KirotrioError, SettingsError
from kirotrio.store.user_record import Session


@frozen
class SignedIn:
    """`token` is what the cookie holds; only its SHA-256 is kept here."""

    token: str = field(repr=False)
    session: Session


@frozen
class NeedsSecondFactor:
    """The password was right; `second_factor(token, code)` is to follow before `expires_at` (epoch seconds)."""

    token: str = field(repr=False)
    expires_at: float


Entered: TypeAlias = SignedIn | NeedsSecondFactor


class SignInRefused(AuthenticationFailed):
    """Nobody was signed in, or confirmed. One sentence for unknown names, disabled users and wrong passwords alike.

    With `retry_after` it was not even tried: it is to be waited so many seconds, because of failures before.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after, cause=Cause.RATE_LIMITED if retry_after else None)


class InvitationInvalid(SettingsError):
    """There is no such invitation, or it was accepted, taken back, or has expired."""

    def __init__(self) -> None:
        super().__init__("this invitation is not valid any more; ask for another one")


class WaitingForApproval(KirotrioError):
    """The user is known, and an operator has not yet approved."""

    cause = Cause.PERMISSION

    def __init__(self) -> None:
        super().__init__("an operator has to approve this sign-in first")


class NotOpen(SettingsError):
    """The settings do not let strangers become users in this way."""


class ConfirmationNeeded(KirotrioError):
    """For this the password has to be given again (`People.confirm`)."""

    cause = Cause.PERMISSION

    def __init__(self) -> None:
        super().__init__("give your password once more for this")


def refused(*, named: bool = True) -> SignInRefused:
    """`named`: a name was asked for as well; of whoever has signed in, only the password was."""
    return SignInRefused("the name or the password is not right" if named else "the password is not right")


def throttled(wait: float) -> SignInRefused:
    return SignInRefused(
        f"too many attempts have failed; try again in {max(1, round(wait))} seconds", retry_after=max(1.0, wait)
    )
