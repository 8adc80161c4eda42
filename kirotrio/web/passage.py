"""One request on its way through: what its one line in the log, its counts and its record tell, if it ends here.

What the relay answers it also tells of (`relay.outcome`); this is for all the rest, which was refused or needed nobody.
"""

from __future__ import annotations

import math
import secrets
from typing import Final

import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.errors import KirotrioError

_BURST: Final = 60.0
_EACH: Final = 1.0
"""Records of refused requests: so many at once, and one more after so many seconds."""


def new_request_id() -> str:
    return "req_" + secrets.token_hex(12)


@define(eq=False)
class Passage:
    """`cause` and `error`: why it was refused, "" if it was not. `status`: what the client got."""

    request_id: str = field(factory=new_request_id)
    began_at: float = field(factory=trio.current_time)
    key_id: str = ""
    key_name: str = ""
    cause: str = ""
    error: str = ""
    status: int | None = None
    is_relayed: bool = False
    """It is the relay's to answer and to tell of,"""
    is_delivered: bool = False
    """once that has begun."""

    def refuse(self, error: KirotrioError) -> None:
        """It is answered with this error."""
        self.cause, self.error = error.cause.value, error.message


@define(eq=False)
class Ration:
    """How many refused requests may be recorded: whoever has a key must not be able to fill the table with nothing."""

    _left: float = _BURST
    _at: float = -math.inf

    def take(self) -> bool:
        """Whether there may be one more."""
        now = trio.current_time()
        self._left = min(self._left + (now - self._at) / _EACH, _BURST)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True
