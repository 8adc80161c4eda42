"""Signing a person in: `sign_in` runs one flow from the first call to the tokens (KIRO_PROTOCOL 5.1 to 5.4)."""

from kirotrio.accounts.sign_in.flow import sign_in
from kirotrio.accounts.sign_in.values import (
    FailureReason,
    Prompt,
    SignedIn,
    SignInFailed,
    SignInKind,
    SignInMethod,
    SignInPlan,
)

__all__ = [
    "FailureReason",
    "Prompt",
    "SignInFailed",
    "SignInKind",
    "SignInMethod",
    "SignInPlan",
    "SignedIn",
    "sign_in",
]
