"""OpenAI Responses: live at `/v1`, buffered at `/cc/v1`; what was stored can be continued, shown and deleted."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kirotrio.access.grant import Grant
from kirotrio.classes import frozen
from kirotrio.dialects.openai_errors import error_body
from kirotrio.dialects.openai_responses import (
    DecodedResponses,
    References,
    ResponseBody,
    ResponseEcho,
    ResponseStream,
    decode_responses,
    read_request,
    references,
    shown,
)
from kirotrio.errors import BodyInvalid, KirotrioError, ReferenceNotFound
from kirotrio.relay.answer import Answer
from kirotrio.relay.ports import BodyEncoder, Refusal, StreamEncoder
from kirotrio.store.responses import ResponseMissing, StoredResponse
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route, json_reply
from kirotrio.web.reading import admit, answer, mode_of, session_header, take

_PAGE = 20
_LARGEST_PAGE = 100


@frozen
class ResponsesAnswer:
    """One request's view of the dialect (`relay.ports.Dialect`): both encoders carry one response id.

    `on_end` gets the finished response before the client does.
    """

    echo: ResponseEcho
    response_id: str
    created_at: int
    request_id: str
    on_end: Callable[[dict[str, Any]], None] | None = None
    eager: bool = True

    def stream(self) -> StreamEncoder:
        return ResponseStream(self.echo, self.response_id, self.created_at, self.on_end, time.time)

    def body(self) -> BodyEncoder:
        return ResponseBody(self.echo, self.response_id, self.created_at, self.on_end, time.time)

    def refusal(self, error: KirotrioError) -> Refusal:
        return Refusal(*error_body(error, self.request_id))


async def live(gateway: Gateway, incoming: Incoming) -> Answer:
    return await _answer(gateway, incoming, buffered=False)


async def buffered(gateway: Gateway, incoming: Incoming) -> Answer:
    return await _answer(gateway, incoming, buffered=True)


async def show_response(gateway: Gateway, incoming: Incoming, response_id: str) -> Reply:
    stored = await _stored(gateway, await admit(gateway, incoming), response_id)
    query = incoming.arguments
    if query.get("stream", [""])[0].lower() in ("true", "1"):
        raise BodyInvalid("stream", "a stored response is shown as a whole; leave `stream` out")
    return json_reply(shown(stored.response, query.get("include", []) + query.get("include[]", [])))


async def delete_response(gateway: Gateway, incoming: Incoming, response_id: str) -> Reply:
    if not await gateway.stored_responses.delete(_owner(await admit(gateway, incoming)), response_id):
        raise _missing(response_id)
    return json_reply({"id": response_id, "object": "response", "deleted": True})


async def show_input_items(gateway: Gateway, incoming: Incoming, response_id: str) -> Reply:
    stored = await _stored(gateway, await admit(gateway, incoming), response_id)
    query = {name: values[0] for name, values in incoming.arguments.items()}
    return json_reply(_page(stored.input_items, query))


async def _answer(gateway: Gateway, incoming: Incoming, *, buffered: bool) -> Answer:
    asked = await take(gateway, incoming)
    session, owner = session_header(incoming), _owner(asked.grant)

    def read() -> tuple[dict[str, Any], References]:
        body = read_request(asked.body)
        return body, references(body)

    body, named = await asked.work(read)
    earlier, referenced = await _look_up(gateway, owner, named)

    def decode() -> DecodedResponses:
        return decode_responses(
            body,
            session_header=session,
            default_thinking=gateway.settings.thinking.default,
            earlier=earlier,
            referenced=referenced,
        )

    decoded = await asked.work(decode)

    def keep(response: dict[str, Any]) -> None:
        stored = StoredResponse(response, decoded.input_items, named.previous_response_id)
        if not gateway.stored_responses.put(owner, stored):
            gateway.log.warning(
                "response not stored: it is larger than all that may be (responses.max_memory)",
                request_id=asked.request_id,
            )

    dialect = ResponsesAnswer(
        decoded.echo,
        "resp_" + secrets.token_hex(24),
        int(time.time()),
        asked.request_id,
        keep if decoded.store else None,
    )
    return answer(
        gateway, asked, decoded.conversation, mode_of(stream=decoded.stream, buffered=buffered), dialect, "responses"
    )


async def _look_up(
    gateway: Gateway, owner: str, named: References
) -> tuple[Sequence[dict[str, Any]], Mapping[str, dict[str, Any]]]:
    """What the request continues and refers to. Raises ReferenceNotFound."""
    earlier: Sequence[dict[str, Any]] = ()
    if named.previous_response_id is not None:
        try:
            earlier = await gateway.stored_responses.chain(owner, named.previous_response_id)
        except ResponseMissing as error:
            raise ReferenceNotFound(
                f"Previous response with id '{error.missing[:200]}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            ) from None
    referenced = await gateway.stored_responses.items(owner, named.item_ids)
    for item_id in named.item_ids:
        if item_id not in referenced:
            raise ReferenceNotFound(f"Item with id '{item_id[:200]}' not found.", param="input")
    return earlier, referenced


def _owner(grant: Grant) -> str:
    """Whose responses: the key's, and of a key that several share with a token of their own, the token's."""
    if grant.credential is None:
        return grant.key_id
    return f"{grant.key_id}\n{hashlib.sha256(grant.credential.encode('utf-8', 'surrogateescape')).hexdigest()}"


async def _stored(gateway: Gateway, grant: Grant, response_id: str) -> StoredResponse:
    stored = await gateway.stored_responses.get(_owner(grant), response_id)
    if stored is None:
        raise _missing(response_id)
    return stored


def _missing(response_id: str) -> ReferenceNotFound:
    return ReferenceNotFound(f"Response with id '{response_id[:200]}' not found.")


def _page(items: Sequence[dict[str, Any]], query: Mapping[str, str]) -> dict[str, Any]:
    """One page of input items, the newest first unless asked for otherwise. Raises BodyInvalid."""
    order, limit, after = query.get("order", "desc"), query.get("limit", str(_PAGE)), query.get("after")
    if order not in ("asc", "desc"):
        raise BodyInvalid("order", "must be asc or desc")
    if not limit.isdecimal() or not 1 <= int(limit) <= _LARGEST_PAGE:
        raise BodyInvalid("limit", f"must be a whole number from 1 to {_LARGEST_PAGE}")
    ordered = list(items if order == "asc" else reversed(items))
    begin = 0
    if after is not None:
        position = next((index for index, item in enumerate(ordered) if item.get("id") == after), None)
        if position is None:
            raise BodyInvalid("after", "must be the id of an item in the list")
        begin = position + 1
    page = ordered[begin : begin + int(limit)]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0].get("id") if page else None,
        "last_id": page[-1].get("id") if page else None,
        "has_more": begin + len(page) < len(ordered),
    }


_STORED = "responses/<response_id>"

ROUTES = (
    Route("POST", "/v1/responses", live),
    Route("POST", "/cc/v1/responses", buffered),
    Route("GET", f"/v1/{_STORED}", show_response),
    Route("GET", f"/cc/v1/{_STORED}", show_response),
    Route("DELETE", f"/v1/{_STORED}", delete_response),
    Route("DELETE", f"/cc/v1/{_STORED}", delete_response),
    Route("GET", f"/v1/{_STORED}/input_items", show_input_items),
    Route("GET", f"/cc/v1/{_STORED}/input_items", show_input_items),
)
