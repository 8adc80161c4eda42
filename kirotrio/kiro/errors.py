"""The upstream's refusals, in whatever form they come, as our own errors (KIRO_PROTOCOL 4 and 3.5).

What each one means stands in `kiro.error_table`; here is how they are read.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping

import orjson

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json
from kirotrio.errors import Blame, ContextOverflow, KirotrioError, Recovery
from kirotrio.kiro.error_table import BROKEN, FAILED, NO_ANSWER, REFUSED, TABLE, Row, invalid

_GRAVE = (Blame.SUSPENDED, Blame.SUSPICIOUS)
"""What prose says of these holds whatever reason comes with it."""
HUGE_BODY = 600_000
"""Bytes. From here on "Improperly formed request." is taken for an overflow (trap 33; ceiling of 2.8)."""

_QUOTE = 300
"""Characters of the upstream's prose that a message repeats."""
_REASON = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_REQUEST_ID = 128
_LONGEST_WAIT = 31 * 86_400.0
_LARGEST_BODY = 1024 * 1024
"""A larger error body is not looked into: no error of the upstream's is."""


def _by_name(names: Callable[[Row], tuple[str, ...]]) -> dict[str, Row]:
    table: dict[str, Row] = {}
    for row in TABLE:
        for name in names(row):
            table.setdefault(name.lower(), row)
    return table


_BY_REASON = _by_name(lambda row: row.reasons)
_BY_KIND = _by_name(lambda row: row.kinds)
_BY_STATUS = {status: row for row in reversed(TABLE) for status in row.statuses}


@frozen
class _Said:
    """What the upstream said, whatever form it came in; every field may be empty."""

    kind: str = ""
    reason: str = ""
    prose: str = ""
    wait: float | None = None
    speaker: str = "Kiro said"


