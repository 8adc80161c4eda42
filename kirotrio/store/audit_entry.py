"""One line of the audit log, as a value: who changed what, when, from where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field

from kirotrio.classes import frozen


@frozen(kw_only=True)
class Entry:
    """`action` is `thing.verb` (`key.create`, `sign-in.fail`), `subject` the thing's name or id. `detail`: what else
    matters, of JSON's kinds and without secrets. `actor` is the name that the one with `actor_id` had then; both are
    "" where it was nobody who signed in. `at`: epoch seconds. `number` grows with every line, 0 before it is noted.
    """

    action: str
    subject: str = ""
    detail: Mapping[str, Any] = field(factory=dict)
    actor_id: str = ""
    actor: str = ""
    address: str = ""
    at: float
    number: int = 0
