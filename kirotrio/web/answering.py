"""What every request goes through, whichever way it came: guards, one envelope for every error, the way out."""

from __future__ import annotations

import attrs

from kirotrio.errors import BodyInvalid, KirotrioError, Overloaded, PermissionDenied, TooLarge
from kirotrio.relay.ports import Sink
from kirotrio.web import envelope
from kirotrio.web.gateway import Gateway
from kirotrio.web.http1 import Malformed
from kirotrio.web.incoming import Endpoint, Incoming, Reply, Runs
from kirotrio.web.intake import BodyIntake
from kirotrio.web.naming import account_of
from kirotrio.web.passage import Passage

_APIS = ("/v1/", "/cc/")
_SHOWN = 200
"""Characters of what a stranger sent that a log line shows."""
_INSIDE = "an error inside the gateway; its log has the details"
_AIMLESS = "the target of the request is neither a path that begins with / nor a whole http:// address"


_OPEN_TO_ALL = ("/health",)
"""What whoever watches over the gateway asks, wherever that is."""


def let_in(gateway: Gateway, incoming: Incoming) -> None:
    """Raises PermissionDenied for a client whose address is not let in."""
    if gateway.addresses.admits_all or incoming.path in _OPEN_TO_ALL:
        return
    gateway.addresses.check(gateway.client_address(incoming))


def turned_away(gateway: Gateway, incoming: Incoming) -> Reply | None:
    """The answer to a client whose address is not let in. It leaves at once: nothing more is read for it."""
    try:
        let_in(gateway, incoming)
    except PermissionDenied as error:
        reply = refuse(incoming, error)
        return attrs.evolve(reply, hears_out=False)
    return None


def guard(gateway: Gateway, path: str, head_size: int) -> None:
    """Raises TooLarge for a head of too many bytes, BodyInvalid for a target without a path, and Overloaded where
    nothing new is taken, or no API is answered at present."""
    limit = gateway.settings.server.max_header
    if head_size > limit:
        raise TooLarge(
            f"the head of the request is larger than the {limit} bytes that are accepted (server.max_header)"
        )
    if not path:
        raise BodyInvalid("", _AIMLESS)
    if gateway.draining.is_set() and not path.startswith(("/health", "/ready")):
        raise Overloaded("the gateway is stopping; try again in a moment", retry_after=5.0)
    if path.startswith(_APIS):
        gateway.modes.now.check_open()


def refused(gateway: Gateway, incoming: Incoming, head_size: int) -> Reply | None:
    """The guard's refusal, if it refuses."""
    try:
        guard(gateway, incoming.path, head_size)
    except KirotrioError as error:
        return refuse(incoming, error)
    return None


def malformed(gateway: Gateway, malformed: Malformed) -> Reply:
    """The refusal of what is no request that is served here, in the dialect of its path where that is known."""
    head = malformed.head
    path = account_of(head.path)[1] if head is not None else ""
    version = head.headers.get("anthropic-version") if head is not None else None
    gateway.log.debug("no request", status=malformed.status, reason=malformed.reason, path=path[:_SHOWN])
    error = BodyInvalid("", malformed.reason) if malformed.status < 500 else KirotrioError(malformed.reason)
    return attrs.evolve(envelope.refusal(error, path, version), status=malformed.status)


async def ask(gateway: Gateway, endpoint: Endpoint, incoming: Incoming) -> Runs:
    """What the endpoint answers; a refusal in place of whatever it raises."""
    try:
        return await endpoint(gateway, incoming)
    except KirotrioError as error:
        return refuse(incoming, error)
    except Exception as error:
        return fault(gateway, error, incoming)


def refuse(incoming: Incoming, error: KirotrioError) -> Reply:
    """The error as the answer to this request."""
    incoming.passage.refuse(error)
    version = incoming.headers.get("anthropic-version")
    return envelope.refusal(error, incoming.path, version, incoming.passage.request_id)


def fault(gateway: Gateway, error: Exception, incoming: Incoming) -> Reply:
    """The answer to a request that met an error of ours, which is logged."""
    request_id = incoming.passage.request_id
    gateway.log.error("request failed", exc_info=error, path=incoming.path, request_id=request_id)
    return refuse(incoming, KirotrioError(_INSIDE))


async def deliver(gateway: Gateway, answer: Runs, intake: BodyIntake, sink: Sink, passage: Passage) -> None:
    """Send it. Ahead of an answer that needed no body, what there is of one has a moment to arrive.

    Raises what the answer meets on its way: then it has failed, whatever its head has told."""
    try:
        if isinstance(answer, Reply):
            if answer.hears_out:
                await intake.run_out(gateway.settings.deadlines.unwanted_body)
            await answer.named(passage.request_id).run(sink)
            passage.status = answer.status
            return
        passage.is_delivered = True
        await answer.run(sink)
        if not passage.is_relayed:
            passage.status = 200
    except Exception:  # a client that leaves is a cancellation
        passage.refuse(KirotrioError(_INSIDE))
        raise
