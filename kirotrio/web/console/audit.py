"""The audit log, for operators: who changed what, when, from where."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from kirotrio.access.audit import entries
from kirotrio.web.console.audit_words import ACTIONS, told
from kirotrio.web.console.guarding import reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.pages import page
from kirotrio.web.console.visit import OPERATOR, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

AUDIT = "/console/audit"
_COLUMNS = (
    Column(N_("When"), "at"),
    Column(N_("Who"), "actor"),
    Column(N_("What"), "action"),
    Column(N_("Of what"), "subject"),
    Column(N_("Details")),
    Column(N_("Address"), "address"),
)
_THINGS: Mapping[str, str] = {
    "user": N_("Users"),
    "sign-in": N_("Sign-ins"),
    "invitation": N_("Invitations"),
    "identity": N_("Sign-ins elsewhere"),
    "key": N_("Keys"),
    "account": N_("Accounts"),
    "answer": N_("Running answers"),
    "recording": N_("Recordings"),
    "announcement": N_("Announcements"),
    "mode": N_("Modes"),
    "setting": N_("Settings"),
    "store": N_("The store"),
}
_FILTERS = (Filter("action", N_("What"), _THINGS), Filter("actor", N_("Who")), Filter("address", N_("Address")))


async def audit(gateway: Gateway, visit: Visit) -> Runs:
    listing = listing_of(visit, filters=("action", "actor", "address"))
    listed = await entries(gateway.accounts.shared.database, listing)
    view = ListView(AUDIT, listed, _COLUMNS, _FILTERS)
    return page(gateway, visit, "audit.html", view=view, actions=ACTIONS, told=partial(told, visit.speech))


ROUTES = (reads(AUDIT, audit, OPERATOR),)
