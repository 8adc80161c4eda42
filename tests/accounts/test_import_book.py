"""Imported accounts in the store's own tables, on each engine: every step is whole."""

from __future__ import annotations

import attrs
import pytest
from support.engines import PlainSealer
from support.sign_in_service import refresh_token

from kirotrio.accounts.credential import Social
from kirotrio.accounts.importing.book import Rehearsal, StoredAccounts
from kirotrio.accounts.records import record_of, with_credential
from kirotrio.errors import SettingsError
from kirotrio.store.accounts import AlreadyThere
from kirotrio.store.database import Database

FIRST, SECOND, THIRD, FOURTH = (refresh_token(name) for name in ("first", "second", "third", "fourth"))


@pytest.fixture
def notes() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def book(database: Database, sealer: PlainSealer, notes: list[tuple[str, str]]) -> StoredAccounts:
    return StoredAccounts(database, sealer, lambda _, action, name, detail: notes.append((action, name)))


def social(token: str) -> Social:
    return Social(refresh_token=token, access_token=f"access of {token[:20]}", expires_at=1.9e9, provider="Google")


async def test_an_account_takes_a_free_name_and_is_known_by_both_its_tokens(book: StoredAccounts) -> None:
    added = await book.add(record_of("work", social(SECOND)), former=FIRST)
    other = await book.add(record_of("work", social(THIRD)))
    assert [added.name, other.name] == ["work", "work-2"]
    assert [await book.known(token) for token in (FIRST, SECOND, THIRD, FOURTH)] == ["work", "work", "work-2", None]
    held = {record.name: record.secrets.refresh_token for record in await book.all()}
    assert held == {"work": SECOND, "work-2": THIRD}, "the token that was replaced is kept in place of its successor"


@pytest.mark.parametrize("former", ["", SECOND])
async def test_a_token_that_is_known_is_not_added_again(book: StoredAccounts, former: str) -> None:
    await book.add(record_of("work", social(SECOND)))
    with pytest.raises(AlreadyThere) as caught:
        await book.add(record_of("again", social(THIRD if former else SECOND)), former=former)
    assert caught.value.name == "work"
    assert [record.name for record in await book.all()] == ["work"], "half of a step was done"


async def test_an_account_takes_the_place_of_another_with_all_that_is_known_of_it(book: StoredAccounts) -> None:
    old = await book.add(attrs.evolve(record_of("work", social(FIRST)), mark="sign_in", priority=3))
    new = await book.add(record_of("Google", social(THIRD)), former=SECOND)
    merged = attrs.evolve(with_credential(old, social(THIRD)), mark="", email="a@b.c")
    changed = await book.change(merged, former=SECOND, instead_of=new.id)
    assert changed is not None
    (held,) = await book.all()
    assert (held.id, held.name, held.mark, held.priority, held.email) == (old.id, "work", "", 3, "a@b.c")
    assert held.secrets.refresh_token == THIRD
    assert [await book.known(token) for token in (FIRST, SECOND, THIRD)] == ["work"] * 3


async def test_a_change_that_cannot_be_made_leaves_everything(book: StoredAccounts) -> None:
    old = await book.add(record_of("work", social(FIRST)))
    new = await book.add(record_of("Google", social(SECOND)))
    with pytest.raises(SettingsError):
        await book.change(attrs.evolve(old, provider="x" * 500), instead_of=new.id)
    assert [record.name for record in await book.all()] == ["Google", "work"]


async def test_a_better_name_is_free_too(book: StoredAccounts) -> None:
    await book.add(record_of("ann", social(FIRST)))
    new = await book.add(record_of("Google", social(SECOND)))
    changed = await book.change(new, called="ann@example.org")
    assert changed is not None
    assert changed.name == "ann-2"
    same = await book.change(changed, called="ann-2")
    assert same is not None
    assert same.name == "ann-2", "its own name counts as taken"
    await book.remove(new.id)
    assert await book.change(changed) is None


async def test_a_rehearsal_changes_nothing(book: StoredAccounts) -> None:
    old = await book.add(record_of("work", social(FIRST)))
    rehearsal = Rehearsal(book)
    assert (await rehearsal.add(record_of("work", social(SECOND)))).name == "work-2"
    await rehearsal.change(attrs.evolve(old, email="a@b.c"))
    assert [record.name for record in await rehearsal.all()] == ["work", "work-2"]
    assert await rehearsal.known(FIRST) == "work"
    assert await book.all() == [old]


async def test_each_change_is_noted_once(book: StoredAccounts, notes: list[tuple[str, str]]) -> None:
    added = await book.add(record_of("new", social(SECOND)), former=FIRST)
    await book.change(with_credential(added, social(THIRD)))
    assert notes == [("account.import", "new")], "what the same import does to it is the same import"
    await book.change(added, called="work")
    again = attrs.evolve(book)  # another import
    work = (await again.all())[0]
    await again.change(work)
    await again.remove(work.id)
    await again.remove(work.id)
    assert notes[1:] == [("account.rename", "work"), ("account.renew", "work"), ("account.remove", "work")]


async def test_a_step_that_fails_notes_nothing(book: StoredAccounts, notes: list[tuple[str, str]]) -> None:
    await book.add(record_of("work", social(FIRST)))
    with pytest.raises(AlreadyThere):
        await book.add(record_of("other", social(FIRST)))
    assert [name for _, name in notes][:1] == ["work"]
