"""What a client is told when no account can answer: one error, with each account's state and how long it lasts."""

from __future__ import annotations

import enum
import math
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime

from kirotrio.accounts.cooldowns import MODEL_LENGTH, Cooldown
from kirotrio.classes import frozen
from kirotrio.errors import (
    AccountUnavailable,
    Blame,
    Cause,
    DeadlineExceeded,
    KirotrioError,
    NotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    Recovery,
    UpstreamFailed,
    UpstreamOverloaded,
)

NAMED = 10
"""Accounts whose state is told; of more, how many there are."""
MODELS_NAMED = 50


@frozen
class AccountState:
    """Why one account cannot answer; the first of these that says so.

    `enabled` False: a person has switched it off. `offers` False: its plan does not have the model; `models` are those
    that it has. `cooldown`: it is not asked for a while. `failure`: it was asked for this request and failed, or it
    was not to be had in time.
    """

    name: str
    enabled: bool = True
    cooldown: Cooldown | None = None
    offers: bool = True
    models: tuple[str, ...] = ()
    failure: KirotrioError | None = None
    remedy: str = ""
    """How its owner signs in to it again, as a clause, where none of our commands does that."""


class _Rank(enum.IntEnum):
    """How much there is to hope for, most first. Only the first has been promised by anybody."""

    WAITS = 0
    MAY_BE_REFUSED_AGAIN = 1
    NEEDS_PERSON = 2
    HAS_NOT_THE_MODEL = 3
    IS_SWITCHED_OFF = 4


@frozen
class _Told:
    """`hope`: when it may serve again, inf if nobody knows."""

    said: str
    cause: Cause
    rank: _Rank
    hope: float = math.inf


def nobody(reports: Sequence[AccountState], model: str, *, now: float) -> KirotrioError:
    """The error for a request that none of these accounts can answer; `now` in epoch seconds.

    The account that will be the first to serve again decides what it is: RateLimited, QuotaExhausted, or what its
    failure is, with `retry_after` seconds from now. NotFound, with the models there are, where no account's plan offers
    this one or all were refused it; AccountUnavailable where a person has to act. The message lists the accounts, the
    most hopeful first. A single failure of a single account is that failure.
    """
    if not reports:
        return AccountUnavailable("There is no account. Add one with `kirotrio login` or `kirotrio accounts import`.")
    if len(reports) == 1 and (failure := reports[0].failure) is not None and _is_plain(reports[0]):
        return failure
    model = model[:MODEL_LENGTH]
    told = sorted((_tell(report, model, now) for report in reports), key=lambda one: (one.rank, one.hope))
    first = told[0]
    listed = "; ".join(one.said for one in told[:NAMED])
    if len(told) > NAMED:
        listed += f"; and {len(told) - NAMED} more"
    if first.cause is Cause.NOT_FOUND:
        return NotFound(f"{_not_offered(reports, model)} {listed}.", model=model)
    heading = "This account cannot answer at present." if len(reports) == 1 else "No account can answer at present."
    if first.cause is Cause.OVERLOADED:
        heading = "This request could not be answered, but an account is there that was not asked: ask again."
    error = _KINDS.get(first.cause, AccountUnavailable)(f"{heading} {listed}.")
    if first.hope < math.inf:
        error.retry_after = max(first.hope - now, 1.0)
    return error


_KINDS: dict[Cause, type[KirotrioError]] = {
    Cause.RATE_LIMITED: RateLimited,
    Cause.QUOTA_EXHAUSTED: QuotaExhausted,
    Cause.UPSTREAM_OVERLOADED: UpstreamOverloaded,
    Cause.UPSTREAM_FAILED: UpstreamFailed,
    Cause.DEADLINE: DeadlineExceeded,
    Cause.OVERLOADED: Overloaded,
}


def suspected(name: str, cooldown: Cooldown, now: float) -> RateLimited:
    """For a conversation that is on an account which pauses because Kiro is looking into it. No other is asked."""
    return RateLimited(
        f"The account {name!r}, which this conversation is on, is paused until {moment(cooldown.until, now)}, and no "
        f"other account answers in its place. To go on with others all the same, run `kirotrio accounts disable "
        f"{shlex.quote(name)}`. {cooldown.reason}",
        retry_after=cooldown.until - now,
    )


