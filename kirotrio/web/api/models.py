"""The models that the account offers, as the Anthropic SDK and Claude Code list them."""

from __future__ import annotations

import orjson
from quart import Quart, Response, request

from kirotrio.dialects.anthropic import ModelListing, model_object, models_page
from kirotrio.errors import BodyInvalid, KirotrioError
from kirotrio.kiro.models import Catalogue, ModelProfile
from kirotrio.web.gateway import Gateway
from kirotrio.web.reading import admit

_PAGE = 1000


def register(app: Quart, gateway: Gateway) -> None:
    @app.get("/v1/models")
    @app.get("/cc/v1/models")
    async def listing() -> Response:
        catalogue = await _catalogue(gateway, admit(gateway).credential)
        models = [_listing(model) for model in catalogue.models if model.listed]
        page = models_page(
            models,
            limit=_limit(request.args.get("limit")),
            before_id=request.args.get("before_id"),
            after_id=request.args.get("after_id"),
        )
        return Response(orjson.dumps(page), content_type="application/json")

    @app.get("/v1/models/<path:name>")
    @app.get("/cc/v1/models/<path:name>")
    async def one(name: str) -> Response:
        catalogue = await _catalogue(gateway, admit(gateway).credential)
        names = gateway.settings.models
        model = catalogue.resolve(name, aliases=names.alias, default="")
        return Response(orjson.dumps(model_object(_listing(model))), content_type="application/json")


async def _catalogue(gateway: Gateway, credential: str | None) -> Catalogue:
    """The account's own list; what is known without asking where no account can be asked."""
    try:
        account = await gateway.relay.lender.lend(credential)
    except KirotrioError as error:
        gateway.log.warning("model list without an account", error=error.message)
        return gateway.relay.models.known("")
    return await gateway.relay.models.current(account.name, account.credentials)


def _listing(model: ModelProfile) -> ModelListing:
    return ModelListing(id=model.id, display_name=model.name, context_window=model.window, max_output=model.max_output)


def _limit(text: str | None) -> int:
    if text is None:
        return _PAGE
    if not text.isdecimal() or not 1 <= int(text) <= _PAGE:
        raise BodyInvalid("limit", f"must be a whole number from 1 to {_PAGE}")
    return int(text)
