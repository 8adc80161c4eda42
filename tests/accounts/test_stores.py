"""The places of credentials on disk: what is read there, and that nothing is written over somebody else's work."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.sign_in_service import refresh_token

from kirotrio.accounts.credential import ApiKey, ExternalIdp, Oidc, Refreshable, Renewed, Social
from kirotrio.accounts.credential_json import Unreadable, with_new_tokens
from kirotrio.accounts.shared import StoredSuccessors
from kirotrio.accounts.sources import kiro_cli
from kirotrio.accounts.sources.configured import ApiKeyStore, ConfiguredStore, seal, unseal
from kirotrio.accounts.sources.ide import IdeStore
from kirotrio.accounts.sources.kiro_cli import CliStore
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.sources.source import NotWritten, Source, Store
from kirotrio.store.database import Database
from kirotrio.store.migrate import open_store

FIRST, SECOND, THIRD = (refresh_token(name) for name in ("first", "second", "third"))
ARN = "arn:aws:codewhisperer:eu-central-1:222:profile/DEF"
RENEWED = Renewed("fresh", 1_900_000_000.0, SECOND)
IDE_ENTRY = {
    "accessToken": "old",
    "refreshToken": FIRST,
    "expiresAt": "2027-01-15T08:00:00.000Z",
    "authMethod": "social",
    "provider": "Google",
    "somethingNew": {"nested": [1, 2]},
}


def write_ide(folder: Path, **change: Any) -> Path:
    path = folder / "kiro-auth-token.json"
    path.write_text(json.dumps({**IDE_ENTRY, **change}))
    return path


def write_cli(path: Path, **rows: object) -> Path:
    """A database of kiro-cli with these tokens; `social_token` stands for `kirocli:social:token`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)")
        database.execute("CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB)")
        for name, value in rows.items():
            text = value if isinstance(value, str) else json.dumps(value)
            if name == "profile":
                row = ("api.codewhisperer.profile", text.encode())
                database.execute("INSERT INTO state VALUES (?, ?)", row)
            else:
                key = "kirocli:" + name.replace("_", ":", 1).replace("_", "-")
                database.execute("INSERT INTO auth_kv VALUES (?, ?)", (key, text))
        database.commit()
    return path


def cli_value(path: Path, key: str) -> Any:
    with closing(sqlite3.connect(path)) as database:
        return json.loads(database.execute("SELECT value FROM auth_kv WHERE key = ?", (key,)).fetchone()[0])


SOCIAL_ROW = {
    "access_token": "old",
    "refresh_token": FIRST,
    "expires_at": "2027-01-15T08:00:00.123456789Z",
    "profile_arn": ARN,
    "provider": "google",
    "scopes": ["a"],
}
ODIC_ROW = {
    "access_token": "old",
    "refresh_token": FIRST,
    "expires_at": "2027-01-15T08:00:00.123456789Z",
    "region": "ap-southeast-1",
    "start_url": "https://d-1.awsapps.com/start",
    "oauth_flow": "DeviceCode",
}
REGISTRATION = {"client_id": "client", "client_secret": "s3cret", "client_secret_expires_at": "2027-03-01T00:00:00Z"}


def held(store: Store) -> Refreshable:
    found = store.read()
    assert found is not None
    assert not isinstance(found, ApiKey)
    return found


# Compare-and-swap, the same for every place that can be written


def ide_with(folder: Path, token: str) -> IdeStore:
    return IdeStore(write_ide(folder, refreshToken=token))


def cli_with(folder: Path, token: str) -> CliStore:
    return CliStore(write_cli(folder / "data.sqlite3", social_token={**SOCIAL_ROW, "refresh_token": token}))


_OPENED: list[Database] = []


@pytest.fixture(autouse=True)
def databases_are_closed() -> Iterator[None]:
    yield
    while _OPENED:
        _OPENED.pop().close()


def configured(folder: Path, given: Refreshable | None = None) -> ConfiguredStore:
    """A given sign-in whose successors are kept in a database in this folder."""
    _OPENED.append(open_store("", folder, deadline=5))
    kept = StoredSuccessors(_OPENED[-1], folder / "accounts")
    return ConfiguredStore(given or Social(refresh_token=FIRST), kept)


