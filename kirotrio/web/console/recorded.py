"""What the flight recorder kept of one request, as the page of it shows that: texts, bounded, for a template to escape.

Pure but for `recorded_of`, which reads the file in a thread.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
import trio

from kirotrio.classes import frozen
from kirotrio.errors import NotFound
from kirotrio.store.recordings import NotReadable, read, recorded
from kirotrio.store.ring import Entry
from kirotrio.web.console.languages import N_
from kirotrio.web.gateway import Gateway

MOST: Final = 64 * 1024
"""Characters of each text that a page shows."""
_CALLS: Final = 6
"""Calls to the upstream that a page shows."""
_LARGEST: Final = 32 * 1024 * 1024
"""Bytes of a recording that a page is made of; a larger one can be downloaded."""
_OPERATORS_OWN: Final = ("settings", "python", "system")
"""What a recording tells of the gateway and its machine, and not of the request."""

_CLIENT_SENT: Final = N_("What the client sent")
_KIRO_ASKED: Final = N_("What Kiro was asked")
_KIRO_ANSWERED: Final = N_("What Kiro answered")
_CLIENT_GOT: Final = N_("What the client got")


@frozen
class Part:
    """One body. `name` is English, and in the catalogue; `what` says of which call it is. `size`: bytes that there
    were, `kept`: of these in the recording. `more`: characters of those that are not in `text`."""

    name: str
    what: str
    text: str
    size: int
    kept: int
    more: int = 0


@frozen
class Shown:
    """`state` is `shown`, `off`, `missing`, `large` or `unreadable`; `size`: bytes of the recording. `masked`: whether
    of texts only length and shape are in it. `calls`: how many calls to the upstream are not in `parts`."""

    state: str
    size: int = 0
    masked: bool = True
    parts: tuple[Part, ...] = ()
    calls: int = 0

    @property
    def is_there(self) -> bool:
        return self.state not in ("off", "missing")


async def recorded_of(gateway: Gateway, request_id: str) -> Shown:
    """Cancellation leaves the thread to end by itself."""
    return await trio.to_thread.run_sync(_read, gateway, request_id, limiter=gateway.reading, abandon_on_cancel=True)


async def whole_of(gateway: Gateway, request_id: str, *, for_operator: bool) -> bytes:
    """The file; for others than operators without what it tells of the gateway. Raises NotFound, NotReadable."""

    def work() -> bytes:
        entry = _entry(gateway, request_id)
        if entry is None:
            raise NotFound(_GONE)
        try:
            if for_operator:
                return entry.path.read_bytes()
            told = read(entry)
        except FileNotFoundError:
            raise NotFound(_GONE) from None
        told.update({name: {} if name == "settings" else "" for name in _OPERATORS_OWN})
        return orjson.dumps(told, option=orjson.OPT_INDENT_2)

    return await trio.to_thread.run_sync(work, limiter=gateway.reading, abandon_on_cancel=True)


_GONE: Final = N_("there is no recording of this request any more")


def _entry(gateway: Gateway, request_id: str) -> Entry | None:
    return None if gateway.recordings is None else recorded(gateway.recordings, request_id)


def _read(gateway: Gateway, request_id: str) -> Shown:
    missing = "missing" if gateway.settings.recorder.requests else "off"
    entry = _entry(gateway, request_id)
    if entry is None:
        return Shown(missing)
    if entry.size > _LARGEST:
        return Shown("large", entry.size)
    try:
        return shown(read(entry), entry.size)
    except FileNotFoundError:
        return Shown(missing)
    except (NotReadable, KeyError, TypeError, ValueError, AttributeError):  # of another version, or not ours
        return Shown("unreadable", entry.size)


def shown(told: Mapping[str, Any], size: int) -> Shown:
    """Raises KeyError, TypeError, ValueError or AttributeError for what is no recording."""
    calls = told["upstream"]
    return Shown("shown", size, told["texts"] == "mask", tuple(_parts(told)), max(0, len(calls) - _CALLS))


def _parts(told: Mapping[str, Any]) -> Iterator[Part]:
    client, answer = told["client"], told["answer"]
    size = client["size"]
    yield _part(_CLIENT_SENT, f"{client['method']} {client['path']}", pretty(client["body"]), size, _kept(client))
    for call in told["upstream"][:_CALLS]:
        asked, where = call["request"], f"{call['method']} {call['url']}"
        yield _part(_KIRO_ASKED, where, pretty(asked["body"]), asked["size"], _kept(asked))
        status = str(call["status"] or "–")
        yield _part(_KIRO_ANSWERED, status, _answered(call), call["size"], call["kept"])
    yield _part(_CLIENT_GOT, str(answer["status"] or "–"), _pretty_text(answer["body"]), answer["size"], answer["kept"])


def _part(name: str, what: str, text: str, size: int, kept: int) -> Part:
    return Part(name, what[:300], text[:MOST], size, kept, max(0, len(text) - MOST))


def _kept(body: Mapping[str, Any]) -> int:
    return 0 if body["body"] is None and body["size"] else body["size"]


def pretty(body: Any) -> str:
    """A body as a recording has it: text, or a JSON value, or None for one that was not kept."""
    if body is None:
        return ""
    return body if isinstance(body, str) else orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()


def _pretty_text(body: str) -> str:
    """JSON spread out; the events of a stream as they are."""
    try:
        return pretty(orjson.loads(body))
    except orjson.JSONDecodeError:
        return body


def _answered(call: Mapping[str, Any]) -> str:
    """The upstream's answer: of a stream, one line an event."""
    if "frames" not in call:
        return pretty(call["body"])
    lines = []
    for frame in call["frames"]:
        headers = frame["headers"]
        kind = headers.get(":event-type") or headers.get(":exception-type") or headers.get(":message-type") or "?"
        payload = frame["payload"]
        lines.append(f"{kind} {payload if isinstance(payload, str) else orjson.dumps(payload).decode()}")
    return "\n".join(lines)
