"""A key that was given out, as a value: what its row says, who its owner is, what is counted of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from attrs import field

from kirotrio.classes import frozen

PLAYGROUND: Final = "playground:"
"""What the id of a playground's key begins with, in requests; its user's id follows. No row of `keys` has such one."""

Limits: TypeAlias = Mapping[str, Mapping[str, float]]
"""By window (minute, day, month), then by what is counted (requests, tokens, credits)."""


@frozen(kw_only=True)
class KeyRecord:
    """One key. Times are epoch seconds; `digest` is its SHA-256, `prefix` what it is recognised by.

    Of `models`, `surfaces` and `networks` an empty tuple allows all. `account`: the name of the only account that
    answers it, "" for any. `max_concurrent`: requests at one time, 0 for any number. `owner_id` is "" for the gateway's
    own; `owner` is that user's name and `owner_active` whether they may use anything, which are read, never written.
    """

    id: str
    name: str
    prefix: str
    digest: str = field(repr=False)
    owner_id: str = ""
    created_at: float
    updated_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    last_used_at: float | None = None
    last_address: str = ""
    models: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    account: str = ""
    max_concurrent: int = 0
    limits: Limits = field(factory=dict)
    owner: str = ""
    owner_active: bool = True


@frozen
class Ceiling:
    """One window of one key, and how much may be used in it; None is any amount. `began_at`: epoch seconds."""

    window: str
    began_at: int
    requests: int | None = None
    tokens: int | None = None
    credits: float | None = None


@frozen
class Charge:
    """What an answer has used, for one window of its key."""

    key_id: str
    window: str
    began_at: int
    tokens: int
    credits: float