def configured_with(folder: Path, token: str) -> ConfiguredStore:
    store = configured(folder / secrets.token_hex(4))
    if token != FIRST:
        assert store.write_back(FIRST, Social(refresh_token=token))
    return store


@pytest.mark.parametrize("make", [ide_with, cli_with, configured_with])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stands=st.sampled_from([FIRST, SECOND, THIRD]),
    attempts=st.lists(
        st.tuples(st.sampled_from([FIRST, SECOND, THIRD]), st.sampled_from([FIRST, SECOND, THIRD])), max_size=5
    ),
)
def test_only_the_holder_of_the_standing_token_may_replace_it(
    tmp_path_factory: pytest.TempPathFactory, make: Any, stands: str, attempts: list[tuple[str, str]]
) -> None:
    store = make(tmp_path_factory.mktemp("place"), stands)
    for old, new in attempts:
        before = held(store)
        written = store.write_back(old, attrs.evolve(before, refresh_token=new, access_token=f"for {new[:12]}"))
        after = held(store)
        assert written == (old == stands)
        if written:
            stands = new
            assert (after.refresh_token, after.access_token) == (new, f"for {new[:12]}")
        else:
            assert after == before, "a swap that was refused changed something"
    assert held(store).refresh_token == stands


def test_nothing_is_written_where_nothing_stands_any_more(tmp_path: Path) -> None:
    new = Social(refresh_token=SECOND)
    assert not IdeStore(tmp_path / "gone.json").write_back(FIRST, new)
    assert not CliStore(tmp_path / "gone.sqlite3").write_back(FIRST, new)
    assert list(tmp_path.iterdir()) == []


# The IDE's file


def test_the_ide_finds_its_file_as_it_was_with_new_tokens_in_it(tmp_path: Path) -> None:
    path = write_ide(tmp_path)
    path.chmod(0o644)
    store = IdeStore(path)
    assert store.write_back(FIRST, held(store).after(RENEWED))
    after = json.loads(path.read_text())
    assert after == {
        **IDE_ENTRY,
        "accessToken": "fresh",
        "refreshToken": SECOND,
        "expiresAt": "2030-03-17T17:46:40.000Z",
    }
    assert list(after) == list(IDE_ENTRY)
    assert os.name == "nt" or stat.S_IMODE(path.stat().st_mode) == 0o644


def test_the_registration_lies_beside_the_token(tmp_path: Path) -> None:
    path = write_ide(tmp_path, authMethod="IdC", provider="Enterprise", region="eu-west-1", clientIdHash="ab12")
    store = IdeStore(path, profile=tmp_path / "profile.json")
    with pytest.raises(Unreadable, match=r"ab12\.json is missing"):
        store.read()
    registration = {"clientId": "client", "clientSecret": "s3cret", "expiresAt": "2027-03-01T00:00:00Z"}
    (tmp_path / "ab12.json").write_text(json.dumps(registration))
    (tmp_path / "profile.json").write_text(json.dumps({"arn": ARN, "name": "mine"}))
    found = held(store)
    assert isinstance(found, Oidc)
    assert (found.client_id, found.client_secret, found.sign_in_region) == ("client", "s3cret", "eu-west-1")
    assert found.profile_arn == ARN
    assert found.expires_at != found.registration_expires_at
    assert store.write_back(FIRST, found.after(RENEWED))
    assert "profileArn" not in json.loads(path.read_text()), "the IDE keeps that elsewhere"
    assert json.loads((tmp_path / "ab12.json").read_text()) == registration


@pytest.mark.parametrize("digest", ["../secret", "a/b", "..", "a\\b"])
def test_the_name_of_the_registration_leads_nowhere_else(tmp_path: Path, digest: str) -> None:
    with pytest.raises(Unreadable, match="clientIdHash"):
        IdeStore(write_ide(tmp_path, authMethod="IdC", clientIdHash=digest)).read()


def test_a_damaged_profile_file_is_only_a_lost_shortcut(tmp_path: Path) -> None:
    (tmp_path / "profile.json").write_text("{")
    assert held(IdeStore(write_ide(tmp_path), profile=tmp_path / "profile.json")).refresh_token == FIRST


@pytest.mark.parametrize("make", [ide_with, cli_with])
def test_what_stands_in_the_way_of_writing_is_said_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any
) -> None:
    store = make(tmp_path, FIRST)
    assert store.obstacle() is None
    assert "accounts.write_back" in attrs.evolve(store, may_write=False).obstacle()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert str(store.path.resolve()) in store.obstacle()


