"""A book of accounts in which new ones are a user's, and in which a member sees their own alone."""

from __future__ import annotations

from collections.abc import Sequence

from kirotrio.accounts.bringing.signed import with_owner
from kirotrio.accounts.importing.book import AccountBook
from kirotrio.accounts.records import person_among
from kirotrio.classes import frozen
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.accounts import AlreadyThere


@frozen
class OwnedAccounts:
    """`owner_id` and `lent` are those of new accounts. `of`: the id of the user whose accounts alone are seen and
    changed, None for all. An account of somebody else is there, without its name."""

    book: AccountBook
    owner_id: str
    lent: bool
    of: str | None

    async def all(self) -> Sequence[AccountRecord]:
        return [record for record in await self.book.all() if self._sees(record)]

    async def known(self, token: str) -> str | None:
        name = await self.book.known(token)
        if name is None or any(record.name == name for record in await self.all()):
            return name
        return ""

    async def is_anothers(self, record: AccountRecord) -> bool:
        others = [known for known in await self.book.all() if not self._sees(known)]
        return person_among(others, record) is not None

    async def add(self, record: AccountRecord, *, former: str = "") -> AccountRecord:
        # What a refresh brought is kept, whoever's it is: the import sees to it.
        if not former and await self.is_anothers(record):
            raise AlreadyThere("")
        try:
            return await self.book.add(with_owner(record, self.owner_id, lent=self.lent), former=former)
        except AlreadyThere as error:
            raise AlreadyThere(error.name if error.name in {one.name for one in await self.all()} else "") from None

    async def change(
        self, record: AccountRecord, *, called: str = "", former: str = "", instead_of: str = ""
    ) -> AccountRecord | None:
        return await self.book.change(record, called=called, former=former, instead_of=instead_of)

    async def remove(self, account_id: str) -> None:
        await self.book.remove(account_id)

    def _sees(self, record: AccountRecord) -> bool:
        return self.of is None or record.owner_id == self.of