def moment(time: float, now: float | None = None) -> str:
    """A date as a person reads it, `2026-12-01 00:00 UTC`; within the hour after `now` to the second. Rounded up: by
    then it is."""
    step = 1 if now is not None and time - now < 3600 else 60
    form = "%Y-%m-%d %H:%M:%S UTC" if step == 1 else "%Y-%m-%d %H:%M UTC"
    return datetime.fromtimestamp(math.ceil(time / step) * step, UTC).strftime(form)


def _is_plain(report: AccountState) -> bool:
    return report.enabled and report.cooldown is None and report.offers


def _tell(report: AccountState, model: str, now: float) -> _Told:
    name, argument = report.name, shlex.quote(report.name)
    if not report.enabled:
        said = f"{name}: switched off (run `kirotrio accounts enable {argument}`)"
        return _Told(said, Cause.ACCOUNT_UNAVAILABLE, _Rank.IS_SWITCHED_OFF)
    if not report.offers:
        return _Told(f"{name}: its plan does not offer {model!r}", Cause.NOT_FOUND, _Rank.HAS_NOT_THE_MODEL)
    if report.cooldown is not None:
        return _tell_cooldown(report, argument, report.cooldown, now)
    if report.failure is not None:
        return _tell_failure(name, report.failure, now)
    return _Told(f"{name}: ready, but was not asked", Cause.OVERLOADED, _Rank.WAITS, now)


def _tell_cooldown(report: AccountState, argument: str, cooldown: Cooldown, now: float) -> _Told:
    until = cooldown.until
    when = "a person acts" if cooldown.needs_person else moment(until, now)
    reason = _clause(cooldown.reason)
    cause, rank = Cause.RATE_LIMITED, _Rank.WAITS
    match cooldown.blame:
        case Blame.SUSPENDED:
            then = "restart kirotrio" if report.remedy else f"run `kirotrio accounts enable {argument}`"
            said = f"suspended (have it unlocked, then {then})"
            cause, rank = Cause.ACCOUNT_UNAVAILABLE, _Rank.NEEDS_PERSON
        case Blame.SIGN_IN:
            said = f"signed out ({report.remedy or f'run `kirotrio login --again {argument}`'})"
            cause, rank = Cause.ACCOUNT_UNAVAILABLE, _Rank.NEEDS_PERSON
        case Blame.QUOTA:
            said = f"used up until {when}"
            cause = Cause.QUOTA_EXHAUSTED
        case Blame.SHORT_QUOTA:
            said = f"used up for now, until {when}"
            cause = Cause.QUOTA_EXHAUSTED
        case Blame.BURN_RATE:
            said = f"used too fast, paused until {when}"
        case Blame.MODEL:
            said = f"does not have {cooldown.model!r} at present, asked again from {when}"
            cause, rank = Cause.NOT_FOUND, _Rank.MAY_BE_REFUSED_AGAIN
        case Blame.ACCESS:
            said = f"not admitted, asked again from {when} ({reason})"
            cause, rank = Cause.ACCOUNT_UNAVAILABLE, _Rank.MAY_BE_REFUSED_AGAIN
        case Blame.SUSPICIOUS:
            said = f"paused until {when} ({reason})"
        case _:
            said = f"asked too often, paused until {when}"
    return _Told(f"{report.name}: {said}", cause, rank, until)


def _tell_failure(name: str, failure: KirotrioError, now: float) -> _Told:
    said = f"{name}: {_clause(failure.message)}"
    # A token that was refused when it was new as well is no matter of time.
    hopeless = not failure.retryable or failure.recovery is Recovery.REFRESH_TOKEN
    if failure.retry_after is None and hopeless:
        return _Told(said, failure.cause, _Rank.NEEDS_PERSON)
    return _Told(said, failure.cause, _Rank.WAITS, now + (failure.retry_after or 0.0))


def _clause(sentence: str) -> str:
    return sentence.strip().removesuffix(".")


def _not_offered(reports: Sequence[AccountState], model: str) -> str:
    names = sorted({name for report in reports for name in report.models})
    whom = "this account" if len(reports) == 1 else "any account"
    there_are = ""
    if names:
        more = f" and {len(names) - MODELS_NAMED} more" if len(names) > MODELS_NAMED else ""
        there_are = f"; it has: {', '.join(names[:MODELS_NAMED])}{more}"
        if len(reports) > 1:
            there_are = there_are.replace("; it has", "; there are", 1)
    return f"Model {model!r} is not available to {whom}{there_are}."
