"""Users, for operators: the list, one user, and what can be changed of them."""

from __future__ import annotations

from kirotrio.errors import BodyInvalid, NotFound, SettingsError
from kirotrio.store.user_record import Role, User
from kirotrio.web.console.forms import Form, entered
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.pages import page, redirect, said
from kirotrio.web.console.status import status_of
from kirotrio.web.console.visit import OPERATOR, Visit, people_of
from kirotrio.web.console.words import ROLES, USER_STATES
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

USERS = "/console/users"
_ONE = USERS + "/<user_id>"
_COLUMNS = (
    Column(N_("Name"), "name"),
    Column(N_("Role"), "role"),
    Column(N_("State"), "state"),
    Column(N_("Second factor")),
    Column(N_("E-mail"), "email"),
    Column(N_("Last sign-in"), "last_sign_in_at"),
)
_FILTERS = (Filter("role", N_("Role"), ROLES), Filter("state", N_("State"), USER_STATES))


async def users(gateway: Gateway, visit: Visit, problem: str = "", status: int = 200, form: Form | None = None) -> Runs:
    """`form`: what was entered, where there is a problem with it. A password is never shown again."""
    listed = await (await people_of(gateway)).users(listing_of(visit, filters=("role", "state")))
    view = ListView(USERS, listed, _COLUMNS, _FILTERS)
    least = gateway.settings.users.password_length
    return page(
        gateway, visit, "users.html", status=status, view=view, roles=ROLES, states=USER_STATES, problem=problem,
        least=least, entered=entered(form, "name", "email", role=Role.MEMBER.value),
    )  # fmt: skip


async def create(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people, role = await people_of(gateway), role_of(form)
    if role is Role.OPERATOR:
        people.require_confirmed(visit.signed_in)
    try:
        made = await people.create_user(visit.actor, form("name", most=200), form.raw("password"), role, form("email"))
    except SettingsError as error:
        return await users(gateway, visit, said(visit.speech, error.message), status_of(error), form)
    visit.tell("{name} is a user now.", name=made.name)
    return redirect(visit, _place(made))


async def user(
    gateway: Gateway, visit: Visit, user_id: str, problem: str = "", status: int = 200, form: Form | None = None
) -> Runs:
    """`form`: the name that was entered, where there is a problem with it."""
    people, found = await people_of(gateway), await _found(gateway, user_id)
    sessions, identities = await people.sessions_of(found.id), await people.identities_of(found.id)
    least = gateway.settings.users.password_length
    return page(
        gateway, visit, "user.html", status=status, user=found, sessions=sessions, identities=identities, roles=ROLES,
        states=USER_STATES, problem=problem, least=least,
        entered=entered(form, name=found.name, display=found.display),
    )  # fmt: skip


async def change(gateway: Gateway, visit: Visit, form: Form, user_id: str) -> Runs:
    """`do`: name, role, approve, disable, enable, password, second-factor, sign-out or remove."""
    people, found, do = await people_of(gateway), await _found(gateway, user_id), form("do")
    if do in ("password", "second-factor", "remove") or _makes_operator(do, found, form):
        people.require_confirmed(visit.signed_in)
    after: User | None = None
    try:
        match do:
            case "name":
                await people.rename_user(visit.actor, found.id, form("name", most=200), form("display", most=200))
            case "role":
                after = await people.set_role(visit.actor, found.id, role_of(form))
            case "approve":
                after = await people.approve(visit.actor, found.id)
            case "disable":
                after = await people.disable(visit.actor, found.id)
            case "enable":
                after = await people.enable(visit.actor, found.id)
            case "password":
                await people.set_password(visit.actor, found.id, form.raw("password"))
            case "second-factor":
                await people.reset_second_factor(visit.actor, found.id)
            case "sign-out":
                await people.revoke_sessions(visit.actor, found, besides=visit.signed_in.id)
            case "remove":
                await people.remove_user(visit.actor, found.id)
                visit.tell("{name} is removed.", name=found.name)
                return redirect(visit, USERS)
            case _:
                raise BodyInvalid("do", "is none of the things that this form can do")
    except SettingsError as error:
        named = form if do == "name" else None
        return await user(gateway, visit, found.id, said(visit.speech, error.message), status_of(error), named)
    if after is not None and (after.role, after.state) == (found.role, found.state):
        visit.tell("{name} was so already: nothing was changed.", "note", name=found.name)
    else:
        visit.tell("{name} was changed.", name=found.name)
    return redirect(visit, _place(found))


def _makes_operator(do: str, found: User, form: Form) -> bool:
    """Whether somebody may do everything from then on."""
    if do == "role":
        return role_of(form) is Role.OPERATOR
    return do in ("approve", "enable") and found.role is Role.OPERATOR


def role_of(form: Form) -> Role:
    """Raises BodyInvalid."""
    try:
        return Role(form("role", most=40))
    except ValueError:
        raise BodyInvalid("role", "must be operator, member or viewer") from None


async def _found(gateway: Gateway, user_id: str) -> User:
    found = await (await people_of(gateway)).user(user_id)
    if found is None:
        raise NotFound("there is no such user any more")
    return found


def _place(user: User) -> str:
    return f"{USERS}/{user.id}"


ROUTES = (
    reads(USERS, users, OPERATOR),
    changes(USERS, create, OPERATOR),
    reads(_ONE, user, OPERATOR),
    changes(_ONE, change, OPERATOR),
)