# kiro-cli's database


def test_a_social_token_of_the_command_line_tool(tmp_path: Path) -> None:
    path = write_cli(tmp_path / "data.sqlite3", social_token=SOCIAL_ROW)
    store = CliStore(path)
    found = held(store)
    assert isinstance(found, Social)
    assert (found.refresh_token, found.profile_arn) == (FIRST, ARN)
    assert store.write_back(FIRST, found.after(RENEWED))
    after = cli_value(path, "kirocli:social:token")
    assert {**after, "expires_at": ""} == {
        **SOCIAL_ROW,
        "access_token": "fresh",
        "refresh_token": SECOND,
        "expires_at": "",
    }
    assert held(store).expires_at == RENEWED.expires_at


def test_an_identity_center_token_takes_registration_and_profile_from_other_rows(tmp_path: Path) -> None:
    path = write_cli(
        tmp_path / "data.sqlite3",
        odic_token=ODIC_ROW,
        **{"odic_device-registration": REGISTRATION},
        profile={"arn": ARN, "profile_name": "mine"},
    )
    found = held(CliStore(path))
    assert isinstance(found, Oidc)
    assert (found.client_id, found.sign_in_region, found.profile_arn) == ("client", "ap-southeast-1", ARN)


def test_an_external_token(tmp_path: Path) -> None:
    row = {
        "access_token": "old",
        "expires_at": "2027-01-15T08:00:00Z",
        "refresh_token": "0.external",
        "issuer_url": "https://login.microsoftonline.com/t/v2.0",
        "token_endpoint": "https://login.microsoftonline.com/t/oauth2/v2.0/token",
        "client_id": "client",
    }
    path = write_cli(tmp_path / "data.sqlite3", **{"external-idp_token": row})
    assert isinstance(held(CliStore(path)), ExternalIdp)


def test_a_row_that_cannot_be_used_does_not_hide_one_that_can(tmp_path: Path) -> None:
    rows = {"social_token": {**SOCIAL_ROW, "refresh_token": "cut..."}, "odic_token": ODIC_ROW}
    path = write_cli(tmp_path / "data.sqlite3", **rows, **{"odic_device-registration": REGISTRATION})
    assert isinstance(held(CliStore(path)), Oidc)
    alone = write_cli(tmp_path / "alone.sqlite3", social_token=rows["social_token"])
    with pytest.raises(Unreadable, match=r"kirocli:social:token: the refresh token was cut"):
        CliStore(alone).read()


def test_a_database_without_a_sign_in_is_empty_and_not_broken(tmp_path: Path) -> None:
    assert CliStore(tmp_path / "absent.sqlite3").read() is None
    assert CliStore(write_cli(tmp_path / "data.sqlite3")).read() is None
    with closing(sqlite3.connect(tmp_path / "other.sqlite3")) as database:
        database.execute("CREATE TABLE unrelated (x)")
    assert CliStore(tmp_path / "other.sqlite3").read() is None


def test_reading_leaves_the_database_as_it_is(tmp_path: Path) -> None:
    path = write_cli(tmp_path / "data.sqlite3", social_token=SOCIAL_ROW)
    before = path.read_bytes()
    CliStore(path).read()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.sqlite3"]


def test_a_writer_between_our_look_and_our_write_wins(tmp_path: Path) -> None:
    path = write_cli(tmp_path / "data.sqlite3", social_token=SOCIAL_ROW)
    store = CliStore(path)
    ours = held(store).after(RENEWED)
    theirs = json.dumps({**SOCIAL_ROW, "refresh_token": THIRD})
    with closing(sqlite3.connect(path)) as database:
        database.execute("UPDATE auth_kv SET value = ?", (theirs,))
        database.commit()
    assert not store.write_back(FIRST, ours)
    assert cli_value(path, "kirocli:social:token") == json.loads(theirs)


def test_between_the_look_and_the_write_nobody_else_can_begin_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_cli(tmp_path / "data.sqlite3", social_token=SOCIAL_ROW)
    tried: list[str] = []

    def while_another_tries(entry: Any, new: Any) -> Any:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("BEGIN IMMEDIATE")
            tried.append("another")
        return with_new_tokens(entry, new)

    monkeypatch.setattr(kiro_cli, "with_new_tokens", while_another_tries)
    assert CliStore(path).write_back(FIRST, Social(refresh_token=SECOND))
    assert tried == ["another"]


