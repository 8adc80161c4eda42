"""What happened to one request, as a value."""

from __future__ import annotations

from kirotrio.classes import frozen


@frozen(kw_only=True)
class RequestRecord:
    """One request. `at` is epoch seconds, `mode` live or buffered, `usage` measured or estimate; `error` is a sentence
    without secrets, "" where there was none."""

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
