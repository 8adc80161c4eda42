"""The models that the account offers and the names that they go by, for every client in one body."""

from __future__ import annotations

from kirotrio.access.grant import Grant
from kirotrio.config.settings import ModelSettings
from kirotrio.dialects.models import MOST, ModelListing, model_object, models_page
from kirotrio.errors import AccountUnavailable, BodyInvalid, KirotrioError
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue, ModelProfile
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route, json_reply
from kirotrio.web.reading import admit, wish_of

_OWNERS = {"claude": "anthropic", "gpt": "openai", "other": "kiro"}


async def listing(gateway: Gateway, incoming: Incoming) -> Reply:
    grant, catalogue = await _catalogue(gateway, incoming)
    query = {name: values[0] for name, values in incoming.arguments.items()}
    page = models_page(
        _granted(list_models(catalogue, gateway.settings.models), grant, catalogue, gateway.settings.models),
        limit=_limit(query.get("limit")),
        before_id=query.get("before_id"),
        after_id=query.get("after_id"),
    )
    return json_reply(page)


async def one(gateway: Gateway, incoming: Incoming, name: str) -> Reply:
    (grant, catalogue), names = await _catalogue(gateway, incoming), gateway.settings.models
    if grant.key is not None and grant.key.models:
        grant.key.check_model(catalogue.resolve(name, aliases=names.alias, default="").id)
    listed = {model.id.lower(): model for model in list_models(catalogue, names)}
    model = listed.get(name.strip().lower()) or _listing(catalogue.resolve(name, aliases=names.alias, default=""))
    return json_reply(model_object(model))


async def _catalogue(gateway: Gateway, incoming: Incoming) -> tuple[Grant, Catalogue]:
    """The caller, and what the accounts that may serve it offer; what is known without asking where none can be
    asked."""
    grant = await admit(gateway, incoming)
    try:
        return grant, await gateway.accounts.models_of(wish_of(grant, incoming.account))
    except AccountUnavailable as error:
        gateway.log.warning("model list without an account", error=error.message)
        return grant, STATIC_CATALOGUE


def _granted(
    listed: list[ModelListing], grant: Grant, catalogue: Catalogue, names: ModelSettings
) -> list[ModelListing]:
    """Those that the caller's key may use, whatever name each goes by."""
    if grant.key is None or not grant.key.models:
        return listed
    return [one for one in listed if grant.key.may_use(catalogue.resolve(one.id, aliases=names.alias).id)]


def list_models(catalogue: Catalogue, names: ModelSettings) -> list[ModelListing]:
    """Every name that a client may choose: the models, their `claude-` names, the owner's own names for them.

    An own name (`models.alias`) takes the place of a model that it hides; one that leads nowhere is left out.
    """
    listed = [model for model in catalogue.models if model.listed]
    entries = {model.id.lower(): _listing(model) for model in listed}
    if names.claude_aliases:
        for model in listed:
            alias = catalogue.claude_alias(model)
            if alias is not None:
                entries[alias] = _listing(model, alias, f"{model.name} via Kiro", repeats=True)
    for alias in names.alias:
        try:
            model = catalogue.resolve(alias, aliases=names.alias)
        except KirotrioError:
            continue  # `kirotrio doctor` and the answer to whoever uses it tell
        if model.id.lower() != alias.strip().lower():
            entries[alias.strip().lower()] = _listing(model, alias.strip(), f"{model.name} ({alias.strip()})")
    return list(entries.values())


def _listing(
    model: ModelProfile, alias: str | None = None, name: str | None = None, *, repeats: bool = False
) -> ModelListing:
    return ModelListing(
        id=alias or model.id,
        display_name=name or model.name,
        context_window=model.window,
        max_output=model.max_output,
        owned_by=_OWNERS[model.family],
        efforts=tuple(effort.value for effort in model.efforts),
        default_effort=model.default_effort.value if model.default_effort is not None else None,
        thinks=model.thinking != "none",
        takes_images=model.takes_images,
        repeats=repeats,
    )


def _limit(text: str | None) -> int:
    if text is None:
        return MOST
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise BodyInvalid("limit", f"must be a whole number from 1 to {MOST}")
    return int(text)


ROUTES = (
    Route("GET", "/v1/models", listing),
    Route("GET", "/cc/v1/models", listing),
    Route("GET", "/v1/models/<path:name>", one),
    Route("GET", "/cc/v1/models/<path:name>", one),
)