def test_of_many_who_hold_the_same_token_one_writes_and_the_others_learn_of_it(tmp_path: Path) -> None:
    path = write_cli(tmp_path / "data.sqlite3", social_token=SOCIAL_ROW)
    start = threading.Barrier(6)

    def swap(number: int) -> bool:
        start.wait()
        return CliStore(path).write_back(FIRST, Social(refresh_token=refresh_token(f"of {number}")))

    with ThreadPoolExecutor(6) as pool:
        written = list(pool.map(swap, range(6)))
    assert written.count(True) == 1
    winner = refresh_token(f"of {written.index(True)}")
    assert cli_value(path, "kirocli:social:token")["refresh_token"] == winner


# Our own store


@pytest.mark.parametrize(
    "given_credential",
    [
        Social(refresh_token=FIRST),
        Oidc(refresh_token=FIRST, client_id="client", client_secret="s3cret"),
    ],
)
def test_the_successor_of_a_given_token_is_kept(tmp_path: Path, given_credential: Refreshable) -> None:
    store = configured(tmp_path, given_credential)
    assert store.read() == given_credential
    first = given_credential.after(attrs.evolve(RENEWED, profile_arn=ARN))
    second = first.after(Renewed("fresher", 1_900_000_100.0, THIRD))
    assert store.write_back(FIRST, first)
    assert store.write_back(SECOND, second)
    # Another process, or the next start, that is given the same token.
    assert configured(tmp_path, given_credential).read() == second


def test_the_successor_is_sealed_and_found_by_a_hash(tmp_path: Path) -> None:
    store = configured(tmp_path)
    store.write_back(FIRST, Social(refresh_token=SECOND, access_token="access-secret"))
    content = b"".join(path.read_bytes() for path in tmp_path.glob("kirotrio.db*"))
    assert store.digest.encode() in content
    for secret in (FIRST, SECOND, "access-secret"):
        assert secret.encode() not in content


def test_a_damaged_successor_gives_the_given_token_another_chance(tmp_path: Path) -> None:
    store = configured(tmp_path)
    before = None
    for damage in (b"", b"{}", b"[]", b"null", b'{"salt": 1, "nonce": 2, "sealed": 3}', seal(b"{}", SECOND)):
        assert store.successors.put(store.digest, damage, in_place_of=before)
        assert held(store).refresh_token == FIRST
        before = damage
    assert store.write_back(FIRST, Social(refresh_token=SECOND))
    assert held(store).refresh_token == SECOND


def test_a_successor_that_an_earlier_version_kept_in_a_file_goes_on(tmp_path: Path) -> None:
    store = configured(tmp_path)
    (tmp_path / "accounts").mkdir()
    tokens = {"refresh_token": SECOND, "access_token": "x", "expires_at": None, "profile_arn": ""}
    (tmp_path / "accounts" / f"{store.digest}.json").write_bytes(seal(json.dumps(tokens).encode(), FIRST))
    assert held(store).refresh_token == SECOND
    assert store.write_back(SECOND, Social(refresh_token=THIRD))
    assert held(store).refresh_token == THIRD, "the file of the earlier version is not what counts any more"


@settings(max_examples=50)
@given(content=st.binary(max_size=100), secret=st.text(min_size=1, max_size=50), other=st.text(min_size=1, max_size=50))
def test_only_the_secret_opens_what_it_sealed(content: bytes, secret: str, other: str) -> None:
    sealed = seal(content, secret)
    assert unseal(sealed, secret) == content
    if other != secret:
        assert unseal(sealed, other) is None


