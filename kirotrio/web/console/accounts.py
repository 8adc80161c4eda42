"""Whose subscriptions answer: how each is, what it has left, what it was asked.

Operators see all accounts, members those that they brought, viewers all of them without changing any.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kirotrio.accounts.records import followed_place
from kirotrio.errors import NotFound, Overloaded, StoreUnavailable
from kirotrio.store.account_record import ListedAccount
from kirotrio.store.listing import Listed, Listing
from kirotrio.store.request_record import ShownRequest
from kirotrio.store.user_record import Role
from kirotrio.web import live
from kirotrio.web.console.account_states import STATES, found_account, kept_account
from kirotrio.web.console.bringing import choices as ways_to_bring
from kirotrio.web.console.form_problems import NOTHING, Problem
from kirotrio.web.console.forms import Form, entered
from kirotrio.web.console.guarding import reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.live import Live
from kirotrio.web.console.pages import environment, page, size, words
from kirotrio.web.console.visit import EVERYONE, OPERATOR, OWNERS, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.store.account_pages import Choices
    from kirotrio.web.bringing.tasks import View

LIST: Final = "/console/accounts"
ONE: Final = LIST + "/<account_id>"
GONE: Final = N_("there is no such account; it may have been removed")
_FILTERS: Final = ("state", "plan", "owner", "lent")
_LENT: Final = {"yes": N_("Lent to the team"), "no": N_("Private")}
_EVERY: Final = 2.0
"""Seconds between two looks at what changes."""
_LATEST: Final = 10
"""Requests that the page of one account shows."""
_COLUMNS: Final = (
    Column(N_("Name"), "name"),
    Column(N_("State"), "state"),
    Column(N_("Plan"), "plan"),
    Column(N_("Credits left"), "left", number=True),
    Column(N_("Reset"), "reset"),
    Column(N_("Running now"), number=True),
    Column(N_("Order"), "order", number=True),
    Column(N_("Last used"), "last_used"),
)


async def show_all(gateway: Gateway, visit: Visit) -> Runs:
    pool, owner_id = gateway.accounts, owner_of(visit)
    listing = listing_of(visit, filters=_FILTERS)
    listed, choices = await _read(gateway, listing, owner_id)
    running = await _running(gateway)
    rows = tuple(kept_account(pool, one, _of(running, one.record.id)) for one in listed.rows)
    found = [
        found_account(pool, member, _of(running, member.key))
        for member in pool.present()
        if member.record is None and owner_id is None
    ]
    may_change = visit.may(OWNERS)
    view = ListView(
        LIST,
        Listed(rows, listed.total, listing),
        (*_COLUMNS, Column("")) if may_change else _COLUMNS,
        _filters(visit, choices),
    )
    return page(
        gateway,
        visit,
        "accounts.html",
        view=view,
        found=found,
        alone=pool.finder.named_by if pool.finder.is_named else "",
        may_change=may_change,
        bring=ways_to_bring(visit),
        under_way=await _under_way(gateway, visit) if may_change else (),
        live_address=view.address().replace(LIST, LIST + "/events", 1),
    )


async def _under_way(gateway: Gateway, visit: Visit) -> list[View]:
    """This visitor's sign-ins and imports that run, so that one whose page was closed is found again."""
    try:
        return [one for one in await gateway.bringing.of(visit.user.id) if one.running]
    except (Overloaded, StoreUnavailable):  # where they cannot be asked for, the list of accounts is shown all the same
        return []


async def events(gateway: Gateway, visit: Visit) -> Runs:
    """The state of each account of a page of the list, and how many requests it is answering, as they change.

    Which accounts the page has is read once: what is told afterwards is what the pool knows of them.
    """
    pool = gateway.accounts
    listed, _ = await _read(gateway, listing_of(visit, filters=_FILTERS), owner_of(visit))
    template = environment().get_template("account_state.html")
    spoken = partial(words, visit.speech)

    async def tell() -> dict[str, str]:
        running, told = await _running(gateway), {}
        for one in listed.rows:
            member = pool.kept(one.record.id)
            if member is not None and member.record is not None:
                one = ListedAccount(member.record, one.owner, one.worth, one.last_used_at)
            shown = kept_account(pool, one, _of(running, one.record.id))
            told[f"state-{shown.id}"] = template.render(_=visit.speech, words=spoken, state=shown.state).strip()
            told[f"running-{shown.id}"] = size(shown.running)
        return told

    return Live(gateway, visit, tell, _EVERY)


