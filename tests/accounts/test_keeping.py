"""One person is one account, however often and by whatever way he signs in."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from kirotrio.accounts.credential import ApiKey, Oidc, Social
from kirotrio.accounts.keeping import AnotherPerson, Kept, keep_sign_in
from kirotrio.accounts.records import following, record_of
from kirotrio.errors import SettingsError
from kirotrio.store import accounts as rows
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.database import Database
from kirotrio.store.sealing import Sealer


@pytest.fixture
def keep(database: Database, sealer: Sealer) -> Any:
    def keep(record: AccountRecord, *, again: str = "") -> Kept:
        return database.writing(lambda connection: keep_sign_in(connection, sealer, record, again=again))

    return keep


def signed(name: str, token: str, **changes: Any) -> AccountRecord:
    follows = changes.pop("follows", "")
    record = record_of(name, Social(refresh_token=token, provider="Google"), follows=follows)
    return attrs.evolve(record, **changes)


def there(database: Database, sealer: Sealer) -> dict[str, AccountRecord]:
    return {record.name: record for record in database.reading(lambda c: rows.all_accounts(c, sealer))}


def test_a_new_person_is_a_new_account(keep: Any, database: Database, sealer: Sealer) -> None:
    assert keep(signed("a", "t1", email="a@x")).how == "added"
    assert keep(signed("b", "t2", email="b@x")).how == "added"
    assert keep(signed("c", "t3")).how == "added", "whoever says nothing of himself is nobody else"
    assert sorted(there(database, sealer)) == ["a", "b", "c"]


def test_the_same_person_gets_new_tokens_and_keeps_the_rest(keep: Any, database: Database, sealer: Sealer) -> None:
    first = keep(signed("work", "t1", email="me@x", user_id="u", priority=7, per_minute=5)).record
    database.writing(lambda c: rows.set_mark(c, first.id, "sign_in", "over"))
    kept = keep(signed("other", "t2", email="me@x", profile_arn="arn"))
    assert kept.how == "known"
    (account,) = there(database, sealer).values()
    assert account == attrs.evolve(kept.record, updated_at=account.updated_at)
    assert (account.name, account.priority, account.per_minute) == ("work", 7, 5)
    assert (account.secrets.refresh_token, account.profile_arn, account.mark) == ("t2", "arn", "")
    assert account.user_id == "u", "what the new sign-in does not tell stays known"


def test_a_token_that_was_here_before_finds_its_account(keep: Any, database: Database, sealer: Sealer) -> None:
    keep(signed("work", "t1"))
    assert keep(signed("x", "t1")).record.name == "work"
    assert keep(record_of("key", ApiKey("ksk_1"))).how == "added"
    assert keep(record_of("y", ApiKey("ksk_1"))).record.name == "key"
    assert sorted(there(database, sealer)) == ["key", "work"]


def test_one_place_is_followed_once(keep: Any, database: Database, sealer: Sealer) -> None:
    place = following("ide", "/x")
    assert keep(signed("ide", "t1", follows=place)).how == "added"
    assert keep(signed("again", "t2", follows=place)).record.name == "ide"
    assert keep(signed("other", "t3", follows=following("ide", "/y"))).how == "added"
    assert there(database, sealer)["ide"].secrets.refresh_token == ""


def test_a_proxy_stays_unless_the_sign_in_brings_another(keep: Any, database: Database, sealer: Sealer) -> None:
    def proxied(name: str, token: str, proxy_url: str) -> AccountRecord:
        return record_of(name, Social(refresh_token=token), email="me@x", proxy_url=proxy_url)

    keep(proxied("work", "t1", "http://p:1"))
    keep(proxied("work", "t2", ""))
    assert there(database, sealer)["work"].secrets.proxy_url == "http://p:1"
    keep(proxied("work", "t3", "none"))
    assert there(database, sealer)["work"].secrets.proxy_url == "none"


def test_an_account_that_is_named_gets_the_sign_in_unless_it_is_anothers(
    keep: Any, database: Database, sealer: Sealer
) -> None:
    keep(signed("nameless", "t1"))
    keep(signed("mine", "t2", email="me@x"))
    assert keep(signed("z", "t3", email="new@x"), again="nameless").how == "again"
    assert there(database, sealer)["nameless"].email == "new@x"
    before = there(database, sealer)
    with pytest.raises(SettingsError, match="not that of the account mine"):
        keep(signed("z", "t4", email="you@x"), again="mine")
    with pytest.raises(AnotherPerson, match="not that of the account mine") as other:
        keep(
            attrs.evolve(record_of("z", Oidc(refresh_token="t5", client_id="c", client_secret="s")), email="me@x"),
            again="mine",
        )
    assert other.value.name == ""
    with pytest.raises(AnotherPerson, match="is the account mine already") as other:
        keep(signed("z", "t6", email="me@x"), again="nameless")
    assert other.value.name == "mine"
    with pytest.raises(SettingsError, match="no account gone"):
        keep(signed("z", "t4"), again="gone")
    with pytest.raises(SettingsError, match="is the account mine already"):
        keep(signed("z", "t2"), again="nameless")
    assert there(database, sealer) == before, "a refused sign-in changes nothing"


def test_one_person_with_two_profiles_is_two_accounts_and_stays_two(
    keep: Any, database: Database, sealer: Sealer
) -> None:
    for name in ("one", "two"):
        keep(signed(name, f"t-{name}", email="me@x", profile_arn=f"arn-{name}"))
    assert keep(signed("z", "t3", email="me@x", profile_arn="arn-one"), again="one").how == "again"
    assert keep(signed("z", "t4", email="me@x"), again="one").how == "again", "its profile could not be looked up"
    with pytest.raises(AnotherPerson, match="is the account two already"):
        keep(signed("z", "t5", email="me@x", profile_arn="arn-two"), again="one")
    assert {name: record.profile_arn for name, record in there(database, sealer).items()} == {
        "one": "arn-one",
        "two": "arn-two",
    }
    twin = signed("twin", "t6", email="me@x", profile_arn="arn-one")
    database.writing(lambda connection: rows.add(connection, sealer, twin))
    assert keep(signed("z", "t7", email="me@x"), again="twin").how == "again", "that it is there twice costs it nothing"
