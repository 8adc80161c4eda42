"""What may be changed of an account: whether it serves, its order, its name, who may use it, and whether it is here.

Operators change all accounts, members those that they brought. Each change is in the audit log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from kirotrio.access.members.outcomes import ConfirmationNeeded
from kirotrio.accounts.records import is_name
from kirotrio.errors import BodyInvalid, NotFound, SettingsError
from kirotrio.store.account_record import AccountRecord
from kirotrio.web.console.accounts import GONE, LIST, ONE, find, show_one
from kirotrio.web.console.form_problems import Problem, problem_of
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.pages import page, redirect, said
from kirotrio.web.console.visit import OPERATOR, OWNERS, Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LAST_PRIORITY: Final = 1_000_000
_NO_NAME: Final = N_("up to 64 letters, digits, dots, dashes and underscores can be a name")


async def enable(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """Let it serve again: a person has seen to whatever kept it from that."""
    record = (await find(gateway, visit, account_id)).record
    gateway.accounts.cooldowns.lift(account_id, gateway.accounts.now())

    def work(connection: Connection) -> bool:
        from kirotrio.store import accounts, cooldowns

        accounts.clear_mark(connection, account_id)
        cooldowns.remove_of(connection, account_id)
        return accounts.set_enabled(connection, account_id, True)

    await _change(gateway, visit, record.name, "account.enable", {}, work)
    visit.tell("{name} is enabled.", name=record.name)
    return _back(visit, form)


async def disable(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    record = (await find(gateway, visit, account_id)).record

    def work(connection: Connection) -> bool:
        from kirotrio.store import accounts

        return accounts.set_enabled(connection, account_id, False)

    await _change(gateway, visit, record.name, "account.disable", {}, work)
    visit.tell("{name} is disabled.", name=record.name)
    return _back(visit, form)


async def order(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    record = (await find(gateway, visit, account_id)).record
    try:
        priority = form.number("priority")
        if priority is None or priority > _LAST_PRIORITY:
            raise BodyInvalid("priority", f"must be a whole number from 0 to {_LAST_PRIORITY}")
    except BodyInvalid as error:
        return await show_one(gateway, visit, account_id, problem_of(visit.speech, error.message), form)
    await _update(gateway, visit, record, "account.order", priority=int(priority))
    visit.tell("The order of {name} was changed.", name=record.name)
    return _back(visit, form)


async def lend(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """`lent`: whether others' keys may use it, too."""
    record, lent = (await find(gateway, visit, account_id)).record, form.ticked("lent")
    await _update(gateway, visit, record, "account.lend" if lent else "account.keep", lent=lent)
    if lent:
        visit.tell("{name} is lent to the team.", name=record.name)
    else:
        visit.tell("{name} is private.", name=record.name)
    return _back(visit, form)


async def rename(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """Keys that are bound to it follow, and so does what was asked of it."""
    record, name = (await find(gateway, visit, account_id)).record, form("name", most=1000)

    def work(connection: Connection) -> bool:
        from kirotrio.store import accounts

        return accounts.rename(connection, account_id, name)

    try:
        if not is_name(name):
            raise SettingsError(_NO_NAME)
        if name != record.name:
            await _change(gateway, visit, name, "account.rename", {"before": record.name}, work)
    except SettingsError as error:
        problem = Problem(said(visit.speech, error.message), "name")
        return await show_one(gateway, visit, account_id, problem, form)
    visit.tell("{before} is called {name} now.", before=record.name, name=name)
    return _back(visit, form)


async def removal(gateway: Gateway, visit: Visit, account_id: str) -> Runs:
    """What goes with it, ahead of removing it; the password is asked for first."""
    record = (await find(gateway, visit, account_id)).record
    await _require_confirmed(gateway, visit)

    def work(connection: Connection) -> tuple[str, ...]:
        from kirotrio.store import key_rows

        return key_rows.bound_to(connection, record.name)

    bound = await gateway.accounts.shared.database.read(work)
    member = gateway.accounts.kept(account_id)
    running = member.gate.busy if member is not None else 0
    named = visit.may(OPERATOR)  # a member sees of others' keys how many there are
    return page(gateway, visit, "account_remove.html", record=record, bound=bound, named=named, running=running)


async def remove(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    record = (await find(gateway, visit, account_id)).record
    await _require_confirmed(gateway, visit)

    def work(connection: Connection) -> bool:
        from kirotrio.store import accounts

        return accounts.remove(connection, account_id)

    await _change(gateway, visit, record.name, "account.remove", {}, work)
    if record.follows:
        visit.tell("{name} is removed; its tokens stay with the program that it followed.", name=record.name)
    else:
        visit.tell("{name} is removed; its sign-in at Kiro remains.", name=record.name)
    return redirect(visit, LIST)


async def _require_confirmed(gateway: Gateway, visit: Visit) -> None:
    if not (await people_of(gateway)).is_confirmed(visit.signed_in):
        raise ConfirmationNeeded


async def _update(gateway: Gateway, visit: Visit, record: AccountRecord, action: str, **values: Any) -> None:
    def work(connection: Connection) -> bool:
        from kirotrio.store import accounts

        return accounts.update(connection, gateway.accounts.shared.sealer, record.id, **values) is not None

    await _change(gateway, visit, record.name, action, values, work)


async def _change(
    gateway: Gateway,
    visit: Visit,
    subject: str,
    action: str,
    detail: dict[str, Any],
    work: Callable[[Connection], bool],
) -> None:
    """Change it in the store, note who did, and take the change over here at once. `work` tells whether it was there.

    Raises NotFound for one that is gone, StoreUnavailable.
    """
    pool = gateway.accounts
    now = pool.now()

    def change(connection: Connection) -> None:
        from kirotrio.store import audit_rows
        from kirotrio.store.revisions import begin_change

        begin_change(connection)
        if not work(connection):
            raise NotFound(GONE)
        audit_rows.note(connection, visit.actor.entry(action, subject, now, detail))

    await pool.shared.database.write(change)
    await pool.look()


def _back(visit: Visit, form: Form) -> Runs:
    """To the page that the form stands on."""
    return redirect(visit, form("next") or LIST)


ROUTES = (
    changes(ONE + "/enable", enable, OWNERS),
    changes(ONE + "/disable", disable, OWNERS),
    changes(ONE + "/order", order, OWNERS),
    changes(ONE + "/lend", lend, OWNERS),
    changes(ONE + "/rename", rename, OWNERS),
    reads(ONE + "/remove", removal, OWNERS),
    changes(ONE + "/remove", remove, OWNERS),
)
