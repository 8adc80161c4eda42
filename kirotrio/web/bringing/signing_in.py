"""A sign-in from the console, from its first call to the account with its plan."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import trio
from attrs import evolve, field

from kirotrio.access.audit import Actor
from kirotrio.accounts.bringing.sentences import for_page
from kirotrio.accounts.bringing.signed import account_of, put, with_owner
from kirotrio.accounts.keeping import AnotherPerson, Kept
from kirotrio.accounts.profiles import Profile
from kirotrio.accounts.records import free_name, own_proxy
from kirotrio.accounts.sign_in import SignedIn, SignInFailed, SignInPlan, sign_in
from kirotrio.accounts.worth.usage import read_document
from kirotrio.classes import frozen
from kirotrio.errors import DeadlineExceeded, KirotrioError, PermissionDenied, UpstreamFailed
from kirotrio.store.account_record import AccountRecord
from kirotrio.web.bringing.tasks import Task
from kirotrio.web.gateway import Gateway

if TYPE_CHECKING:
    from sqlalchemy import Connection


@frozen
class Bringer:
    """Who brings accounts, and whose new ones shall be: `owner_id` "" for the team's. `of` as in `keep_sign_in`."""

    actor: Actor
    owner_id: str
    lent: bool
    of: str | None

    def check(self, connection: Connection) -> None:
        """Raises PermissionDenied for somebody who may do this no more since it was begun."""
        from kirotrio.store import user_rows

        user = user_rows.find(connection, self.actor.id)
        roles = ("operator",) if self.of is None else ("operator", "member")
        if user is None or not user.is_active or user.role not in roles:
            raise PermissionDenied("you may not bring this account any more, so it was not kept")

    def note(self, now: float) -> Callable[[Connection, str, str, Mapping[str, Any]], None]:
        def note(connection: Connection, action: str, name: str, detail: Mapping[str, Any]) -> None:
            from kirotrio.store import audit_rows

            audit_rows.note(connection, self.actor.entry(action, name, now, detail))

        return note


@frozen
class SignInOrder:
    """What was asked for. `name` is "" for one made of the person; `there` the account that signs in anew."""

    plan: SignInPlan = field(repr=False)
    bringer: Bringer
    name: str = ""
    there: AccountRecord | None = None


async def bring_sign_in(gateway: Gateway, order: SignInOrder, task: Task) -> None:
    """Sign in, keep it, and have this gateway lend it. Raises KirotrioError with what to do."""
    pool, there = gateway.accounts, order.there
    await _prove_keeping(gateway)
    prompt = _PagePrompt(task, gateway.settings.deadlines.login, there.profile_arn if there else "")
    proxy = there.secrets.proxy_url if there else ""
    try:
        signed = await sign_in(
            order.plan, prompt, pool.http, gateway.settings, proxy_url=own_proxy(proxy), now=pool.now
        )
    except SignInFailed as error:
        raise SignInFailed(for_page(error.message), error.reason) from None
    except (UpstreamFailed, DeadlineExceeded) as error:
        raise UpstreamFailed(for_page(error.message), upstream_status=error.upstream_status) from None
    task.show("keeping")
    kept = await _keep(gateway, order, signed, task)
    task.end("done", account=_told(kept, signed))


async def _prove_keeping(gateway: Gateway) -> None:
    """That a secret can be kept, before somebody signs in for nothing."""
    sealer = gateway.accounts.shared.sealer

    def probe(connection: Connection) -> None:
        from kirotrio.store.sealing import seal_in

        seal_in(connection, sealer, b"", "probe")

    await gateway.accounts.shared.database.write(probe)


async def _keep(gateway: Gateway, order: SignInOrder, signed: SignedIn, task: Task) -> Kept:
    """A person is asked before a sign-in goes to another account than the one that was named."""
    again = order.there.name if order.there else ""
    try:
        return await _put(gateway, order, signed, again)
    except AnotherPerson as error:
        seconds = gateway.settings.deadlines.login
        answer = await task.ask("person", ("yes", "no"), seconds, what=error.what, name=error.name, meant=again)
        if answer == "no":
            raise AnotherPerson(error.what, "nothing was kept", error.name) from None
    task.show("keeping")
    return await _put(gateway, evolve(order, there=None), signed, "")


async def _put(gateway: Gateway, order: SignInOrder, signed: SignedIn, again: str) -> Kept:
    store, bringer = gateway.accounts.shared, order.bringer
    note = bringer.note(gateway.accounts.now())
    proxy = order.there.secrets.proxy_url if order.there else ""
    email = shown(signed.email)

    def work(connection: Connection) -> Kept:
        from kirotrio.store.accounts import names

        bringer.check(connection)
        taken = names(connection)
        name = free_name(order.name, taken) if order.name else ""
        record = account_of(signed, order.plan, taken, name=name, email=email, proxy_url=proxy)
        record = with_owner(record, bringer.owner_id, lent=bringer.lent)
        return put(connection, store.sealer, record, signed, note, again=again, of=bringer.of)

    # Whoever cancels now would not know whether it was kept; each step has the database's own deadline.
    with trio.CancelScope(shield=True):
        kept = await store.database.write(work)
        with contextlib.suppress(KirotrioError):  # it is kept; the pool looks again by itself
            await gateway.accounts.look()
    return kept


def _told(kept: Kept, signed: SignedIn) -> dict[str, Any]:
    """The account with its plan, for the page."""
    usage = read_document(signed.usage, signed.usage_at) if signed.usage is not None else None
    record = kept.record
    return {
        "id": record.id,
        "name": record.name,
        "kind": record.kind,
        "email": record.email,
        "how": kept.how,
        "enabled": record.enabled,
        "plan": shown(signed.plan),
        "used": usage.used if usage else None,
        "limit": usage.limit if usage else None,
    }


def shown(text: str) -> str:
    """`text` of another party without what cannot be seen, so that the command line may show it, too."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)[:320]


class _PagePrompt:
    """A `sign_in.Prompt` whose person looks at a page."""

    def __init__(self, task: Task, patience: float, before: str) -> None:
        self._task = task
        self._patience = patience
        self._before = before

    def code(self, user_code: str, address: str, complete_address: str, seconds: float) -> None:
        self._task.show(
            "code", user_code=user_code, address=address, complete=complete_address, until=time.time() + seconds
        )

    def browser(self, address: str, seconds: float, came_back: Callable[[str], bool]) -> None:
        def take(answer: str) -> str:
            return (
                "" if came_back(answer) else "this is not the address that this sign-in ends at; copy the whole of it"
            )

        self._task.show("address", takes=take, address=address, until=time.time() + seconds)

    def waiting(self, note: str) -> None:
        self._task.note(shown(for_page(note)))

    async def choose_profile(self, profiles: Sequence[Profile]) -> Profile:
        by_arn = {profile.arn: profile for profile in profiles}
        told = [
            {"arn": profile.arn, "name": shown(profile.name), "status": "" if profile.active else profile.status}
            for profile in profiles
        ]
        answer = await self._task.ask("profile", by_arn, self._patience, profiles=told, before=self._before)
        self._task.show("asking")
        return by_arn[answer]
