"""Waiting for a person who confirms a code on another device (RFC 8628, KIRO_PROTOCOL 5.1, 5.2).

States: pending (ask again after the interval), slowed (the interval grows for good), disturbed (the network or the
service fails for a while: ask again, less often each time), and the ends: granted, denied, expired. Until the code
expires nothing but a refusal ends the waiting.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import trio

from kirotrio.accounts.sign_in.calls import Calls, named, refusal, transient
from kirotrio.accounts.sign_in.values import SignInFailed
from kirotrio.accounts.tokens.answers import error_name, json_object, plain_name, retry_after, text_in
from kirotrio.errors import DeadlineExceeded, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer

DEFAULT_INTERVAL = 5.0
"""Seconds between two questions where the service names none (RFC 8628, 3.2)."""
SHORTEST_INTERVAL = 0.1
SLOW_DOWN = 5.0
"""Seconds that each `slow_down` adds to the interval."""
LONGEST_PAUSE = 30.0
"""Seconds between two questions while the network fails."""

Ask: TypeAlias = Callable[[], Awaitable[HttpAnswer]]


class _Said(enum.Enum):
    GRANTED = "granted"
    PENDING = "pending"
    SLOWER = "slower"
    DISTURBED = "disturbed"


async def granted(calls: Calls, ask: Ask, *, interval: float, seconds: float) -> HttpAnswer:
    """Ask every `interval` seconds until a person has agreed, for `seconds` at most; the answer with the tokens.

    Raises SignInFailed (denied, expired, refused). Cancellation ends the call under way.
    """
    interval = max(interval, SHORTEST_INTERVAL)
    end = trio.current_time() + seconds
    disturbed = 0.0
    while True:
        pause = max(interval, disturbed)
        if trio.current_time() + pause >= end:
            await trio.sleep_until(end)
            raise expired()
        await trio.sleep(pause)
        try:
            answer = await ask()
        except (UpstreamFailed, DeadlineExceeded) as error:
            if not error.retryable:
                raise
            disturbed = _longer(disturbed, interval)
            calls.prompt.waiting(f"{error.message}; asking again in {disturbed:g} seconds")
            continue
        match _read(answer):
            case _Said.GRANTED:
                return answer
            case _Said.DISTURBED:
                disturbed = max(_longer(disturbed, interval), min(retry_after(answer) or 0.0, LONGEST_PAUSE))
                calls.prompt.waiting(
                    f"the service cannot answer ({named(answer)}); asking again in {disturbed:g} seconds"
                )
                continue
            case _Said.SLOWER:
                interval += SLOW_DOWN
                calls.prompt.waiting(f"slow_down: asking every {interval:g} seconds")
            case _Said.PENDING:
                pass
        disturbed = 0.0


def _longer(disturbed: float, interval: float) -> float:
    return min(2 * max(disturbed, interval), max(LONGEST_PAUSE, interval))


def _read(answer: HttpAnswer) -> _Said:
    """What one answer says. AWS gives errors with status 400, the desktop service a `status` with 200."""
    entry = json_object(answer) or {}
    success = 200 <= answer.status < 300
    if success and text_in(entry, "accessToken", "access_token"):
        return _Said.GRANTED
    name = plain_name(text_in(entry, "status") if success else error_name(answer))
    match name:
        case "authorizationpending":
            return _Said.PENDING
        case "slowdown":
            return _Said.SLOWER
        case "accessdenied":
            raise denied()
        case "expiredtoken" | "invalidgrant":
            raise expired()
    if transient(answer):
        return _Said.DISTURBED
    raise refusal(answer, "tokens")


def denied() -> SignInFailed:
    return SignInFailed(
        "The sign-in was refused in the browser, so nothing was kept. Run `kirotrio login` once more if that was not "
        "meant.",
        "denied",
    )


def expired() -> SignInFailed:
    return SignInFailed(
        "Nobody confirmed the sign-in in time. Run `kirotrio login` once more to have a new code.", "expired"
    )