@settings(max_examples=50)
@given(content=st.binary(min_size=1, max_size=40), place=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_a_change_of_what_is_sealed_is_noticed(content: bytes, place: int, flip: int) -> None:
    sealed = bytearray(seal(content, "secret"))
    sealed[place % len(sealed)] ^= flip
    assert unseal(bytes(sealed), "secret") in (None, content)  # `content`: a change that JSON does not see


def test_a_cut_token_is_refused_before_it_is_used(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"accounts\.refresh_token: the refresh token has only 5 characters"):
        configured(tmp_path, Social(refresh_token="short")).read()


def test_an_api_key_is_what_was_given() -> None:
    store = ApiKeyStore(" ksk_abc\n")
    assert store.read() == ApiKey("ksk_abc")
    assert "ksk_abc" not in repr(store)


# Off the event loop


async def test_a_file_that_is_just_being_written_is_read_again(tmp_path: Path, autojump_clock: Any) -> None:
    looks: list[str] = []

    class TornOnce(IdeStore):
        def read(self) -> Any:
            looks.append("look")
            if len(looks) == 1:
                raise Unreadable("half", torn=True)
            return super().read()

    found = await Source(TornOnce(write_ide(tmp_path))).read()
    assert isinstance(found, Social)
    assert len(looks) == 2


async def test_a_file_that_stays_unreadable_is_reported(tmp_path: Path, autojump_clock: Any) -> None:
    path = tmp_path / "kiro-auth-token.json"
    path.write_text('{"refreshToken": ')
    with pytest.raises(Unreadable, match="not readable as JSON"):
        await Source(IdeStore(path)).read()
    path.unlink()
    path.mkdir()
    with pytest.raises(Unreadable, match="cannot be read"):
        await Source(IdeStore(path)).read()


async def test_a_write_that_fails_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IdeStore(write_ide(tmp_path))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotWritten, match="No space left") as refusal:
        await Source(store).write_back(FIRST, Social(refresh_token=SECOND))
    assert str(store.path) in refusal.value.message
    assert held(store).refresh_token == FIRST


async def test_a_locked_database_is_reported_and_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kirotrio.accounts.sources.kiro_cli._BUSY", 0.0)
    path = write_cli(tmp_path / "data.sqlite3", social_token=SOCIAL_ROW)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotWritten, match="locked"):
            await Source(CliStore(path)).write_back(FIRST, Social(refresh_token=SECOND))
        other.execute("ROLLBACK")
    assert await Source(CliStore(path)).write_back(FIRST, Social(refresh_token=SECOND))


async def test_reading_runs_in_another_thread(tmp_path: Path) -> None:
    class Watching(IdeStore):
        def read(self) -> Any:
            with pytest.raises(RuntimeError):
                trio.lowlevel.current_task()
            return super().read()

    assert await Source(Watching(write_ide(tmp_path))).read() is not None


# Places


def test_the_places_of_each_system(tmp_path: Path) -> None:
    linux = Places(tmp_path, platform="linux")
    assert linux.ide_token == tmp_path / ".aws/sso/cache/kiro-auth-token.json"
    assert linux.ide_profile == tmp_path / ".config/Kiro/User/globalStorage/kiro.kiroagent/profile.json"
    share = tmp_path / ".local/share"
    assert linux.cli_databases == (share / "kiro-cli/data.sqlite3", share / "amazon-q/data.sqlite3")
    moved = Places(tmp_path, {"XDG_DATA_HOME": "/elsewhere"}, platform="linux")
    assert moved.cli_databases[0] == Path("/elsewhere/kiro-cli/data.sqlite3")

    support = tmp_path / "Library" / "Application Support"
    mac = Places(tmp_path, {"XDG_DATA_HOME": "/elsewhere"}, platform="darwin")
    assert mac.cli_databases == (support / "kiro-cli/data.sqlite3", support / "amazon-q/data.sqlite3")
    assert mac.ide_profile == support / "Kiro/User/globalStorage/kiro.kiroagent/profile.json"

    windows = Places(tmp_path, {"APPDATA": "/roaming", "LOCALAPPDATA": "/local"}, platform="win32")
    assert windows.ide_profile == Path("/roaming/Kiro/User/globalStorage/kiro.kiroagent/profile.json")
    for folder in ("/local", "/roaming"):
        assert Path(folder) / "amazon-q" / "data.sqlite3" in windows.cli_databases
    assert Places(tmp_path, platform="win32").ide_profile.is_relative_to(tmp_path / "AppData" / "Roaming")


def test_a_place_that_the_environment_names(tmp_path: Path) -> None:
    named = Places(tmp_path, {"KIRO_CLI_DATABASE": "~/db.sqlite3", "KIRO_DATA_DIR": "/data"}, platform="linux")
    assert named.named_cli_database == tmp_path / "db.sqlite3"
    assert named.cli_databases == (Path("/data/data.sqlite3"),)
    assert Places(tmp_path).named_cli_database is None
