"""The playground: one message to any of the APIs, asked by the browser itself, so that it sees what clients get.

The page's script calls the public addresses with a key that lasts minutes (`access.short_keys`), which it keeps in
memory and asks for here when it sends something.
"""

from __future__ import annotations

from typing import Final

import orjson

from kirotrio.accounts.lending.wish import Wish
from kirotrio.classes import frozen
from kirotrio.dialects.models import ModelListing
from kirotrio.errors import NotFound
from kirotrio.web.api.models import list_models
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.keys import require_own_keys
from kirotrio.web.console.languages import N_
from kirotrio.web.console.pages import page, page_headers
from kirotrio.web.console.pasting import MODEL
from kirotrio.web.console.visit import OWNERS, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Reply, Runs

PLAYGROUND: Final = "/console/playground"


@frozen
class Api:
    """One way to ask. `dialect` is what its bodies and events are written in; `name` is English, in the catalogue."""

    key: str
    name: str
    path: str
    dialect: str


APIS: Final = (
    Api("messages", N_("Anthropic Messages, live"), "/v1/messages", "anthropic"),
    Api("buffered", N_("Anthropic Messages, buffered (/cc)"), "/cc/v1/messages", "anthropic"),
    Api("chat", N_("OpenAI Chat Completions"), "/v1/chat/completions", "chat"),
    Api("responses", N_("OpenAI Responses"), "/v1/responses", "responses"),
)


async def show(gateway: Gateway, visit: Visit) -> Runs:
    require_own_keys(gateway, visit)
    models = models_of(gateway, visit)
    return page(gateway, visit, "playground.html", apis=APIS, models=models, chosen=_chosen(gateway, models))


def models_of(gateway: Gateway, visit: Visit) -> list[ModelListing]:
    """Those that this person's keys may choose, as far as they are known without asking, each under one name."""
    catalogue = gateway.accounts.known_models(Wish(owner=visit.user.id))
    return [model for model in list_models(catalogue, gateway.settings.models) if not model.repeats]


def _chosen(gateway: Gateway, models: list[ModelListing]) -> str:
    """The one that is chosen at first, "" for the first of them."""
    listed = {model.id for model in models}
    return next((name for name in (gateway.settings.models.default, MODEL) if name in listed), "")


async def give_key(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    """A key for the page's script, as JSON: `key`, and `seconds` that it lasts."""
    short = gateway.keyring.short
    if short is None:
        raise NotFound("this gateway gives no keys")
    made = await short.make(visit.signed_in, visit.actor)
    told = {"key": made.secret, "seconds": made.seconds_left(short.clock())}
    headers = {**page_headers(visit.secure), "content-type": "application/json"}
    return Reply(orjson.dumps(told), 200, headers, cookies=visit.keeps)


ROUTES = (reads(PLAYGROUND, show, OWNERS), changes(f"{PLAYGROUND}/key", give_key, OWNERS))
