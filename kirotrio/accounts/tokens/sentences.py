"""What a person reads when an account has no token that is good."""

from __future__ import annotations

from kirotrio.accounts.sources.source import Source
from kirotrio.accounts.tokens.refresh import SignInRefused
from kirotrio.errors import AccountUnavailable, Blame, Recovery


def not_now(account: str, problem: str) -> AccountUnavailable:
    return AccountUnavailable(
        f"The token of the account {account} is used up and cannot be refreshed now: {problem}",
        recovery=Recovery.RETRY,
        retry_after=5.0,
    )


def over(account: str, source: Source, refusal: SignInRefused) -> AccountUnavailable:
    whose = f"the account {account}"
    place = "" if source.where == whose else f" ({source.where})"
    return AccountUnavailable(
        f"The sign-in of {whose}{place} is over: {refusal.reason}. To go on, {source.remedy}.",
        upstream_status=refusal.upstream_status,
        blame=Blame.SIGN_IN,
    )


def hindered(source: Source, obstacle: str) -> AccountUnavailable:
    return AccountUnavailable(
        f"The access token in {source.where} is used up, and it is not refreshed, since the new one could "
        f"not be kept there and whoever else uses this sign-in would be signed out: {obstacle}. "
        f"Or {source.remedy}.",
        blame=Blame.ACCESS,
    )
