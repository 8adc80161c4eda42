"""The end of a request that the relay did not answer: one line, one count, and a record where it makes sense.

A line for whatever asks an API and for whatever is refused; signs of life and pages leave one where debugging is on.
A record is for whom it concerns: the holder of a key that was accepted, whose request came to nothing. Of strangers
there are counts and lines alone, so that nobody fills a table who has no key.
"""

from __future__ import annotations

import time
from typing import Final

import trio

from kirotrio.relay.outcome import CLIENT_GONE, REFUSED, STOPPED
from kirotrio.store.request_record import RequestRecord
from kirotrio.telemetry.labels import surface_label
from kirotrio.telemetry.metrics import Finished
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming
from kirotrio.web.naming import surface_of

_SHOWN: Final = 200
"""Characters of what a stranger sent that a line shows."""
_RECORDED: Final = ("messages", "chat", "responses")
_APART: Final = {"console": "console", "metrics": "metrics"}
_SAYS_WHAT_WAS_SENT: Final = ("body_invalid", "threads_unsupported")
"""Causes whose sentences may quote the body."""


def finish(gateway: Gateway, incoming: Incoming) -> None:
    """The request is over, however that came. Does nothing for one that the relay tells of."""
    passage = incoming.passage
    if passage.is_relayed and passage.is_delivered:
        return
    surface = surface_named(incoming.path)
    if passage.status is None:
        outcome = STOPPED if gateway.relay.streams.cut else CLIENT_GONE
    else:
        failed = passage.status >= 500 and not passage.by_rule
        outcome = ("failed" if failed else REFUSED) if passage.cause else "finished"
    cause = passage.cause or outcome
    seconds = round(trio.current_time() - passage.began_at, 3)
    gateway.relay.metrics.finished(Finished(surface=surface, model="", outcome=outcome, cause=cause, seconds=seconds))
    is_recorded = bool(passage.key_id and passage.cause) and surface in _RECORDED and gateway.relay.refusals.take()
    if is_recorded:
        gateway.relay.record(_record(gateway, incoming, surface, cause, seconds))
    told: dict[str, object] = {
        "request_id": passage.request_id,
        "surface": surface,
        "path": incoming.path[:_SHOWN],
        "key": passage.key_id,
        **({"key_name": passage.key_name} if passage.key_name else {}),
        "status": passage.status,
        "seconds": seconds,
        "outcome": cause,
    }
    if passage.error and passage.cause not in _SAYS_WHAT_WAS_SENT:
        told["error"] = passage.error
    if passage.cause:
        told["address"] = gateway.client_address(incoming)
    if outcome == "failed":
        gateway.log.warning("request finished", **told)
    elif passage.cause or incoming.path.startswith(("/v1/", "/cc/v1/")):
        gateway.log.info("request finished", **told)
    else:
        gateway.log.debug("request finished", **told)


def surface_named(path: str) -> str:
    """What logs and metrics call the surface of this path: one of a few names, whatever the path is."""
    if path.endswith("/messages/count_tokens"):
        return "count_tokens"
    named = surface_of(path) or _APART.get(path[1:].partition("/")[0], "operations")
    return surface_label(named)


def _record(gateway: Gateway, incoming: Incoming, surface: str, cause: str, seconds: float) -> RequestRecord:
    passage = incoming.passage
    return RequestRecord(
        id=passage.request_id,
        at=time.time(),
        key_id=passage.key_id,
        surface=surface,
        outcome=cause,
        error="" if passage.cause in _SAYS_WHAT_WAS_SENT else passage.error,
        seconds=seconds,
        status=passage.status,
        client=incoming.agent,
        address=gateway.client_address(incoming),
    )