async def show_one(
    gateway: Gateway, visit: Visit, account_id: str, problem: Problem = NOTHING, form: Form | None = None
) -> Runs:
    """`form`: what was entered, where there is a problem with it."""
    pool = gateway.accounts
    listed, latest = await _read_one(gateway, visit, account_id)
    member = pool.kept(account_id)
    usage = pool.usage.known(listed.record.name) if member is not None else None
    return page(
        gateway,
        visit,
        "account.html",
        status=400 if problem else 200,
        row=kept_account(pool, listed, _of(await _running(gateway), account_id)),
        record=listed.record,
        usage=usage,
        follows=followed_place(listed.record) if listed.record.follows else "",
        limits=None if member is None else member.gate.limits,
        latest=latest,
        may_change=visit.may(OWNERS),
        problem=problem,
        entered=entered(form, name=listed.record.name, priority=str(listed.record.priority)),
    )


async def find(gateway: Gateway, visit: Visit, account_id: str) -> ListedAccount:
    """Raises NotFound for an account that is not kept here, and for somebody else's."""
    owner_id = owner_of(visit)

    def work(connection: Connection) -> ListedAccount | None:
        from kirotrio.store import account_pages

        return account_pages.find(connection, account_id, owner_id)

    found = await gateway.accounts.shared.database.read(work)
    if found is None:
        raise NotFound(GONE)
    return found


def owner_of(visit: Visit) -> str | None:
    """Whose accounts this visit may see; None: everybody's."""
    return visit.user.id if visit.user.role is Role.MEMBER else None


async def _read(gateway: Gateway, listing: Listing, owner_id: str | None) -> tuple[Listed[ListedAccount], Choices]:
    """A page. What was met here and is not yet written is written first: the database sorts and filters by it."""
    pool = gateway.accounts
    await pool.write()

    def work(connection: Connection) -> tuple[Listed[ListedAccount], Choices]:
        from kirotrio.store import account_pages

        listed = account_pages.page(connection, listing, pool.now(), owner_id)
        return listed, account_pages.choices(connection, owner_id)

    found = await pool.shared.database.read(work)
    await pool.look()
    return found


async def _read_one(
    gateway: Gateway, visit: Visit, account_id: str
) -> tuple[ListedAccount, Listed[ShownRequest] | None]:
    """The account and its latest requests: all of them for an operator, a member's own, none for a viewer."""
    listed = await find(gateway, visit, account_id)
    if not visit.may(OWNERS):
        return listed, None
    whose = None if visit.may(OPERATOR) else visit.user.id
    wanted = Listing(size=_LATEST, filters={"account": listed.record.name})

    def work(connection: Connection) -> Listed[ShownRequest]:
        from kirotrio.store import request_rows

        return request_rows.page(connection, wanted, whose)

    return listed, await gateway.accounts.shared.database.read(work)


async def _running(gateway: Gateway) -> dict[str, int] | None:
    """How many requests each account is answering in all processes of this gateway, by key; None where they do not
    tell."""
    try:
        return await live.busy(gateway)
    except Overloaded:
        return None


def _of(running: dict[str, int] | None, key: str) -> int | None:
    return None if running is None else running.get(key, 0)


def _filters(visit: Visit, choices: Choices) -> tuple[Filter, ...]:
    from kirotrio.store.account_pages import GATEWAY

    plans = {plan: plan for plan in choices.plans}
    found = [Filter("state", N_("State"), STATES), *([Filter("plan", N_("Plan"), plans)] if plans else [])]
    if owner_of(visit) is None:
        owners: dict[str, Any] = {GATEWAY: N_("The gateway"), **choices.owners}
        found.append(Filter("owner", N_("Owner"), owners))
    return (*found, Filter("lent", N_("Used by"), _LENT))


ROUTES = (
    reads(LIST, show_all, EVERYONE),
    reads(LIST + "/events", events, EVERYONE),
    reads(ONE, show_one, EVERYONE),
)
