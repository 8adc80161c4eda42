"""What becomes of accounts that are imported: against a service and a store in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from support.sign_in_service import EPOCH, answer, refresh_token, wall_clock

from kirotrio.accounts.importing.entries import Entry, Refusal
from kirotrio.accounts.importing.gathering import entries_of
from kirotrio.accounts.importing.report import EntryReport, ImportReport, Outcome
from kirotrio.accounts.importing.run import AT_A_TIME, Import
from kirotrio.accounts.records import following, free_name
from kirotrio.config.settings import Settings
from kirotrio.errors import Recovery, StoreUnavailable, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.store.accounts import AccountRecord, AlreadyThere, Secrets

LATER = EPOCH + 3000.0
Person = tuple[str, str]


class Service:
    """Kiro and its sign-in service. `people` are user id and e-mail by refresh token; every refresh rotates.

    `faults` are what calls meet first, by the end of their path. `looks` and `refreshes` are the tokens that came.
    """

    def __init__(self, people: Mapping[str, Person]) -> None:
        self.valid = dict(people)
        self.access: dict[str, Person] = {f"access of {token[:30]}": person for token, person in people.items()}
        self.keys: dict[str, Person] = {}
        self.faults: dict[str, HttpAnswer | Exception] = {}
        self.looks: list[str] = []
        self.refreshes: list[str] = []
        self.at_once = self.most_at_once = 0
        self.pause = 0.0
        self.on_rotation: Callable[[], None] = lambda: None

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
        proxy_url: str | None = None,
    ) -> HttpAnswer:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await trio.sleep(self.pause)
            return await self._answer(urlsplit(url).path, headers or {}, body or b"")
        finally:
            self.at_once -= 1

    async def _answer(self, path: str, headers: Mapping[str, str], body: bytes) -> HttpAnswer:
        fault = next((fault for end, fault in self.faults.items() if path.endswith(end)), None)
        if path.endswith(("/refreshToken", "/token")):
            sent = str(json.loads(body)["refreshToken"])
            self.refreshes.append(sent)
            if isinstance(fault, Exception):
                raise fault
            if fault is not None:
                return fault
            if sent not in self.valid:
                return answer(400, {"error": "invalid_grant"})
            new = refresh_token(f"rotated-{len(self.refreshes)}-{sent[4:20]}")
            self.valid[new] = self.valid.pop(sent)
            self.access[f"access of {new[:30]}"] = self.valid[new]
            self.on_rotation()
            await trio.sleep(self.pause)
            return answer(200, {"accessToken": f"access of {new[:30]}", "refreshToken": new, "expiresIn": 3600})
        if "Profiles" in path:
            return fault if isinstance(fault, HttpAnswer) else answer(403, {"message": "unsupported"})
        token = headers["authorization"].removeprefix("Bearer ")
        self.looks.append(token)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            return fault
        person = self.keys.get(token) or self.access.get(token)
        if person is None:
            return answer(403, {"message": "The bearer token included in the request is invalid."})
        user = {"userId": person[0], "email": person[1]}
        return answer(200, {"userInfo": user, "usageBreakdownList": [{"resourceType": "CREDIT", "usageLimit": 50}]})


class Book:
    """A store in memory. Every step takes a moment; `trouble` is raised by the next writes, one each."""

    def __init__(self, *records: AccountRecord) -> None:
        self.records = {record.id: record for record in records}
        self.digests = {token: record.id for record in records for token in tokens_of(record)}
        self.trouble: list[Exception] = []
        self.writes = 0

    async def all(self) -> Sequence[AccountRecord]:
        await trio.lowlevel.checkpoint()
        return list(self.records.values())

    async def known(self, token: str) -> str | None:
        await trio.lowlevel.checkpoint()
        holder = self.records.get(self.digests.get(token, ""))
        return holder.name if holder is not None else None

    async def is_anothers(self, record: AccountRecord) -> bool:
        return False

    async def add(self, record: AccountRecord, *, former: str = "") -> AccountRecord:
        await self._writing()
        for token in filter(None, (former, *tokens_of(record))):
            if (holder := await self.known(token)) is not None:
                raise AlreadyThere(holder)
        record = attrs.evolve(record, name=free_name(record.name, [known.name for known in self.records.values()]))
        return self._put(record, former)

    async def change(
        self, record: AccountRecord, *, called: str = "", former: str = "", instead_of: str = ""
    ) -> AccountRecord | None:
        await self._writing()
        self.records.pop(instead_of, None)
        if record.id not in self.records:
            return None
        others = {known.name for known in self.records.values() if known.id != record.id}
        return self._put(attrs.evolve(record, name=free_name(called, others)) if called else record, former)

    async def remove(self, account_id: str) -> None:
        await self._writing()
        del self.records[account_id]

    def _put(self, record: AccountRecord, former: str) -> AccountRecord:
        self.records[record.id] = record
        self.digests |= {token: record.id for token in (former, *tokens_of(record)) if token}
        return record

    async def _writing(self) -> None:
        await trio.lowlevel.checkpoint()
        if self.trouble:
            raise self.trouble.pop(0)
        self.writes += 1

    def named(self, name: str) -> AccountRecord:
        return next(record for record in self.records.values() if record.name == name)


def tokens_of(record: AccountRecord) -> list[str]:
    return [token for token in (record.secrets.refresh_token, record.secrets.api_key) if token]


def social(person: str, /, *, live: bool = False, **more: Any) -> dict[str, Any]:
    token = refresh_token(person)
    living = {"accessToken": f"access of {token[:30]}", "expiresAt": LATER} if live else {}
    return {"refreshToken": token, **living, **more}


def people(*names: str) -> dict[str, Person]:
    return {refresh_token(name): (f"user-{name}", f"{name}@example.org") for name in names}


async def imported(value: Any, book: Book, service: Service, **how: Any) -> ImportReport:
    items = entries_of(json.dumps(value).encode(), "document") if not isinstance(value[0], Entry | Refusal) else value
    return await Import(items, book, service, Settings(), now=wall_clock, **how).run()


def outcomes(report: ImportReport) -> list[tuple[Outcome, str]]:
    return [(entry.outcome, entry.account) for entry in report.entries]


async def test_a_live_access_token_is_tried_and_nothing_is_rotated(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    report = await imported([social("ann", live=True)], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "ann")]
    assert report.entries[0].checked
    assert report.clean
    assert (len(service.looks), service.refreshes) == (1, [])
    record = book.named("ann")
    assert (record.email, record.user_id) == ("ann@example.org", "user-ann")
    assert record.secrets.refresh_token == refresh_token("ann")


async def test_an_expired_one_is_refreshed_once_and_its_successor_kept(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    document = [social("ann", name="Work", priority=7, disabled=True, proxyUrl="direct", apiRegion="eu-central-1")]
    report = await imported(document, book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "Work")]
    record = book.named("Work")
    assert service.refreshes == [refresh_token("ann")]
    assert record.secrets.refresh_token in service.valid, "the token that is kept is not the one that is valid"
    assert (record.priority, record.enabled, record.region, record.secrets.proxy_url) == (
        7,
        False,
        "eu-central-1",
        "none",
    )
    again = await imported(document, book, service)
    assert outcomes(again) == [(Outcome.ALREADY_THERE, "Work")], "a document was imported twice"
    assert len(service.refreshes) == 1


async def test_an_account_without_a_name_is_called_after_its_person(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann", "bob")), Book()
    report = await imported([social("ann"), social("bob", live=True)], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "ann"), (Outcome.IMPORTED, "bob")]


async def test_a_refused_live_token_is_refreshed(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    service.access.clear()
    report = await imported([social("ann", live=True)], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "ann")]
    assert len(service.refreshes) == 1


async def test_an_expired_access_token_is_not_tried(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    await imported([social("ann", accessToken="expired", expiresAt=EPOCH + 30)], book, service)
    assert "expired" not in service.looks
    assert len(service.refreshes) == 1


async def test_a_dead_refresh_token_is_refused_and_nothing_kept(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service({}), Book()
    report = await imported([social("ann"), social("bob", accessToken="dead", expiresAt=LATER)], book, service)
    assert [entry.outcome for entry in report.entries] == [Outcome.REFUSED] * 2
    assert "kirotrio login" in report.entries[0].detail
    assert not report.clean
    assert book.writes == 0


@pytest.mark.parametrize("told", [{"name": "a"}, {"email": "a@example.com"}])
async def test_one_that_is_refused_is_called_as_its_document_does(
    autojump_clock: trio.testing.MockClock, told: dict[str, str]
) -> None:
    called = [
        [entry.account for entry in (await imported([social("a", **told)], Book(), Service({}), dry_run=dry)).entries]
        for dry in (True, False)
    ]
    assert called == [["a"], ["a"]], "the import calls it otherwise than its preview"


FAULTS: list[HttpAnswer | Exception] = [
    HttpAnswer(403, {}, b"<html>Request blocked</html>"),
    answer(429, {"message": "slow"}),
    answer(503, {}),
    UpstreamFailed("could not connect", recovery=Recovery.RETRY),
]


@pytest.mark.parametrize("fault", FAULTS, ids=["firewall", "429", "503", "network"])
async def test_what_cannot_be_checked_now_is_kept_unchecked(
    autojump_clock: trio.testing.MockClock, fault: HttpAnswer | Exception
) -> None:
    service, book = Service(people("ann")), Book()
    service.faults["/refreshToken"] = fault
    report = await imported([social("ann", name="x")], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "x")]
    assert not report.entries[0].checked
    assert "not checked" in report.entries[0].detail
    assert book.named("x").secrets.refresh_token == refresh_token("ann")
    assert len(service.refreshes) == 1, "a token was refreshed more than once"


async def test_a_suspended_account_is_kept_with_its_mark(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    service.faults["Limits"] = answer(403, {"message": "locked", "reason": "TEMPORARILY_SUSPENDED"})
    report = await imported([social("ann", name="x")], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "x")]
    assert book.named("x").mark == "suspended"
    assert book.named("x").mark_reason == report.entries[0].detail != ""
    assert book.named("x").secrets.refresh_token in service.valid


async def test_keys(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service({}), Book()
    service.keys["ksk_goodgoodgood"] = ("user-k", "")
    report = await imported([{"apiKey": "ksk_goodgoodgood"}, {"apiKey": "ksk_deaddeaddead"}], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "api-key"), (Outcome.REFUSED, "")]
    assert book.named("api-key").secrets.api_key == "ksk_goodgoodgood"


async def test_no_more_than_three_are_checked_at_one_time(autojump_clock: trio.testing.MockClock) -> None:
    names = [f"p{number}" for number in range(11)]
    service, book = Service(people(*names)), Book()
    service.pause = 1.0
    report = await imported([social(name, live=number % 2 == 0) for number, name in enumerate(names)], book, service)
    assert {entry.outcome for entry in report.entries} == {Outcome.IMPORTED}
    assert [entry.account for entry in report.entries] == names, "the report is not in the document's order"
    assert service.most_at_once == AT_A_TIME == 3


# Nothing twice


async def test_the_same_sign_in_twice_in_one_document(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    report = await imported([social("ann"), social("ann", name="copy")], book, service)
    assert [entry.outcome for entry in report.entries] == [Outcome.IMPORTED, Outcome.ALREADY_THERE]
    assert "document: [0]" in report.entries[1].detail
    assert len(service.refreshes) == len(book.records) == 1


@pytest.mark.parametrize("live", [True, False])
async def test_two_sign_ins_of_one_person_make_one_account(autojump_clock: trio.testing.MockClock, live: bool) -> None:
    same = ("user-1", "ann@example.org")
    service, book = Service({refresh_token("one"): same, refresh_token("two"): same}), Book()
    report = await imported([social("one", live=live), social("two", live=live)], book, service)
    assert sorted(entry.outcome.value for entry in report.entries) == ["already there" if live else "imported"] + (
        ["imported"] if live else ["renewed"]
    )
    (record,) = book.records.values()
    assert {entry.account for entry in report.entries} == {record.name}
    assert record.secrets.refresh_token in service.valid
    again = await imported([social("one", live=live)], book, service)
    assert again.entries[0].outcome is Outcome.ALREADY_THERE


async def test_a_person_known_by_the_documents_own_word_costs_no_refresh(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service, book = Service(people("ann")), Book(there(user_id="user-ann"))
    report = await imported([social("ann", userId="user-ann")], book, service)
    assert outcomes(report) == [(Outcome.ALREADY_THERE, "ann")]
    assert (service.refreshes, service.looks, book.writes) == ([], [], 0)


def there(**changes: Any) -> AccountRecord:
    record = AccountRecord(
        id="1",
        name="ann",
        kind="social",
        user_id="user-ann",
        priority=5,
        expires_at=EPOCH - 9000,
        secrets=Secrets(refresh_token=refresh_token("before"), proxy_url="http://p:1"),
    )
    return attrs.evolve(record, **changes)


MARKED = {"mark": "sign_in", "mark_reason": "sign in again", "marked_at": EPOCH}


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("told", [{}, {"userId": "user-ann"}])
async def test_a_marked_account_takes_newer_tokens(
    autojump_clock: trio.testing.MockClock, live: bool, told: dict[str, str]
) -> None:
    service, book = Service(people("ann")), Book(there(**MARKED))
    report = await imported([social("ann", live=live, **told)], book, service)
    assert outcomes(report) == [(Outcome.RENEWED, "ann")]
    assert "mark" in report.entries[0].detail or not live
    (record,) = book.records.values()
    assert record.secrets.refresh_token in service.valid
    assert (record.mark, record.priority, record.secrets.proxy_url) == ("", 5, "http://p:1")
    assert (await imported([social("ann")], book, service)).entries[0].outcome is Outcome.ALREADY_THERE


@pytest.mark.parametrize("told", [{}, {"userId": "user-ann"}])
async def test_an_account_that_serves_keeps_its_own_tokens(
    autojump_clock: trio.testing.MockClock, told: dict[str, str]
) -> None:
    service, book = Service(people("ann")), Book(there())
    report = await imported([social("ann", live=True, **told)], book, service)
    assert outcomes(report) == [(Outcome.ALREADY_THERE, "ann")]
    assert book.named("ann") == there()


async def test_a_dead_token_takes_no_mark_away(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service({}), Book(there(**MARKED))
    report = await imported([social("ann", userId="user-ann")], book, service)
    assert report.entries[0].outcome is Outcome.REFUSED
    assert book.named("ann") == there(**MARKED)


@pytest.mark.parametrize(("expires_at", "outcome"), [(EPOCH, Outcome.RENEWED), (LATER, Outcome.ALREADY_THERE)])
async def test_an_account_that_follows_takes_newer_tokens_alone(
    autojump_clock: trio.testing.MockClock, expires_at: float, outcome: Outcome
) -> None:
    place = following("ide", "/home/x/token.json")
    service = Service(people("ann"))
    book = Book(there(follows=place, expires_at=expires_at, secrets=Secrets()))
    report = await imported([social("ann", live=True)], book, service)
    assert outcomes(report) == [(outcome, "ann")]
    assert book.named("ann").follows == ("" if outcome is Outcome.RENEWED else place)


async def test_what_is_followed_is_never_refreshed_and_its_tokens_stay(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    (entry,) = entries_of(json.dumps(social("ann", name="x")).encode(), "file")
    assert isinstance(entry, Entry)
    entry = attrs.evolve(entry, follows=following("ide", "/p"))
    report = await imported([entry], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "x")]
    assert service.refreshes == []
    assert book.named("x").secrets == Secrets()
    assert (await imported([entry], book, service)).entries[0].outcome is Outcome.ALREADY_THERE


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_copy_of_what_is_followed_is_there_already(
    autojump_clock: trio.testing.MockClock, tmp_path: Path, dry_run: bool
) -> None:
    token = tmp_path / "token.json"
    token.write_text(json.dumps(social("ann")))
    service = Service(people("ann"))
    book = Book(there(name="ide", user_id="", follows=following("ide", str(token)), secrets=Secrets()))
    report = await imported([social("ann", name="copy")], book, service, dry_run=dry_run)
    assert outcomes(report) == [(Outcome.ALREADY_THERE, "ide")]
    assert (service.refreshes, book.writes) == ([], 0), "the other program is signed out by its own token's copy"


async def test_a_followed_place_that_is_gone_is_no_obstacle(autojump_clock: trio.testing.MockClock) -> None:
    places = [following("ide", "/no/such/file"), "no place at all"]
    records = [there(id=str(at), name=f"f{at}", user_id="", follows=place) for at, place in enumerate(places)]
    report = await imported([social("ann")], Book(*records), Service(people("ann")))
    assert outcomes(report) == [(Outcome.IMPORTED, "ann")]


# Kinds and names

CLIENT = {"clientId": "c", "clientSecret": "s"}


@pytest.mark.parametrize(
    ("members", "profiles", "kind"),
    [
        ({"authMethod": "builder-id"}, 200, "builder-id"),
        ({}, 403, "builder-id"),
        ({"authMethod": "IdC"}, 403, "builder-id"),
        ({}, 200, "identity-center"),
        ({"authMethod": "identity-center"}, 403, "identity-center"),
        ({"startUrl": "https://d-1.awsapps.com/start"}, 403, "identity-center"),
        ({"region": "eu-west-1"}, 403, "identity-center"),
    ],
)
async def test_a_client_is_builder_ids_where_it_says_so_or_has_no_profiles(
    autojump_clock: trio.testing.MockClock, members: dict[str, str], profiles: int, kind: str
) -> None:
    service, book = Service({refresh_token("ann"): ("user-ann", "")}), Book()
    service.faults["Profiles"] = answer(profiles, {"profiles": []})
    report = await imported([social("ann", **CLIENT, **members)], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, kind)], "it is named after another kind"
    assert (report.entries[0].kind, book.named(kind).kind) == (kind, kind)


async def test_a_client_that_is_not_checked_is_not_taken_for_builder_ids(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service, book = Service(people("ann")), Book()
    service.faults["Limits"] = answer(503, {})
    await imported([social("ann", name="x", **CLIENT)], book, service)
    assert book.named("x").kind == "identity-center", "profiles are refused to a token that is not good, too"


class Uneven(Service):
    """What is asked first is answered last."""

    async def call(self, *arguments: Any, **named: Any) -> HttpAnswer:
        self.pause = max(0.0, self.pause - 1.0)
        return await super().call(*arguments, **named)


@pytest.mark.parametrize("away", [{"/refreshToken": answer(503, {})}, {"Limits": answer(503, {})}])
async def test_accounts_without_a_name_are_numbered_in_order_and_as_the_dry_run_said(
    autojump_clock: trio.testing.MockClock, away: dict[str, HttpAnswer | Exception]
) -> None:
    names = [f"p{number}" for number in range(6)]
    document = [social(name) for name in names]
    found = []
    for dry_run in (True, False):
        service = Uneven(people(*names))
        service.faults, service.pause = away, 9.0
        found.append([entry.account for entry in (await imported(document, Book(), service, dry_run=dry_run)).entries])
    assert found[0] == ["social", *(f"social-{number}" for number in range(2, 7))]
    assert found[1] == found[0]


async def test_one_that_is_refused_leaves_no_gap_in_the_numbers(autojump_clock: trio.testing.MockClock) -> None:
    names = [f"p{number}" for number in range(4)]
    service, book = Uneven(people(*names[1:])), Book()
    service.pause, service.faults["Limits"] = 9.0, answer(503, {})
    report = await imported([social(name) for name in names], book, service)
    assert [entry.account for entry in report.entries] == ["", "social", "social-2", "social-3"]


# Without a call, without a change


async def test_a_dry_run_rotates_and_writes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann", "bob", "eve")), Book(there(**MARKED))
    same = {**social("bob", live=True), "refreshToken": refresh_token("twin")}
    document = [social("ann", live=True), social("bob", live=True), same, social("eve"), {"refreshToken": "x"}]
    report = await imported(document, book, service, dry_run=True)
    assert [entry.outcome for entry in report.entries] == [
        Outcome.RENEWED, Outcome.IMPORTED, Outcome.ALREADY_THERE, Outcome.IMPORTED, Outcome.REFUSED
    ]  # fmt: skip
    assert (service.refreshes, book.writes) == ([], 0)
    assert "dry run" in report.summary
    assert report.to_json()["dry_run"] is True


async def test_without_a_check_nothing_is_called(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    report = await imported([social("ann", name="x", live=True)], book, service, check=False)
    assert outcomes(report) == [(Outcome.IMPORTED, "x")]
    assert not report.entries[0].checked
    assert (service.refreshes, service.looks) == ([], [])


# Interrupted, and without a store


@pytest.mark.parametrize("moment", range(14))
async def test_an_interrupt_at_any_moment_loses_no_rotated_token(
    autojump_clock: trio.testing.MockClock, moment: int
) -> None:
    names = [f"p{number}" for number in range(4)]
    service, book = Service(people(*names)), Book()
    service.pause = 1.0
    run = Import(
        entries_of(json.dumps([social(name) for name in names]).encode(), "x"),
        book,
        service,
        Settings(),
        now=wall_clock,
    )
    with trio.move_on_after(moment * 0.5):
        await run.run()
    kept = {record.secrets.refresh_token for record in book.records.values()}
    rotated = set(service.valid) - {refresh_token(name) for name in names}
    assert rotated <= kept, "a rotated token was lost"
    told = run.report
    assert sum(entry.outcome is Outcome.IMPORTED for entry in told.entries) == len(kept), "what was kept is not told"
    assert sum(entry.outcome is Outcome.UNDONE for entry in told.entries) == 4 - len(kept)
    assert told.clean == (len(kept) == 4)


async def test_a_store_that_is_away_for_a_moment_costs_no_token(autojump_clock: trio.testing.MockClock) -> None:
    service, book = Service(people("ann")), Book()
    book.trouble = [StoreUnavailable("away"), StoreUnavailable("away")]
    report = await imported([social("ann")], book, service)
    assert outcomes(report) == [(Outcome.IMPORTED, "ann")]
    assert book.named("ann").secrets.refresh_token in service.valid


async def test_a_store_that_stays_away_ends_the_import(autojump_clock: trio.testing.MockClock) -> None:
    names = [f"p{number}" for number in range(8)]
    service, book = Service(people(*names)), Book()
    book.trouble = [StoreUnavailable("away")] * 99
    with pytest.raises(StoreUnavailable, match="away"):
        await imported([social(name, live=True) for name in names], book, service)


# Secrets


secrets = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=110, max_size=130)


@examples(max_examples=60)
@given(data=st.data(), tokens=st.lists(secrets, min_size=1, max_size=4, unique=True))
def test_no_report_shows_a_secret(data: st.DataObject, tokens: list[str]) -> None:
    """Wherever it stands, and however the account is refused."""
    hidden = set(tokens)
    members = "refreshToken accessToken clientSecret apiKey name label email provider region clientIdHash proxyUrl"
    members += " proxyPassword userId priority tokenEndpoint expiresAt"
    forms = [
        str,
        "ksk_{}".format,
        "http://u:{}@host:1".format,
        "{}@x.org".format,
        "{}...".format,
        "https://x/{}".format,
    ]

    def account() -> dict[str, Any]:
        chosen = data.draw(st.lists(st.sampled_from(members.split()), min_size=1, unique=True))
        token = data.draw(st.sampled_from(tokens))
        fields = {name: data.draw(st.sampled_from(forms))(token) for name in chosen}
        return {**fields, "refreshToken": token} if data.draw(st.booleans()) else fields

    document = {"accounts": {data.draw(st.sampled_from([*tokens, f"n{n}"])): account() for n in range(3)}}
    service = Service({tokens[0]: ("u", "e@x.org")})
    service.faults["Limits"] = answer(data.draw(st.sampled_from([200, 400, 403, 500])), {"message": "no"})

    async def go() -> ImportReport:
        return await imported([document], Book(), service)

    report = trio.run(go)
    shown = json.dumps(report.to_json()) + repr(report) + report.summary
    for secret in hidden:
        for start in range(len(secret) - 24):
            assert secret[start : start + 24] not in shown, f"a part of a secret is in {shown}"


def test_a_report_counts() -> None:
    report = ImportReport((EntryReport("f", "a", Outcome.IMPORTED), EntryReport("f", "", Outcome.REFUSED)))
    assert report.summary == "1 imported, 1 refused"
    assert ImportReport(()).summary == "nothing to import"
    assert report.entries[0].where == "f: a"
    assert report.to_json()["counts"]["refused"] == 1
    assert not report.clean
