"""How a request ended: the one rule of what is finished, refused or failed.

Of each end a record keeps one word, its `outcome`: why the answer came to its end, or why there was none. How the
request ended follows from this word alone. So whatever shows or counts ends (the lists and the overview, the metrics,
the levels of the log, traces, the live view) goes by the same table, and no two of them can disagree.
"""

from __future__ import annotations

import enum
from typing import Final

from kirotrio.errors import Cancelled, Cause, KirotrioError, Rule


class Ending(enum.Enum):
    """How a request ended. Only `FAILED` is a failure of the gateway."""

    FINISHED = "finished"
    REFUSED = "refused"
    """For the client's own reasons (its request, its key, its key's limits), or while the gateway is in maintenance."""
    CANCELLED = "cancelled"
    """A person has ended the answer."""
    LEFT = "left"
    """The client went away."""
    STOPPED = "stopped"
    """A stop of the gateway cut the answer."""
    FAILED = "failed"


CLIENT_GONE: Final = "client gone"
STOPPED: Final = "stopped"
CANCELLED: Final = "cancelled"
"""Outcomes that are no cause of an error and no stop of an answer's own."""

_OWN_REASONS: Final = (
    Cause.BODY_INVALID,
    Cause.AUTHENTICATION,
    Cause.PERMISSION,
    Cause.NOT_FOUND,
    Cause.TOO_LARGE,
    Cause.METHOD_NOT_ALLOWED,
    Cause.THREADS_UNSUPPORTED,
    Cause.CONTEXT_OVERFLOW,
)
"""What the client would have to do otherwise, whoever noticed it. Limits are not among them: one of a key's own is a
`Rule`; those of accounts, whose state is the gateway's to look after, are failures."""
UNFINISHED: Final = {
    CLIENT_GONE: Ending.LEFT,
    STOPPED: Ending.STOPPED,
    CANCELLED: Ending.CANCELLED,
    **{cause.value: Ending.FAILED for cause in Cause},
    **{cause.value: Ending.REFUSED for cause in _OWN_REASONS},
    **{rule.value: Ending.REFUSED for rule in Rule},
}
"""How a request of this outcome ended. One of any other outcome came to its own end."""
_CAUSES: Final = {Rule.LIMIT.value: Cause.RATE_LIMITED.value, Rule.MAINTENANCE.value: Cause.OVERLOADED.value}


def outcome_of(error: KirotrioError) -> str:
    """The word that is kept of a request that came to this."""
    if isinstance(error, Cancelled):
        return CANCELLED
    return error.rule.value if error.rule is not None else error.cause.value


def ending_of(outcome: str) -> Ending:
    return UNFINISHED.get(outcome, Ending.FINISHED)


def cause_of(outcome: str) -> str:
    """What logs, metrics and traces call it, and the client is told: a row of CONTRACT's table has one name, whether a
    rule of ours is behind it or not."""
    return _CAUSES.get(outcome, outcome)


def label_of(ending: Ending) -> str:
    """What metrics call it (docs/telemetry.md)."""
    return CLIENT_GONE if ending is Ending.LEFT else ending.value
