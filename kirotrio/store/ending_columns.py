"""The rule of `request_endings` as an expression of the database: lists are filtered by it and the overview counts."""

from __future__ import annotations

from sqlalchemy import ColumnElement

from kirotrio.store.request_endings import UNFINISHED, Ending
from kirotrio.store.schema import requests


def ended_as(value: str) -> ColumnElement[bool]:
    """Whether a request ended in this way, by an `Ending`'s value; what is none of them no request has."""
    if value == Ending.FINISHED.value:
        return requests.c.outcome.not_in(list(UNFINISHED))
    return requests.c.outcome.in_([outcome for outcome, ending in UNFINISHED.items() if ending.value == value])
