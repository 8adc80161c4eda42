"""The import itself: what is there already is told apart, the rest is checked, at most three at a time, and kept.

Whatever order the checks end in, accounts are settled in that of the documents: so are they named, and so is the second
of two of one person told so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import attrs
import trio
from attrs import field

from kirotrio.accounts.credential import ApiKey, Credential, Refreshable
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.importing.book import AccountBook, Rehearsal
from kirotrio.accounts.importing.checking import Check, Checked, Health
from kirotrio.accounts.importing.entries import Entry, Refusal, default_name
from kirotrio.accounts.importing.report import EntryReport, ImportReport, Outcome
from kirotrio.accounts.records import (
    free_name,
    kind_of,
    person_among,
    record_of,
    secret_of,
    terms_of,
    with_credential,
)
from kirotrio.accounts.sources.kept import followed_tokens
from kirotrio.classes import define
from kirotrio.config.settings import Settings
from kirotrio.errors import Blame, KirotrioError, SettingsError, StoreUnavailable
from kirotrio.store.accounts import AccountRecord, AlreadyThere

AT_A_TIME: Final = 3
"""Sign-ins that are checked at one time."""
_TRIES: Final = 3
_ANOTHERS: Final = (
    "it is an account already that is not yours here, so it was switched off (an operator can give you that one)"
)
_PAUSE: Final = 1.0
"""Seconds between two tries to keep rotated tokens in a store that does not answer."""


@define
class _Case:
    """One account on its way. `kept` is its row once there is one; `whose` an account that is known to be the same
    person's and to need new tokens. `before` is set once all that stand before it are settled, `settled` when it is.
    """

    entry: Entry
    record: AccountRecord
    before: trio.Event
    settled: trio.Event = field(factory=trio.Event)
    kept: AccountRecord | None = None
    whose: AccountRecord | None = None


class Import:
    """One run over the items of one or several documents. `now`: the wall clock, in epoch seconds.

    `dry_run`: nothing is written, and nothing is called that rotates a token. Without `check` nothing is called at all.
    """

    def __init__(
        self,
        items: Sequence[Entry | Refusal],
        book: AccountBook,
        http: HttpCalls,
        settings: Settings,
        *,
        dry_run: bool = False,
        check: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._items = items
        self._book: AccountBook = Rehearsal(book) if dry_run else book
        self._settings = settings
        self._check = Check(http, settings, now) if check else None
        self._dry_run = dry_run
        self._now = now
        self._places = trio.Semaphore(AT_A_TIME)
        self._turn = trio.Lock()
        self._records: dict[str, AccountRecord] = {}
        self._followed: dict[str, str] = {}
        self._told: list[EntryReport | None] = [None] * len(items)
        self._failure: KirotrioError | None = None

    @property
    def report(self) -> ImportReport:
        """What has become of everything so far; all of it once `run` has returned."""
        undone = (told or _undone(item) for told, item in zip(self._told, self._items, strict=True))
        return ImportReport(tuple(undone), self._dry_run)

    async def run(self) -> ImportReport:
        """Raises StoreUnavailable or SettingsError where the store cannot be used; what was kept until then stays.

        Cancellation ends it soon: a refresh under way is finished and what it brought is kept.
        """
        self._records = {record.id: record for record in await self._book.all()}
        self._followed = await followed_tokens(self._records.values())
        first: dict[str, int] = {}
        under_way: list[_Case] = []
        before = trio.Event()
        before.set()
        async with trio.open_nursery() as nursery:
            for index, item in enumerate(self._items):
                if isinstance(item, Refusal):
                    self._told[index] = EntryReport(item.source, item.path, Outcome.REFUSED, item.name, "", item.reason)
                    continue
                token = secret_of(item.credential)
                if token in first:
                    where = _where(self._items[first[token]])
                    self._tell(index, Outcome.ALREADY_THERE, "", f"the same sign-in as {where}")
                    continue
                first[token] = index
                await self._places.acquire()
                under_way = [case for case in under_way if not case.settled.is_set()]
                case = await self._new(index, item, token, before, [case.record.name for case in under_way])
                if case is None:
                    self._places.release()
                    continue
                before = case.settled
                under_way.append(case)
                nursery.start_soon(self._take, index, case, nursery.cancel_scope)
        if self._failure is not None:
            raise self._failure
        return self.report

    async def _new(
        self, index: int, entry: Entry, token: str, before: trio.Event, names: Collection[str]
    ) -> _Case | None:
        """None where no call is needed to tell that it is there already. `names` are those of the ones under way."""
        name = await self._book.known(token)
        name = self._followed.get(token) if name is None else name
        if name is None and entry.follows:
            name = next((known.name for known in self._records.values() if known.follows == entry.follows), None)
        if name is not None:
            known = next((record for record in self._records.values() if record.name == name), None)
            self._tell(index, Outcome.ALREADY_THERE, name, _hint(known) if known is not None else "")
            return None
        record = self._record(entry)
        same = person_among(self._records.values(), record)
        if same is not None and not self._takes(same, entry.credential, Health.GOOD):
            self._tell(index, Outcome.ALREADY_THERE, same.name, _why_not(same))
            return None
        # One that is kept before those ahead of it are settled leaves them the smaller numbers.
        taken = {*names, *(known.name for known in self._records.values())}
        return _Case(entry, attrs.evolve(record, name=free_name(record.name, taken)), before, whose=same)

    async def _take(self, index: int, case: _Case, everything: trio.CancelScope) -> None:
        entry = case.entry

        async def keep(fresh: Refreshable) -> None:
            await self._keep_rotated(index, case, fresh)

        try:
            checked = Checked(Health.UNCHECKED, entry.credential, "not checked")
            if self._check is not None:
                terms = terms_of(case.record, self._settings)
                may_refresh = not (self._dry_run or entry.follows)
                checked = await self._check(entry.credential, terms, keep, may_refresh=may_refresh)
            await case.before.wait()
            async with self._turn:
                await self._settle(index, case, checked)
        except AlreadyThere as error:
            self._tell(index, Outcome.ALREADY_THERE, error.name, "")
        except SettingsError as error:
            self._tell(index, Outcome.REFUSED, _named(case.entry), error.message)
        except StoreUnavailable as error:
            self._failure = self._failure or error
            everything.cancel()
        finally:
            case.settled.set()
            self._places.release()

    async def _keep_rotated(self, index: int, case: _Case, fresh: Refreshable) -> None:
        """What a refresh brought, kept before anything else happens. Called in a shield."""
        async with self._turn:
            kept = await self._kept(case, fresh, tries=_TRIES)
            case.kept = self._records[kept.id] = kept
        outcome = Outcome.RENEWED if case.whose is not None else Outcome.IMPORTED
        self._tell(index, outcome, kept.name, "kept with its new tokens; whose it is was not asked any more")

    async def _kept(self, case: _Case, fresh: Refreshable, *, tries: int) -> AccountRecord:
        former = secret_of(case.entry.credential)
        try:
            kept = None
            if case.whose is not None:
                kept = await self._change(_renewed(case.whose, case.entry, case.record, fresh), former=former)
            return kept or await self._book.add(with_credential(case.record, fresh), former=former)
        except StoreUnavailable:
            if tries == 1:
                raise
        await trio.sleep(_PAUSE)
        return await self._kept(case, fresh, tries=tries - 1)

    async def _settle(self, index: int, case: _Case, checked: Checked) -> None:
        """Decide what it is, and keep it. One at a time, so that of two of one person the second is told so."""
        if checked.health is Health.REFUSED:
            self._tell(index, Outcome.REFUSED, _named(case.entry), checked.reason)
            return
        found = with_credential(case.kept or case.record, checked.credential)
        found = attrs.evolve(
            found,
            email=checked.email or found.email,
            user_id=checked.user_id or found.user_id,
            **_mark(checked, self._now()),
        )
        if case.whose is not None and case.kept is not None:
            await self._keep(index, case, found, checked)
            return
        same = person_among(self._records.values(), found) or case.whose
        if same is None:
            await self._keep(index, case, found, checked)
            return
        good = checked.health is Health.GOOD
        # A refresh has used the document's own copy up: what came of it must not be lost.
        used_up = case.kept is not None and not same.follows
        if used_up or self._takes(same, checked.credential, checked.health):
            await self._change(
                _renewed(same, case.entry, found, checked.credential),
                former=secret_of(case.entry.credential) if case.kept is not None else "",
                instead_of=case.kept.id if case.kept is not None else "",
            )
            self._tell(index, Outcome.RENEWED, same.name, _what_changed(same, found), good)
            return
        if case.kept is not None:
            await self._book.remove(case.kept.id)
            self._records.pop(case.kept.id, None)
        self._tell(index, Outcome.ALREADY_THERE, same.name, _why_not(same), good)

    async def _keep(self, index: int, case: _Case, found: AccountRecord, checked: Checked) -> None:
        told = [*case.entry.notes, checked.reason]
        if case.kept is not None and case.whose is None and await self._book.is_anothers(found):
            # Whose it is showed when its refresh had used the document's own copy up, so that these tokens must not be
            # lost; but nobody's subscription is to answer as two accounts unasked.
            found = attrs.evolve(found, enabled=False)
            told.append(_ANOTHERS)
        detail = "; ".join(filter(None, told))
        if case.kept is None:
            found = attrs.evolve(found, name=_called(case.entry, found, checked.credential))
            kept = await self._book.add(found)
            self._records[kept.id] = kept
            outcome = Outcome.IMPORTED
        else:
            called = "" if case.whose is not None else _called(case.entry, found, checked.credential)
            kept = await self._change(found, called=called) or found
            outcome = Outcome.RENEWED if case.whose is not None else Outcome.IMPORTED
        self._tell(index, outcome, kept.name, detail, checked.health is Health.GOOD, kept.kind)

    async def _change(
        self, record: AccountRecord, *, called: str = "", former: str = "", instead_of: str = ""
    ) -> AccountRecord | None:
        changed = await self._book.change(record, called=called, former=former, instead_of=instead_of)
        self._records.pop(instead_of, None)
        if changed is not None:
            self._records[changed.id] = changed
        return changed

    def _record(self, entry: Entry) -> AccountRecord:
        record = record_of(
            _called(entry),
            entry.credential,
            email=entry.email,
            user_id=entry.user_id,
            proxy_url=entry.proxy_url,
            follows=entry.follows,
            created_at=self._now(),
        )
        priority = record.priority if entry.priority is None else entry.priority
        return attrs.evolve(record, region=entry.region, priority=priority, enabled=entry.enabled)

    def _takes(self, same: AccountRecord, credential: Credential, health: Health) -> bool:
        """Whether an account that is there shall have these tokens: it does not serve, or follows a place whose own are
        older, and these are good or at least newer."""
        ends = None if isinstance(credential, ApiKey) else credential.expires_at
        newer = ends is not None and ends > (same.expires_at or 0.0)
        return bool(same.mark or same.follows) and (newer or (bool(same.mark) and health is Health.GOOD))

    def _tell(
        self, index: int, outcome: Outcome, account: str, detail: str, checked: bool = False, kind: str = ""
    ) -> None:
        """`kind`: where it is better known than from the document."""
        item = self._items[index]
        if not kind and isinstance(item, Entry):
            kind = kind_of(item.credential)
        self._told[index] = EntryReport(item.source, item.path, outcome, account, kind, detail, checked)


def _called(entry: Entry, record: AccountRecord | None = None, credential: Credential | None = None) -> str:
    """What the account shall be called: as it was, else after its person, else after its kind. `record` and
    `credential`: as it is known after the check."""
    email = record.email if record is not None else ""
    return entry.name or entry.email or email or default_name(credential or entry.credential)


def _named(entry: Entry) -> str:
    """What tells an account from the others that has none here: never the name of a kind, which another one may get."""
    wanted = entry.name or entry.email
    return free_name(wanted, ()) if wanted else ""


def _renewed(same: AccountRecord, entry: Entry, found: AccountRecord, credential: Credential) -> AccountRecord:
    """An account that is there, with these tokens in place of its own. Its name and settings stay."""
    renewed = with_credential(attrs.evolve(same, follows=entry.follows), credential)
    return attrs.evolve(
        renewed,
        email=found.email or same.email,
        user_id=found.user_id or same.user_id,
        profile_arn=renewed.profile_arn or same.profile_arn,
        mark=found.mark,
        mark_reason=found.mark_reason,
        marked_at=found.marked_at,
    )


def _mark(checked: Checked, now: float) -> dict[str, Any]:
    if checked.health is not Health.SUSPENDED:
        return {}
    return {"mark": Blame.SUSPENDED.value, "mark_reason": checked.reason, "marked_at": now}


def _what_changed(same: AccountRecord, found: AccountRecord) -> str:
    told = "it has taken these tokens, which are newer"
    if same.mark and not found.mark:
        told += f"; its mark ({same.mark}) is cleared"
    if same.follows and not found.follows:
        told += "; it no longer follows another program's store"
    return f"{told}; {found.mark_reason}" if found.mark else told


def _why_not(same: AccountRecord) -> str:
    if same.follows:
        return "the same person's; it goes on with the tokens of the store that it follows"
    return "the same person's"


def _hint(known: AccountRecord) -> str:
    return f"it does not serve at present; run `kirotrio login --again {known.name}`" if known.mark else ""


def _where(item: Entry | Refusal) -> str:
    return f"{item.source}: {item.path}" if item.path else item.source


def _undone(item: Entry | Refusal) -> EntryReport:
    if isinstance(item, Refusal):
        return EntryReport(item.source, item.path, Outcome.REFUSED, item.name, "", item.reason)
    return EntryReport(
        item.source, item.path, Outcome.UNDONE, _named(item), kind_of(item.credential), "interrupted; import again"
    )
