"""Invitations, for operators: those that there are, and a new one, whose address is shown this once."""

from __future__ import annotations

from kirotrio.errors import SettingsError
from kirotrio.store.user_record import Role
from kirotrio.web.console.forms import Form, entered
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.pages import page, redirect, said
from kirotrio.web.console.status import status_of
from kirotrio.web.console.users import role_of
from kirotrio.web.console.visit import OPERATOR, Visit, people_of
from kirotrio.web.console.words import ROLES
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

INVITATIONS = "/console/invitations"
_COLUMNS = (
    Column(N_("E-mail"), "email"),
    Column(N_("Role"), "role"),
    Column(N_("Made"), "created_at"),
    Column(N_("Ends"), "expires_at"),
    Column(N_("State")),
    Column(""),
)


async def invitations(
    gateway: Gateway,
    visit: Visit,
    problem: str = "",
    status: int = 200,
    made: str = "",
    form: Form | None = None,
) -> Runs:
    """`form`: what was entered, where there is a problem with it."""
    people = await people_of(gateway)
    listed = await people.invitations(listing_of(visit, filters=("role",)))
    view = ListView(INVITATIONS, listed, _COLUMNS, (Filter("role", N_("Role"), ROLES),))
    return page(
        gateway, visit, "invitations.html", status=status, view=view, roles=ROLES, problem=problem, made=made,
        now=people.now(), registration=gateway.settings.users.registration,
        entered=entered(form, "email", role=Role.MEMBER.value),
    )  # fmt: skip


async def invite(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people, role = await people_of(gateway), role_of(form)
    if role is Role.OPERATOR:
        people.require_confirmed(visit.signed_in)
    try:
        token = await people.invite(visit.actor, role, form("email"))
    except SettingsError as error:
        return await invitations(gateway, visit, said(visit.speech, error.message), status_of(error), form=form)
    return await invitations(gateway, visit, made=f"{_origin(gateway, visit)}/console/invitation/{token}")


async def take_back(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    if await (await people_of(gateway)).revoke_invitation(visit.actor, form("invitation", most=60)):
        visit.tell("The invitation was taken back.")
    return redirect(visit, INVITATIONS)


def _origin(gateway: Gateway, visit: Visit) -> str:
    """Where browsers reach this gateway: as the settings say, else as this one did."""
    if public := gateway.settings.sign_in.public_url:
        return public.rstrip("/")
    return f"{'https' if visit.secure else 'http'}://{visit.incoming.headers.get('host', '')}"


ROUTES = (
    reads(INVITATIONS, invitations, OPERATOR),
    changes(INVITATIONS, invite, OPERATOR),
    changes(INVITATIONS + "/remove", take_back, OPERATOR),
)
