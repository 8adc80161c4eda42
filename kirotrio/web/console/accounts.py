"""Whose subscriptions answer: how each is, what it has left, and what may be changed of it.

Operators see all accounts, members those that they brought, viewers all of them without changing any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from kirotrio.access.audit import Actor
from kirotrio.accounts.lending.members import Member
from kirotrio.errors import BodyInvalid, KirotrioError, NotFound
from kirotrio.store.user_record import Role
from kirotrio.web.console.account_states import row_of
from kirotrio.web.console.bringing import choices
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.pages import page, redirect
from kirotrio.web.console.visit import EVERYONE, OWNERS, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

LIST: Final = "/console/accounts"
_LAST_PRIORITY: Final = 1_000_000
_GONE: Final = N_("there is no such account; it may have been removed")


async def show_all(gateway: Gateway, visit: Visit) -> Runs:
    pool = gateway.accounts
    rows = [row_of(pool, member) for member in pool.present() if _sees(visit, member)]
    rows.sort(key=lambda row: (row.priority, row.name.lower()))
    return page(gateway, visit, "accounts.html", rows=rows, may_change=visit.may(OWNERS), bring=choices(visit))


async def enable(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """Let it serve again: a person has seen to whatever kept it from that."""
    member = _member(gateway, visit, account_id)
    gateway.accounts.cooldowns.lift(member.key, gateway.accounts.now())

    def work(connection: Connection) -> None:
        from kirotrio.store import accounts, cooldowns

        accounts.clear_mark(connection, account_id)
        accounts.set_enabled(connection, account_id, True)
        cooldowns.remove_of(connection, account_id)

    await _change(gateway, visit.actor, member, "account.enable", {}, work)
    visit.tell("{name} is enabled.", name=member.name)
    return redirect(visit, LIST)


async def disable(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    member = _member(gateway, visit, account_id)

    def work(connection: Connection) -> None:
        from kirotrio.store import accounts

        accounts.set_enabled(connection, account_id, False)

    await _change(gateway, visit.actor, member, "account.disable", {}, work)
    visit.tell("{name} is disabled.", name=member.name)
    return redirect(visit, LIST)


async def order(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    member = _member(gateway, visit, account_id)
    priority = form.number("priority")
    if priority is None or priority > _LAST_PRIORITY:
        raise BodyInvalid("priority", f"must be a whole number from 0 to {_LAST_PRIORITY}")
    await _update(gateway, visit.actor, member, "account.order", priority=int(priority))
    visit.tell("The order of {name} was changed.", name=member.name)
    return redirect(visit, LIST)


async def lend(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """`lent`: whether others' keys may use it, too."""
    member, lent = _member(gateway, visit, account_id), form.ticked("lent")
    await _update(gateway, visit.actor, member, "account.lend" if lent else "account.keep", lent=lent)
    if lent:
        visit.tell("{name} is lent to the team.", name=member.name)
    else:
        visit.tell("{name} is private.", name=member.name)
    return redirect(visit, LIST)


async def test(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """Ask Kiro what it is worth, which costs nothing and shows whether its sign-in is good."""
    member = _member(gateway, visit, account_id)
    try:
        await gateway.accounts.usage.refresh(member.name, member.account.credentials, anew=True)
    except KirotrioError as error:
        visit.tell("{name} did not answer: {reason}", "failed", name=member.name, reason=error.message)
    else:
        visit.tell("{name} answers; its sign-in is good.", name=member.name)
    return redirect(visit, LIST)


def _sees(visit: Visit, member: Member) -> bool:
    if visit.user.role is not Role.MEMBER:
        return True
    return member.record is not None and member.record.owner_id == visit.user.id


def _member(gateway: Gateway, visit: Visit, account_id: str) -> Member:
    """Raises NotFound for an account that is not kept here, and for somebody else's."""
    for member in gateway.accounts.present():
        if member.record is not None and member.record.id == account_id and _sees(visit, member):
            return member
    raise NotFound(_GONE)


async def _update(gateway: Gateway, actor: Actor, member: Member, action: str, **values: Any) -> None:
    account_id, sealer = member.key, gateway.accounts.shared.sealer

    def work(connection: Connection) -> None:
        from kirotrio.store import accounts

        accounts.update(connection, sealer, account_id, **values)

    await _change(gateway, actor, member, action, values, work)


async def _change(
    gateway: Gateway,
    actor: Actor,
    member: Member,
    action: str,
    detail: dict[str, Any],
    work: Callable[[Connection], None],
) -> None:
    """Change it in the store, note who did, and take the change over here at once. Raises StoreUnavailable."""
    pool, name = gateway.accounts, member.name
    now = pool.now()

    def change(connection: Connection) -> None:
        from kirotrio.store import audit_rows
        from kirotrio.store.revisions import begin_change

        begin_change(connection)
        work(connection)
        audit_rows.note(connection, actor.entry(action, name, now, detail))

    await pool.shared.database.write(change)
    await pool.look()


_ONE: Final = LIST + "/<account_id>"

ROUTES = (
    reads(LIST, show_all, EVERYONE),
    changes(_ONE + "/enable", enable, OWNERS),
    changes(_ONE + "/disable", disable, OWNERS),
    changes(_ONE + "/order", order, OWNERS),
    changes(_ONE + "/lend", lend, OWNERS),
    changes(_ONE + "/test", test, OWNERS),
)
