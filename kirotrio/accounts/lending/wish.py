"""What one request wants of the accounts."""

from __future__ import annotations

from attrs import field

from kirotrio.classes import frozen


@frozen
class Wish:
    """`credential` is a refresh token that the caller brought along: then it is its account and no other.

    `account` is the one that the path names, "" if none; `allowed` those that the key may use, None for all. `session`
    tells requests of one conversation from others, `model` is the client's name for it, "" where none is asked for.
    `owner` is the id of the user whose private accounts may serve beside all others, "" for nobody.
    """

    credential: str | None = field(default=None, repr=False)
    account: str = ""
    allowed: frozenset[str] | None = None
    session: str = ""
    model: str = ""
    owner: str = ""
