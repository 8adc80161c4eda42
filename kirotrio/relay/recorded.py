"""The document of one recorded request: JSON that a person can read, without secrets and, unless asked for, without
what was said. Pure."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import attrs
import orjson

from kirotrio import __version__
from kirotrio.config.options import options, value_of
from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError
from kirotrio.relay.recording import Exchange, Kept, Sheet
from kirotrio.relay.told import tell
from kirotrio.store.recordings import FORMAT
from kirotrio.telemetry.cover import Cover
from kirotrio.telemetry.redact import MASK, Redactor

_SHOWN: Final = frozenset(
    {"accept", "accept-encoding", "accept-language", "anthropic-beta", "anthropic-version", "cache-control"}
    | {"connection", "content-encoding", "content-length", "content-type", "date", "openai-beta", "retry-after"}
    | {"transfer-encoding", "user-agent", "x-accel-buffering", "x-endpoint", "x-amzn-kiro-agent-mode"}
    | {"request-id", "x-request-id", "x-kiro-request-id", "x-amzn-requestid", "x-kirotrio-usage", "x-should-retry"}
    | {"amz-sdk-invocation-id", "amz-sdk-request", "tokentype", "host"}
)
"""Header fields whose values say nothing of anybody; of others only the length is kept."""
_SAID_BY_SDK: Final = "x-stainless-"


def document(sheet: Sheet, settings: Settings, secrets: Iterable[str]) -> bytes:
    """The whole file. CPU-bound: for a thread."""
    masks = settings.recorder.texts == "mask"
    redactor = Redactor([*secrets, *_secrets(sheet)], personal=True, same_length=True)
    cover = Cover(redactor, masks)
    told = {
        "format": FORMAT,
        "id": sheet.id,
        "at": datetime.fromtimestamp(sheet.at, UTC).isoformat(timespec="milliseconds"),
        "kirotrio": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "texts": settings.recorder.texts,
        "record": _record(sheet, cover),
        "client": {
            "method": sheet.method,
            "path": redactor.text(sheet.path),
            "query": cover.text(sheet.query),
            "headers": _headers(sheet.fields, redactor),
            **_part(sheet.body, cover),
        },
        "upstream": [_exchange(exchange, sheet.began_at, cover) for exchange in sheet.exchanges],
        "answer": {
            "status": sheet.status,
            "headers": _headers(sheet.headers.items(), redactor),
            "size": sheet.sent.size,
            "kept": sheet.sent.held,
            "body": cover.answer(b"".join(sheet.sent.pieces)),
            "seconds": _moments(sheet.sent, sheet.began_at),
        },
        "names": dict(sheet.names),
        "replay": redactor.value(sheet.told),
        "settings": shown_settings(settings, redactor),
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str)


def shown_settings(settings: Settings, redactor: Redactor) -> dict[str, Any]:
    """Those that are not as they come; a secret shows only that it is set."""
    shown: dict[str, Any] = {}
    for name, option in options().items():
        value = value_of(settings, name)
        if value != option.default:
            shown[name] = MASK if option.secret else redactor.value(value)
    return shown


def _secrets(sheet: Sheet) -> list[str]:
    """What this request brought and sent that opens a door."""
    found = list(sheet.secrets)
    for name, value in [*sheet.fields, *(pair for one in sheet.exchanges for pair in one.headers.items())]:
        if name.lower() in ("authorization", "x-api-key", "cookie", "proxy-authorization", "x-amz-security-token"):
            found += [value, value.partition(" ")[2].strip()]
            found += [part for part in value.replace(" ", ":").split(":") if len(part) >= 8]
    return found


def _headers(fields: Iterable[tuple[str, str]], redactor: Redactor) -> dict[str, str]:
    def shown(name: str, value: str) -> str:
        known = name in _SHOWN or name.startswith(_SAID_BY_SDK)
        # A client writes there what it likes: a key in its User-Agent is a key.
        return redactor.text(value) if known else f"({len(value)} characters)"

    return {name: shown(name.lower(), value) for name, value in fields}


def _part(kept: Kept, cover: Cover) -> dict[str, Any]:
    if kept.cut:
        reason = "not kept: it is larger than recorder.max_part"
        return {"size": kept.size, "body": None, "why": reason}
    return {"size": kept.size, "body": cover.body(b"".join(kept.pieces))}


def _exchange(exchange: Exchange, began_at: float, cover: Cover) -> dict[str, Any]:
    reads = exchange.answer.pieces
    streamed = exchange.streams and exchange.status == 200
    answer: dict[str, Any] = tell(reads, cover) if streamed else {"body": cover.body(b"".join(reads))}
    return {
        "method": exchange.method,
        "url": cover.redactor.text(exchange.url),
        "headers": _headers(exchange.headers.items(), cover.redactor),
        "request": _part(exchange.body, cover),
        "began": round(exchange.began_at - began_at, 4),
        "ended": None if exchange.ended_at is None else round(exchange.ended_at - began_at, 4),
        "status": exchange.status,
        "answer_headers": _headers(exchange.answer_headers.items(), cover.redactor),
        "size": exchange.answer.size,
        "kept": exchange.answer.held,
        "end": _end(exchange.end, cover),
        "seconds": _moments(exchange.answer, began_at),
        **answer,
    }


def _end(end: str | BaseException, cover: Cover) -> Any:
    if isinstance(end, str):
        return end
    told: dict[str, Any] = {"error": type(end).__name__, "message": cover.sentence(str(end))}
    if isinstance(end, KirotrioError):
        told |= {"cause": end.cause.value, "recovery": end.recovery.value, "retry_after": end.retry_after}
    return told


def _moments(kept: Kept, began_at: float) -> list[float]:
    return [round(at - began_at, 4) for at in kept.at]


def _record(sheet: Sheet, cover: Cover) -> Mapping[str, Any] | None:
    if sheet.record is None:
        return None
    record = attrs.asdict(sheet.record)
    keep: Sequence[str] = ("error", "client", "address")
    record |= {"error": cover.sentence(sheet.record.error), "address": ""}
    record["tries"] = orjson.loads(sheet.record.tries or "[]")  # accounts, outcomes and times: nothing that was said
    record["client"] = cover.redactor.text(sheet.record.client)
    return {name: value if name in keep else cover.redactor.value(value) for name, value in record.items()}
