"""The end of a request that the relay did not answer: one line, one count, and a record where it makes sense.

A line for whatever asks an API and for whatever is refused; signs of life and pages leave one where debugging is on.
A record is for whom it concerns: the holder of a key that was accepted, whose request came to nothing. Of strangers
there are counts and lines alone, so that nobody fills a table who has no key.
"""

from __future__ import annotations

import time
from typing import Final

import trio

from kirotrio.store.request_endings import CLIENT_GONE, STOPPED, Ending, cause_of, ending_of, label_of
from kirotrio.store.request_record import RequestRecord
from kirotrio.telemetry.labels import surface_label
from kirotrio.telemetry.metrics import Finished
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming
from kirotrio.web.naming import surface_of
from kirotrio.web.passage import Passage

_SHOWN: Final = 200
"""Characters of what a stranger sent that a line shows."""
_ANSWERING: Final = ("messages", "chat", "responses")
_APART: Final = {"console": "console", "metrics": "metrics"} | dict.fromkeys(
    ("", "api", "health", "live", "ready"), "operations"
)
_SAYS_WHAT_WAS_SENT: Final = ("body_invalid", "threads_unsupported")
"""Causes whose sentences may quote the body."""


def finish(gateway: Gateway, incoming: Incoming) -> None:
    """The request is over, however that came. Does nothing for one that the relay tells of."""
    passage = incoming.passage
    if passage.is_relayed and passage.is_delivered:
        return
    surface = surface_named(incoming.path)
    outcome = passage.outcome or _without_error(gateway, passage)
    ending, cause = ending_of(outcome), cause_of(outcome)
    seconds = round(trio.current_time() - passage.began_at, 3)
    gateway.relay.metrics.finished(
        Finished(surface=surface, model="", outcome=label_of(ending), cause=cause, seconds=seconds)
    )
    if surface in _ANSWERING:
        if ending is not Ending.FINISHED:  # what was not generated is no answer
            gateway.relay.streams.tally.put(ending)
        if passage.key_id and passage.cause and gateway.relay.refusals.take():
            gateway.relay.record(_record(gateway, incoming, surface, outcome, seconds))
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
    if ending is Ending.FAILED:
        gateway.log.warning("request finished", **told)
    elif passage.cause or incoming.path.startswith(("/v1/", "/cc/v1/")):
        gateway.log.info("request finished", **told)
    else:
        gateway.log.debug("request finished", **told)


def _without_error(gateway: Gateway, passage: Passage) -> str:
    if passage.status is not None:
        return Ending.FINISHED.value
    return STOPPED if gateway.relay.streams.cut else CLIENT_GONE


def surface_named(path: str) -> str:
    """What logs and metrics call the surface of this path: one of a few names, whatever the path is."""
    if path.endswith("/messages/count_tokens"):
        return "count_tokens"
    named = surface_of(path) or _APART.get(path[1:].partition("/")[0], "other")
    return surface_label(named)


def _record(gateway: Gateway, incoming: Incoming, surface: str, outcome: str, seconds: float) -> RequestRecord:
    passage = incoming.passage
    return RequestRecord(
        id=passage.request_id,
        at=time.time(),
        key_id=passage.key_id,
        surface=surface,
        outcome=outcome,
        error="" if passage.cause in _SAYS_WHAT_WAS_SENT else passage.error,
        seconds=seconds,
        status=passage.status,
        client=incoming.agent,
        address=gateway.client_address(incoming),
    )
