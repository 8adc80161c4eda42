"""What the service checks before it answers: headers, token, profile, body (KIRO_PROTOCOL 1.3, 2.5, 2.6, 2.8, 4).

The structure of a body is judged by `kirotrio.kiro.lint`; what depends on the account, the model and on what this
simulator gave out itself is judged here. Every check raises `Refused` with the service's own answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from kirotrio.kiro.lint import violations
from kirotrio.simulator.accounts import BUILDER_ID_ARN, Account, AccountBook, Kind, TokenState
from kirotrio.simulator.answers import Call, Flavour
from kirotrio.simulator.catalogue import Catalogue, Model, fields_objection
from kirotrio.simulator.prompt import each_image, estimate_tokens
from kirotrio.simulator.refusals import Refusal, RefusalTable, Refused
from kirotrio.simulator.signatures import SignatureIssuer

MOST_IMAGES = 20
"""The service's own figure is not known."""
_ARN = re.compile(r"arn:aws[a-z-]*:codewhisperer:[a-z0-9-]+:\d+:profile/[A-Za-z0-9]+")


class Validator:
    """The checks, and what they look things up in."""

    def __init__(
        self, book: AccountBook, catalogue: Catalogue, signatures: SignatureIssuer, table: RefusalTable
    ) -> None:
        self._book = book
        self._catalogue = catalogue
        self._signatures = signatures
        self._table = table

    def account(self, call: Call) -> Account:
        """Whose call it is: a valid bearer with the TokenType header that belongs to it."""
        scheme, _, bearer = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not bearer.strip():
            raise self._table.refused("BEARER_INVALID", "no Authorization: Bearer header")
        state, account = self._book.identify(bearer.strip())
        if account is None:
            raise self._table.refused("BEARER_INVALID", "the token was not given out here, or was revoked")
        if state is TokenState.EXPIRED:
            raise self._table.refused("TOKEN_EXPIRED", f"the access token of {account.name} has expired")
        token_type = call.headers.get("tokentype", "")
        if token_type not in account.kind.token_types:
            wanted = " or ".join(repr(one) for one in account.kind.token_types)
            raise self._table.refused("BEARER_INVALID", f"TokenType {token_type!r} with a token that needs {wanted}")
        if account.refusal:
            raise self._table.refused(account.refusal, f"{account.name} is set to be refused")
        return account

    def content_type(self, call: Call, flavour: Flavour) -> None:
        given = call.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given != flavour.content_type:
            raise self._table.refused("UNSUPPORTED_MEDIA_TYPE", f"content-type {given!r}, not {flavour.content_type}")

    def json_object(self, call: Call) -> dict[str, Any]:
        try:
            body = orjson.loads(call.body)
        except orjson.JSONDecodeError as error:
            raise self._table.refused("REQUEST_BODY_INVALID", f"the body is not JSON: {error}") from None
        if not isinstance(body, dict):
            raise self._table.refused("REQUEST_BODY_INVALID", "the body is not a JSON object")
        return body

    def profile(self, account: Account, arn: object, *, in_body: bool = True) -> None:
        """The table of 2.6: which profile goes with which kind of account. `in_body`: not a query or a header."""
        if arn in (None, ""):
            if account.kind in (Kind.IDENTITY_CENTER, Kind.EXTERNAL):
                raise self._table.refused("PROFILE_ARN_REQUIRED", f"{account.name} needs its profile ARN")
            return
        if not isinstance(arn, str) or not _ARN.fullmatch(arn):
            raise self._table.refused("INVALID_PROFILE_ARN", f"profileArn {arn!r} is no ARN of a profile")
        placeholder = arn == BUILDER_ID_ARN and in_body and account.kind in (Kind.BUILDER_ID, Kind.API_KEY)
        if arn not in account.profiles and not placeholder:
            raise self._table.refused("NOT_AUTHORIZED", f"profile {arn} does not belong to {account.name}")

    def generation(self, body: dict[str, Any], size: int, account: Account, flavour: Flavour) -> Model:
        """Every rule for the body of a generation; the model that it asks for."""
        found = violations(body)
        if found:
            first = found[0]
            note = "; ".join(f"{violation.path}: {violation.rule}" for violation in found)
            name = first.reason or "MALFORMED"
            raise Refused(Refusal(name, first.status, "ValidationException", first.message, first.reason), note)
        state = body["conversationState"]
        if flavour is Flavour.RUNTIME and not state.get("conversationId"):
            missing = "Missing required field conversationId"
            raise self._table.refused("REQUEST_BODY_INVALID", missing, message=missing)
        self.profile(account, body.get("profileArn"))
        wanted = state["currentMessage"]["userInputMessage"].get("modelId") or ""
        model = self._catalogue.find(wanted, account.models)
        if model is None:
            raise self._table.refused("INVALID_MODEL_ID", f"{account.name} has no model {wanted!r}")
        self._request_fields(body, model)
        images = sum(1 for _ in each_image(body))
        if images > MOST_IMAGES:
            raise self._table.refused("IMAGE_COUNT_EXCEEDED", f"{images} images, at most {MOST_IMAGES}")
        tokens = estimate_tokens(body, size)
        if tokens > model.window:
            note = f"about {tokens} tokens in a window of {model.window}"
            raise self._table.refused("CONTENT_LENGTH_EXCEEDS_THRESHOLD", note)
        self._thinking(state.get("history") or [], account, model)
        return model

    def _request_fields(self, body: Mapping[str, Any], model: Model) -> None:
        if "additionalModelRequestFields" not in body:
            return
        if model.fields_schema is None:
            objection: str | None = f"additionalModelRequestFields is not supported for model {model.id}"
        else:
            objection = fields_objection(model.fields_schema, body["additionalModelRequestFields"])
        if objection:
            raise self._table.refused("REQUEST_BODY_INVALID", objection, message=objection)

    def _thinking(self, history: list[dict[str, Any]], account: Account, model: Model) -> None:
        """Thinking in the history has to carry what this simulator issued, to this account and model."""
        for index, entry in enumerate(history):
            content = (entry.get("assistantResponseMessage") or {}).get("reasoningContent")
            if content is None:
                continue
            text = content.get("reasoningText") or {}
            token = content.get("redactedContent", text.get("signature"))
            if not self._signatures.issued(token, account.name, model.id):
                raise self._table.refused(
                    "THINKING_SIGNATURE_INVALID", f"history[{index}]: not a signature for {account.name} and {model.id}"
                )
