"""What happened to one request, as a value."""

from __future__ import annotations

from kirotrio.classes import frozen
from kirotrio.store.request_endings import Ending, ending_of


@frozen(kw_only=True)
class RequestRecord:
    """One request. `at` is epoch seconds, `mode` live or buffered, `usage` measured or estimate; `outcome` is why it
    ended (`request_endings`), `error` a sentence without secrets, "" where there was none.

    `queue_seconds`: until an account was lent; `connect_seconds`: from there until the upstream's answer began, of the
    last attempt; `first_event_seconds` and `seconds` are since the request was taken. `status`: what the client got.
    `upstream_id`: the upstream's own name of the request. `tries`: JSON, a list with an object an attempt, "" for none.
    `client`: its User-Agent. `address`: where it asked from.
    """

    id: str
    at: float
    key_id: str = ""
    account: str = ""
    model: str = ""
    surface: str = ""
    mode: str = ""
    outcome: str
    error: str = ""
    seconds: float
    first_event_seconds: float | None = None
    attempts: int = 0
    input_tokens: int | None = None
    output_tokens: int | None = None
    usage: str = ""
    credits: float | None = None
    queue_seconds: float | None = None
    connect_seconds: float | None = None
    status: int | None = None
    upstream_id: str = ""
    tries: str = ""
    client: str = ""
    address: str = ""

    @property
    def ending(self) -> Ending:
        """How it ended, by its outcome."""
        return ending_of(self.outcome)


@frozen
class ShownRequest:
    """A request as a list has it. `key`: the name of the key that it came with, "" for one that is no more, or the
    gateway's own."""

    record: RequestRecord
    key: str = ""
