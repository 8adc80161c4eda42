"""The accounts that a gateway may lend, and what is known of each.

Where settings name a sign-in, that one answers and no other. Else the accounts that the store keeps; and where it keeps
none, the first that the Kiro IDE or kiro-cli has left on this machine.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import trio
from attrs import field

from kirotrio.accounts.account import Account
from kirotrio.accounts.cooldowns import Cooldown, Cooldowns
from kirotrio.accounts.credential_json import checked_refresh_token
from kirotrio.accounts.finding import Finder
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.lending.choice import Choice
from kirotrio.accounts.lending.gate import Gate, GateLimits
from kirotrio.accounts.lending.members import Member, is_another, open_to
from kirotrio.accounts.lending.readiness import Readiness
from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.records import NAME_LENGTH, terms_of
from kirotrio.accounts.shared import Known, Shared, StoredSuccessors
from kirotrio.accounts.sources.kept import kept_source
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.sources.search import personal_source, turn_of
from kirotrio.accounts.sources.source import Source
from kirotrio.accounts.terms import Terms
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.accounts.worth.usage_book import UsageBook
from kirotrio.classes import define
from kirotrio.config.settings import Settings
from kirotrio.errors import AccountUnavailable, Blame, NotFound, PermissionDenied
from kirotrio.kiro.merging import merged
from kirotrio.kiro.models import Catalogue, ModelProfile
from kirotrio.store.account_record import AccountRecord
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from kirotrio.accounts.lending.colleagues import Colleagues


PERSONAL_ACCOUNTS = 256
"""How many sign-ins that came with requests are kept ready. One beyond that costs a look into the store and perhaps a
refresh when it comes back, no more: its successor lies there."""
SPREAD = 0.2
"""By how much of `accounts.refresh_ahead` refreshes are moved apart."""
_LASTING = (Blame.QUOTA, Blame.SUSPENDED, Blame.SUSPICIOUS, Blame.ACCESS, Blame.SIGN_IN)
"""What keeps an account from serving for longer than a moment."""


@define(eq=False)
class Pool:
    """All accounts of this gateway.

    `nursery` is the application's: refreshes run there, so it has to outlive all requests. `now` is the wall clock, in
    epoch seconds.
    """

    settings: Settings
    http: HttpCalls
    log: Log
    nursery: trio.Nursery
    shared: Shared
    places: Places
    models: ModelLists
    usage: UsageBook
    now: Callable[[], float] = time.time
    ids: dict[str, str] = field(factory=dict)
    """Ids of the accounts that the store keeps, by name; for `StoredSnapshots`."""
    colleagues: Colleagues | None = None
    """Other processes of the same gateway; None for one that is alone."""
    cooldowns: Cooldowns = field(init=False)
    choice: Choice = field(init=False)
    _kept: dict[str, Member] = field(factory=dict, init=False)
    """By id."""
    _found: Member | None = field(default=None, init=False)
    """The one that is used without being kept."""
    _personal: OrderedDict[str, Member] = field(factory=OrderedDict, init=False)
    _finding: trio.Lock = field(factory=trio.Lock, init=False)
    _in_step: trio.Lock = field(factory=trio.Lock, init=False)
    """What was read before a pause was written says nothing of it."""
    finder: Finder = field(init=False)
    _successors: StoredSuccessors = field(init=False)
    _revision: int | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.cooldowns = Cooldowns(self.settings.accounts)
        self.choice = Choice(self.settings.accounts.strategy)
        self._successors = StoredSuccessors(self.shared.database, self.shared.old_successors)
        self.finder = Finder(self.settings, self.places, self._successors)
        if self.colleagues is not None:
            self.cooldowns.met = self.colleagues.tell
            self.colleagues.listen(lambda news: self.cooldowns.hear(news, self.now()))
            self.choice.moved = self._bind

    # Who may serve

    async def members(self, wish: Wish) -> list[Member]:
        """Those that may serve this wish, switched off or paused ones among them; never empty.

        Raises NotFound for an account that there is not, PermissionDenied for one that the key may not use,
        AccountUnavailable where there is none at all.
        """
        if wish.credential is not None:
            if wish.account:
                raise NotFound("a request that brings its own sign-in along cannot name an account as well")
            return [self._lend_personal(wish.credential.strip())]
        members = open_to(wish.owner, await self._pool())
        if wish.account:
            members = [member for member in members if member.name == wish.account]
            if not members:
                raise NotFound(self._unknown(wish.account))
        if wish.allowed is not None:
            members = [member for member in members if member.name in wish.allowed]
            if not members:
                raise PermissionDenied(
                    "this key may not use that account" if wish.account else "no account is this key's"
                )
        return members

    def _unknown(self, name: str) -> str:
        name = name[:NAME_LENGTH]
        if setting := self.finder.named_by:
            return (
                f"the account {name!r} cannot answer while {setting} is set: the sign-in named there answers alone; "
                "take it out and start the gateway again"
            )
        return f"there is no account named {name!r}; `kirotrio accounts` lists those there are"

    async def _pool(self) -> list[Member]:
        if self._kept and not self.finder.is_named:
            return list(self._kept.values())
        return [await self._find()]

    async def _find(self) -> Member:
        """The one that is used without being kept; what is not found is looked for again the next time."""
        if self._found is not None and not self._found.account.gone:
            return self._found
        async with self._finding:
            found = self._found
            if found is not None and not found.account.gone:
                return found
            try:
                source = await self.finder.find()
            except AccountUnavailable:
                if found is None:
                    raise
                return found  # its token may be good for a while, and it knows best what to say
            if found is not None and found.account.where == source.where:
                found.account.gone = False  # it is back, and may even be refreshing
                return found
            terms = Terms.of(self.settings, profile_arn=self.settings.accounts.profile_arn)
            self._found = self._member(source.name, source, terms, turn_of(source))
            return self._found

    def _lend_personal(self, refresh_token: str) -> Member:
        checked_refresh_token(refresh_token, "the refresh token behind the gateway key")
        digest = hashlib.sha256(refresh_token.encode()).hexdigest()
        member = self._personal.get(digest)
        if member is None:
            name = f"personal-{digest[:8]}"
            source = personal_source(refresh_token, name, self._successors)
            member = self._member(name, source, Terms.of(self.settings), turn_of(source))
            self._personal[digest] = member
            self._forget_idle()
        self._personal.move_to_end(digest)
        return member

    def _forget_idle(self) -> None:
        """Down to the bound again, oldest first; one that is in use stays, or a second refresh could begin."""
        for digest, member in list(self._personal.items())[:-1]:
            if len(self._personal) <= PERSONAL_ACCOUNTS:
                return
            if not member.account.busy and not member.gate.busy and not member.gate.waiting:
                del self._personal[digest]
                self.cooldowns.forget(member.key)
                self._forget(member.name)

    def _member(
        self, name: str, source: Source, terms: Terms, turn: str, record: AccountRecord | None = None
    ) -> Member:
        account = Account(
            source,
            self.http,
            self.nursery,
            terms,
            self.log,
            name=name,
            turns=self.shared.turns(),
            turn=turn,
            spread=SPREAD * random.random(),  # noqa: S311 - only moves refreshes apart
            now=self.now,
        )
        key, limits = record.id if record is not None else name, self._limits(record)
        gate = Gate(limits, name) if self.colleagues is None else self.colleagues.gate(key, limits, name)
        return Member(key, account, gate, record)

    def _limits(self, record: AccountRecord | None) -> GateLimits:
        general = self.settings.accounts
        concurrent = record.max_concurrent if record is not None else None
        per_minute = record.per_minute if record is not None else None
        return GateLimits(
            general.max_concurrent if concurrent is None else concurrent,
            general.per_minute if per_minute is None else per_minute,
            general.max_queue,
        )

    # Together with other processes of this gateway

    async def recall_home(self, session: str, members: list[Member]) -> None:
        """Learn where a session is that another process may have served. Raises Overloaded where nobody can say."""
        if self.colleagues is None or not session:
            return
        if len(members) > 1 or any(self._is_suspected(member) for member in members):
            home = await self.colleagues.home(session)
            for member in members:
                if member.key == home:
                    self.choice.recall(session, member.name)

    def _bind(self, session: str, name: str) -> None:
        key = next((member.key for member in self.present() if member.name == name), "")
        if key and self.colleagues is not None:
            self.colleagues.bind(session, key)

    def _is_suspected(self, member: Member) -> bool:
        cooldown = self.cooldowns.against(member.key, "", self.now())
        return cooldown is not None and cooldown.blame is Blame.SUSPICIOUS

    # What is known

    def model_of(self, member: Member, name: str) -> ModelProfile:
        """The model that a client's name means on this account. Raises NotFound."""
        names = self.settings.models
        return self.models.known(member.name).resolve(name, aliases=names.alias, default=names.default)

    def known_models(self, wish: Wish) -> Catalogue:
        """What is known of the models without asking or looking anywhere."""
        if wish.credential is not None:
            return self.models.known("")
        kept = self._kept.values() if not self.finder.is_named else ()
        known = [member for member in (*kept, self._found) if member is not None and member.is_open_to(wish.owner)]
        named = [member for member in known if not wish.account or member.name == wish.account]
        return merged(self.models.known(member.name) for member in named) if named else self.models.known("")

    async def models_of(self, wish: Wish) -> Catalogue:
        """What the accounts that may serve this wish offer, asked for where that is old. Raises as `members`."""
        members = await self.members(wish)
        usable = [member for member in members if member.enabled and not self._lasting(member)] or members
        catalogues: list[Catalogue] = []

        async def ask(member: Member) -> None:
            catalogues.append(await self.models.current(member.name, member.account.credentials))

        async with trio.open_nursery() as nursery:
            for member in usable:
                nursery.start_soon(ask, member)
        return merged(catalogues)

    async def readiness(self) -> Readiness:
        """Whether anything can serve, as far as is known: nobody is asked and nothing is refreshed."""
        try:
            members = await self._pool()
        except AccountUnavailable:
            return Readiness.NO_ACCOUNT
        usable = any(member.enabled and not self._lasting(member) for member in members)
        return Readiness.READY if usable else Readiness.UNAVAILABLE

    def _lasting(self, member: Member) -> bool:
        cooldown = self.cooldowns.against(member.key, "", self.now())
        return cooldown is not None and cooldown.blame in _LASTING

    def accounts(self) -> list[Account]:
        """Of the members that are known now and may be used."""
        return [member.account for member in self.present() if member.enabled]

    async def seek(self) -> str:
        """Look for an account where none is known; "" or the sentence that says why there is none."""
        try:
            await self._pool()
        except AccountUnavailable as error:
            return error.message
        return ""

    def present(self) -> list[Member]:
        """The members that are known now, for what looks after them."""
        if self._kept and not self.finder.is_named:
            return list(self._kept.values())
        return [self._found] if self._found is not None else []

    def kept(self, account_id: str) -> Member | None:
        """The one of the store's accounts that has this id, also while a setting names a sign-in that answers alone."""
        return self._kept.get(account_id)

    def everyone(self) -> list[Member]:
        """The same, and those that came with requests."""
        return [*self.present(), *self._personal.values()]

    # Beside the store

    async def look(self) -> None:
        """Take over what was changed in the store. Raises StoreUnavailable; then everything goes on as it was."""
        async with self._in_step:
            known = await self.shared.known(self._revision)
            changed = self._adopt(known) if known is not None else []
        for member in changed:
            if await member.account.look():
                self.log.info("sign-in was changed elsewhere", account=member.name)

    async def write(self) -> None:
        """Write the pauses that are not yet in the store. Raises StoreUnavailable; they are written the next time."""
        async with self._in_step:
            changes = self.cooldowns.changes()
            kept = [change for change in changes if change.account in self._kept]
            if kept:
                await self.shared.write(kept, self.now())
            self.cooldowns.saved(changes)

    def _adopt(self, known: Known) -> list[Member]:
        """Those whose tokens were changed come back."""
        self._revision, written = known.revision, frozenset(self._kept)
        records = {record.id: record for record in known.records}
        for account_id in [account_id for account_id in self._kept if account_id not in records]:
            self._drop(account_id)
            self.cooldowns.forget(account_id)
        changed = [member for record in known.records if (member := self._keep(record)) is not None]
        self.ids.clear()
        self.ids.update({record.name: record.id for record in known.records})
        others = [(key, cooldown) for key, cooldown in self._own_cooldowns() if key not in records]
        self.cooldowns.load((*known.cooldowns, *others), self.now(), written=written & records.keys())
        return changed

    def _own_cooldowns(self) -> Iterable[tuple[str, Cooldown]]:
        for member in (self._found, *self._personal.values()):
            if member is not None:
                for cooldown in self.cooldowns.of(member.key, self.now()):
                    yield member.key, cooldown

    def _keep(self, record: AccountRecord) -> Member | None:
        member = self._kept.get(record.id)
        before = member.record if member is not None else None
        if member is None or before is None or is_another(before, record):
            if member is not None:
                if member.account.is_refreshing:
                    self._revision = None  # once that is done: two of one account would refresh at one time
                    return None
                self._drop(record.id)
            try:
                store, sealer = self.shared.database, self.shared.sealer
                source = kept_source(record, store, sealer, write_back=self.settings.accounts.write_back)
            except AccountUnavailable as error:
                self.log.error("account cannot be used", account=record.name, error=error.message)
                return None
            terms = terms_of(record, self.settings)
            self._kept[record.id] = self._member(record.name, source, terms, f"refresh:{record.id}", record)
            return None
        if before.name != record.name:
            self._rename(member, record)
        member.record = record
        member.account.terms = terms_of(record, self.settings)
        member.gate.limits = self._limits(record)
        return member if before.secrets != record.secrets else None

    def _forget(self, name: str) -> None:
        self.models.forget(name)
        self.usage.forget(name)
        self.choice.forget(name)

    def _rename(self, member: Member, record: AccountRecord) -> None:
        """Places, tokens and what is under way stay with it, and so do the sessions that it answers."""
        store, sealer = self.shared.database, self.shared.sealer
        self.choice.rename(member.name, record.name)
        self._forget(member.name)
        member.account.rename(
            record.name, kept_source(record, store, sealer, write_back=self.settings.accounts.write_back)
        )
        member.gate.rename(record.name)

    def _drop(self, account_id: str) -> None:
        """Requests that it is answering go on to their end."""
        member = self._kept.pop(account_id)
        member.gone = True
        self._forget(member.name)

    def is_kept_fresh(self, member: Member) -> bool:
        """Whether its token shall be refreshed ahead of time."""
        cooldown = self.cooldowns.against(member.key, "", self.now())
        return member.enabled and not (cooldown is not None and cooldown.needs_person)