def from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    body_size: int = 0,
    account: str = "",
) -> KirotrioError:
    """The error that an answer other than an event stream means. Never raises.

    `now` (epoch seconds) turns a Retry-After that is a date into seconds; without it such a date is passed over.
    `body_size` is how many bytes the request had: a huge one that was called improperly formed counts as too long.
    At most 400 characters of `body` stand in the message, secrets blotted out.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    said = _read(fields, body)
    row = _row(said) or _BY_STATUS.get(status) or _unlisted(status)
    error = _build(row, said, f"status {status}", body_size, account)
    error.retry_after = retry_after_seconds(fields.get("retry-after"), now)
    if error.retry_after is None:
        error.retry_after = said.wait if said.wait is not None else row.wait
    error.upstream_status = status
    error.upstream_request_id = _request_id(fields)
    return error


def from_exception(exception_type: str, message: str, reason: str | None, *, account: str = "") -> KirotrioError:
    """The error that an exception or error frame inside the stream means (KIRO_PROTOCOL 3.5). Never raises.

    ContentLengthExceededException is not for here: it is a stop reason.
    """
    said = _Said(_bare_kind(exception_type), _clean_reason(reason or ""), message[:4096])
    row = _row(said) or BROKEN
    error = _build(row, said, said.kind[:64] or "an unnamed exception", 0, account)
    error.retry_after = row.wait
    return error


def _unlisted(status: int) -> Row:
    if status >= 500:
        return FAILED
    return REFUSED if status >= 400 else NO_ANSWER


def _row(said: _Said) -> Row | None:
    prose = said.prose.lower()
    told = next((row for row in TABLE if any(all(piece in prose for piece in pieces) for pieces in row.phrases)), None)
    if told is not None and told.blame in _GRAVE:
        return told
    return _BY_REASON.get(said.reason.lower()) or told or _BY_KIND.get(said.kind.lower())


def _build(row: Row, said: _Said, came_as: str, body_size: int, account: str) -> KirotrioError:
    improper = said.reason in ("", "REQUEST_BODY_INVALID") and "improperly formed request" in said.prose.lower()
    if improper and row.error is invalid and body_size >= HUGE_BODY:
        error: KirotrioError = ContextOverflow()
        error.message += (
            f" (probably: Kiro called a request of {body_size} bytes improperly formed, "
            "which it also does when the context is exceeded)"
        )
        error.args = (error.message,)
        error.recovery = Recovery.NONE
    else:
        who = f"the account {account!r}" if account else "the account"
        message = row.message.format(who=who, status=came_as)
        error = row.error(_with_quote(message[:1].upper() + message[1:], said))
        error.recovery = row.recovery
        error.blame = row.blame
    error.upstream_reason = said.reason or None
    return error


def _with_quote(message: str, said: _Said) -> str:
    quote = _SECRET.sub("[secret]", " ".join(said.prose.split()))
    if len(quote) > _QUOTE:
        quote = quote[:_QUOTE] + "…"
    if not quote:
        return f"{message} Kiro gave the reason {said.reason}." if said.reason else message
    # Clients recognise some refusals by the upstream's own wording, so it is repeated as it was.
    return f"{message} {said.speaker}: {quote}" + (f" ({said.reason})" if said.reason else "")


_SECRET = re.compile(r"\b(?:ksk_|aoa|aor|eyJ)[\w.:+/=-]{12,}|(?<=[Bb]earer )[\w.:+/=-]{20,}")
"""API keys, access and refresh tokens, JWTs (KIRO_PROTOCOL 5): nobody echoes them, and nobody ever shall."""


def _read(fields: Mapping[str, str], body: bytes) -> _Said:
    kind = _bare_kind(fields.get("x-amzn-errortype", ""))
    answer: Json = None
    if len(body) <= _LARGEST_BODY:
        try:
            answer = orjson.loads(body)
        except ValueError:
            answer = None
    if not isinstance(answer, dict):
        # A page of somebody in between, mostly; its beginning says whose.
        return _Said(kind, prose=body[:4096].decode("utf-8", "replace"), speaker="The answer began")
    nested = answer.get("error")
    layers = [answer, nested] if isinstance(nested, dict) else [answer]
    # OAuth form: {"error": "invalid_grant", "error_description": "…"}.
    reason = _text(layers, "reason") or (nested if isinstance(nested, str) else "")
    prose = _text(layers, "message", "Message", "error_description", "errorMessage")
    milliseconds = next(
        (layer["retryAfterMilliseconds"] for layer in layers if "retryAfterMilliseconds" in layer), None
    )
    wait = None
    if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool):
        wait = _bounded(milliseconds / 1000)
    return _Said(kind or _bare_kind(_text(layers, "__type", "code")), _clean_reason(reason), prose[:4096], wait)


def _clean_reason(reason: str) -> str:
    """A reason is a name; whatever else stands there is not repeated."""
    return reason if _REASON.fullmatch(reason) else ""


def _text(layers: list[dict[str, Json]], *names: str) -> str:
    """The first non-empty string of these names, the outer layer first."""
    for layer in layers:
        for name in names:
            value = layer.get(name)
            if isinstance(value, str) and value:
                return value
    return ""


def _bare_kind(kind: str) -> str:
    """`com.amazon.kiro.runtimeservice#ThrottlingException`, `ThrottlingException:http://…` → the bare name."""
    return kind.rpartition("#")[2].partition(":")[0].strip()


def retry_after_seconds(value: str | None, now: float | None) -> float | None:
    """Seconds from a Retry-After header: an integer, or an HTTP date. None where it is neither."""
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return _bounded(float(value[:12]))
    if not value or now is None:
        return None
    from email.utils import parsedate_to_datetime  # seldom, and eight modules

    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return _bounded(moment.timestamp() - now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _LONGEST_WAIT)


def _request_id(fields: Mapping[str, str]) -> str | None:
    for name in ("x-amzn-requestid", "x-amzn-request-id", "x-amz-request-id"):
        if value := fields.get(name):
            return value[:_REQUEST_ID]
    return None
