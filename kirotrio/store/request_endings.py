"""How a request ended, in one word for people: the one place that says what counts as a failure of the gateway.

The rule stands here as an expression of the database, by which lists are filtered and the overview counts; what shows
a request has its ending from there, with its row. So no two of them can disagree.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, and_, case

from kirotrio.errors import Cause
from kirotrio.store.columns import as_text
from kirotrio.store.request_record import Ending
from kirotrio.store.schema import requests

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
"""What the client would have to do otherwise, whoever noticed it."""
_LIMITS: Final = (Cause.RATE_LIMITED, Cause.QUOTA_EXHAUSTED)
"""Of a key's own limit where Kiro was not asked; else of the accounts, whose state is the gateway's to look after."""
_BY_THEMSELVES: Final = {"cancelled": Ending.CANCELLED, "client gone": Ending.LEFT, "stopped": Ending.STOPPED}


def ending() -> ColumnElement[str]:
    """The value of a request's `Ending`."""
    one = requests.c
    own_limit = and_(_among(_LIMITS), one.attempts == 0, one.account == "", one.key_id != "")
    return case(
        *((one.outcome == outcome, known.value) for outcome, known in _BY_THEMSELVES.items()),
        (_among(_OWN_REASONS), Ending.REFUSED.value),
        (own_limit, Ending.REFUSED.value),
        (_among(tuple(Cause)), Ending.FAILED.value),
        else_=Ending.FINISHED.value,
    )


def ended_as(value: str) -> ColumnElement[bool]:
    """Whether a request ended in this way, by an `Ending`'s value; what is none of them no request has."""
    return ending() == as_text(value)


def _among(causes: tuple[Cause, ...]) -> ColumnElement[bool]:
    return requests.c.outcome.in_([cause.value for cause in causes])
