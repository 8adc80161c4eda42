"""Becoming a user: the first operator of a fresh gateway, and whoever was invited."""

from __future__ import annotations

from kirotrio.access.members.outcomes import InvitationInvalid, SignInRefused
from kirotrio.errors import NotFound, SettingsError
from kirotrio.web.console.bringing import choices
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import ANYBODY, SIGN_IN, changes, reads
from kirotrio.web.console.pages import page, redirect, said
from kirotrio.web.console.signing import SET_UP, enter
from kirotrio.web.console.status import status_of
from kirotrio.web.console.visit import OPERATOR, Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

SET_UP_ACCOUNT = SET_UP + "/account"
_INVITATION = "/console/invitation/<token>"
ASK = "/console/ask"


async def set_up(gateway: Gateway, visit: Visit) -> Runs:
    if await (await people_of(gateway)).has_operator():
        return redirect(visit, SET_UP_ACCOUNT if visit.may(OPERATOR) else SIGN_IN)
    return _set_up_page(gateway, visit, "", "")


async def take_set_up(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people, name = await people_of(gateway), form("name", most=200)
    if form.raw("password") != form.raw("again"):
        return _set_up_page(gateway, visit, name, visit.speech("The two passwords are not the same."), 400)
    try:
        entered = await people.set_up(name, form.raw("password"), form("key"), visit.address, visit.agent)
    except (SignInRefused, SettingsError) as error:
        if await people.has_operator():
            raise
        return _set_up_page(gateway, visit, name, said(visit.speech, error.message), status_of(error))
    return await enter(gateway, visit, entered, SET_UP_ACCOUNT)


def _set_up_page(gateway: Gateway, visit: Visit, name: str, problem: str, status: int = 200) -> Runs:
    return page(gateway, visit, "setup.html", status=status, name=name, problem=problem, least=_least(gateway))


async def set_up_account(gateway: Gateway, visit: Visit) -> Runs:
    known = [member.name for member in gateway.accounts.present()]
    return page(gateway, visit, "setup_account.html", known=known, bring=choices(visit, setup=True))


async def invitation(gateway: Gateway, visit: Visit, token: str) -> Runs:
    found = await (await people_of(gateway)).invitation(token)
    if found is None:
        raise NotFound(InvitationInvalid().message)
    return _invitation_page(gateway, visit, "", "")


async def accept(gateway: Gateway, visit: Visit, form: Form, token: str) -> Runs:
    people, name = await people_of(gateway), form("name", most=200)
    if form.raw("password") != form.raw("again"):
        return _invitation_page(gateway, visit, name, visit.speech("The two passwords are not the same."), 400)
    try:
        entered = await people.accept_invitation(token, name, form.raw("password"), visit.address, visit.agent)
    except InvitationInvalid as error:
        raise NotFound(error.message) from None
    except SettingsError as error:
        return _invitation_page(gateway, visit, name, said(visit.speech, error.message), status_of(error))
    return await enter(gateway, visit, entered)


def _invitation_page(gateway: Gateway, visit: Visit, name: str, problem: str, status: int = 200) -> Runs:
    return page(gateway, visit, "invitation.html", status=status, name=name, problem=problem, least=_least(gateway))


async def ask(gateway: Gateway, visit: Visit) -> Runs:
    if gateway.settings.users.registration != "approval":
        raise NotFound("nobody can ask to become a user here; ask the operator for an invitation")
    return _asking_page(gateway, visit, "", "")


async def take_asking(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people, name = await people_of(gateway), form("name", most=200)
    if form.raw("password") != form.raw("again"):
        return _asking_page(gateway, visit, name, visit.speech("The two passwords are not the same."), 400)
    try:
        await people.register(name, form.raw("password"), visit.address)
    except (SignInRefused, SettingsError) as error:
        return _asking_page(gateway, visit, name, said(visit.speech, error.message), status_of(error))
    visit.tell("You have asked. You can sign in once an operator has approved, if the name was free.", "note")
    return redirect(visit, SIGN_IN)


def _asking_page(gateway: Gateway, visit: Visit, name: str, problem: str, status: int = 200) -> Runs:
    return page(gateway, visit, "asking.html", status=status, name=name, problem=problem, least=_least(gateway))


def _least(gateway: Gateway) -> int:
    """Characters of a password."""
    return gateway.settings.users.password_length


ROUTES = (
    reads(SET_UP, set_up, ANYBODY),
    changes(SET_UP, take_set_up, ANYBODY),
    reads(SET_UP_ACCOUNT, set_up_account, OPERATOR),
    reads(_INVITATION, invitation, ANYBODY),
    changes(_INVITATION, accept, ANYBODY),
    reads(ASK, ask, ANYBODY),
    changes(ASK, take_asking, ANYBODY),
)
