"""One request on its way through: what its one line in the log, its counts and its record tell, if it ends here.

What the relay answers it also tells of (`relay.outcome`); this is for all the rest, which was refused or needed nobody.
"""

from __future__ import annotations

import secrets

import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.errors import KirotrioError
from kirotrio.store.request_endings import outcome_of


def new_request_id() -> str:
    return "req_" + secrets.token_hex(12)


@define(eq=False)
class Passage:
    """`cause`, `outcome` (the same for records, `request_endings`) and `error`: why it was refused or failed, "" if it
    was neither. `status`: what the client got."""

    request_id: str = field(factory=new_request_id)
    began_at: float = field(factory=trio.current_time)
    key_id: str = ""
    key_name: str = ""
    cause: str = ""
    outcome: str = ""
    error: str = ""
    status: int | None = None
    is_relayed: bool = False
    """It is the relay's to answer and to tell of,"""
    is_delivered: bool = False
    """once that has begun."""

    def refuse(self, error: KirotrioError) -> None:
        """It is answered with this error."""
        self.cause, self.outcome, self.error = error.cause.value, outcome_of(error), error.message
