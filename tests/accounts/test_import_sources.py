"""Where accounts are imported from: the Kiro IDE, kiro-cli and Amazon Q, files, standard input."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.sign_in_service import refresh_token

from kirotrio.accounts.credential import ExternalIdp, Oidc, Social
from kirotrio.accounts.importing.document import LARGEST_DOCUMENT
from kirotrio.accounts.importing.entries import Entry, Refusal
from kirotrio.accounts.importing.gathering import gather
from kirotrio.accounts.sources.places import Places

FIRST, SECOND, THIRD = (refresh_token(name) for name in ("first", "second", "third"))
IDC = {
    "refreshToken": FIRST,
    "clientIdHash": "a1b2",
    "authMethod": "IdC",
    "provider": "Enterprise",
    "region": "eu-west-1",
}
REGISTRATION = {"clientId": "client", "clientSecret": "s3cret", "expiresAt": "2027-03-01T00:00:00Z"}


def database(path: Path, tokens: dict[str, Any], state: dict[str, str] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as opened:
        opened.execute("CREATE TABLE auth_kv (key TEXT PRIMARY KEY, value TEXT)")
        opened.execute("CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB)")
        rows = [(key, json.dumps(value)) for key, value in tokens.items()]
        opened.executemany("INSERT INTO auth_kv VALUES (?, ?)", rows)
        opened.executemany(
            "INSERT INTO state VALUES (?, ?)", [(key, text.encode()) for key, text in (state or {}).items()]
        )
        opened.commit()
    return path


def found_in(
    home: Path, *sources: str, follow: bool | None = None, stdin: bytes = b"", **environment: str
) -> list[Entry | Refusal]:
    places = Places(home, environment, platform="linux")
    return gather(sources, places, lambda: io.BytesIO(stdin), follow).items


def one(items: list[Entry | Refusal]) -> Entry:
    (item,) = items
    assert isinstance(item, Entry), item
    return item


def refused(items: list[Entry | Refusal]) -> str:
    (item,) = items
    assert isinstance(item, Refusal), item
    return item.reason


def ide_token(home: Path, **members: Any) -> Path:
    path = home / ".aws/sso/cache/kiro-auth-token.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(members))
    return path


def test_the_ide_is_followed_unless_it_is_copied(tmp_path: Path) -> None:
    path = ide_token(tmp_path, refreshToken=FIRST, authMethod="social", provider="Google")
    followed = one(found_in(tmp_path, "ide"))
    assert isinstance(followed.credential, Social)
    assert json.loads(followed.follows) == {"store": "ide", "path": str(path)}
    assert one(found_in(tmp_path, "ide", follow=False)).follows == ""


def test_the_ides_registration_lies_beside_its_token(tmp_path: Path) -> None:
    path = ide_token(tmp_path, **IDC)
    assert "a1b2.json is missing beside it" in refused(found_in(tmp_path, "ide"))
    path.with_name("a1b2.json").write_text(json.dumps(REGISTRATION))
    credential = one(found_in(tmp_path, "ide")).credential
    assert isinstance(credential, Oidc)
    assert (credential.client_id, credential.sign_in_region, credential.expires_at) == ("client", "eu-west-1", None)


def test_every_row_of_a_database_is_taken(tmp_path: Path) -> None:
    tokens = {
        "kirocli:social:token": {"refresh_token": FIRST, "provider": "google"},
        "kirocli:odic:token": {
            "refresh_token": SECOND,
            "region": "eu-west-1",
            "start_url": "https://d-1.awsapps.com/start",
        },
        "kirocli:odic:device-registration": {"client_id": "client", "client_secret": "s3cret"},
        "kirocli:external-idp:token": {
            "refresh_token": THIRD,
            "client_id": "app",
            "token_endpoint": "https://login.microsoftonline.com/t/oauth2/v2.0/token",
        },
        "codewhisperer:odic:token": {"refresh_token": "cut..."},
    }
    path = database(tmp_path / ".local/share/kiro-cli/data.sqlite3", tokens)
    *entries, last = found_in(tmp_path, "kiro-cli")
    assert isinstance(last, Refusal)
    assert (last.path, "cut" in last.reason) == ("codewhisperer:odic:token", True)
    assert [type(item.credential) for item in entries if isinstance(item, Entry)] == [Social, Oidc, ExternalIdp]
    assert isinstance(entries[1], Entry)
    assert json.loads(entries[1].follows) == {"store": "cli", "path": str(path), "key": "kirocli:odic:token"}
    copied = found_in(tmp_path, str(path))
    keys = [(key, "") for key in tokens if "device" not in key]
    assert [(item.path, getattr(item, "follows", "")) for item in copied] == keys


def test_amazon_q_and_kiro_cli_are_both_looked_at(tmp_path: Path) -> None:
    for program, token in (("kiro-cli", FIRST), ("amazon-q", SECOND)):
        database(tmp_path / f".local/share/{program}/data.sqlite3", {"kirocli:social:token": {"refresh_token": token}})
    found = [item.credential for item in found_in(tmp_path) if isinstance(item, Entry)]
    assert [credential.refresh_token for credential in found if isinstance(credential, Social)] == [FIRST, SECOND]


def test_a_database_that_a_variable_names(tmp_path: Path) -> None:
    path = database(tmp_path / "elsewhere.db", {"kirocli:social:token": {"refresh_token": FIRST}})
    assert one(found_in(tmp_path, "kiro-cli", KIRO_CLI_DATABASE=str(path))).follows


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ({"auth.idc.start-url": '"https://view.awsapps.com/start"'}, "`kirotrio login builder-id`"),
        (
            {"auth.idc.start-url": "https://d-9.awsapps.com/start", "auth.idc.region": '"eu-west-1"'},
            "`kirotrio login identity-center --start-url https://d-9.awsapps.com/start --region eu-west-1`",
        ),
        ({"api.codewhisperer.profile": '{"arn": "x"}'}, "`kirotrio login`"),
        ({"auth.idc.start-url": "https://x/`rm -rf`; $(x)"}, "`kirotrio login`"),
    ],
)
def test_a_token_in_the_keychain_is_told_with_what_to_run(tmp_path: Path, state: dict[str, str], command: str) -> None:
    database(tmp_path / ".local/share/kiro-cli/data.sqlite3", {}, state)
    reason = refused(found_in(tmp_path, "kiro-cli"))
    assert "keychain" in reason
    assert command in reason


@pytest.mark.parametrize("program", ["kirocli", "codewhisperer"])
def test_a_registration_without_its_token_is_one_in_the_keychain(tmp_path: Path, program: str) -> None:
    client = {"client_id": "client", "client_secret": "s3cret"}
    database(tmp_path / ".local/share/kiro-cli/data.sqlite3", {f"{program}:odic:device-registration": client})
    reason = refused(found_in(tmp_path, "kiro-cli"))
    assert "a sign-in is there, but its token lies in the system's keychain" in reason
    assert "`kirotrio login`" in reason
    assert "s3cret" not in reason


def test_a_database_without_anybody(tmp_path: Path) -> None:
    database(tmp_path / ".local/share/kiro-cli/data.sqlite3", {})
    reason = refused(found_in(tmp_path, "kiro-cli"))
    assert "nobody is signed in" in reason
    assert "keychain" in reason
    assert "`kirotrio login`" in reason


def test_a_file_that_is_damaged_or_not_there(tmp_path: Path) -> None:
    broken = tmp_path / "broken.sqlite3"
    broken.write_bytes(b"SQLite format 3\0" + b"x" * 500)
    assert "database" in refused(found_in(tmp_path, str(broken)))
    assert "no such file" in refused(found_in(tmp_path, str(tmp_path / "none.json")))
    assert "directory" in refused(found_in(tmp_path, str(tmp_path)))
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(LARGEST_DOCUMENT + 1)
    assert "16 MiB" in refused(found_in(tmp_path, str(huge)))


def test_known_places_without_a_sign_in_are_told(tmp_path: Path) -> None:
    reason = refused(found_in(tmp_path))
    assert "kirotrio login" in reason
    assert "kiro-auth-token.json" in reason
    assert "amazon-q" in reason
    assert "Kiro IDE" in refused(found_in(tmp_path, "ide"))
    assert "kiro-cli login" in refused(found_in(tmp_path, "kiro-cli"))


def test_what_one_known_place_lacks_is_no_fault_where_another_has_it(tmp_path: Path) -> None:
    ide_token(tmp_path, refreshToken=FIRST)
    assert one(found_in(tmp_path)).source.startswith("Kiro IDE")


def test_registrations_are_looked_for_beside_a_file_alone(tmp_path: Path) -> None:
    document = tmp_path / "export.json"
    document.write_text(json.dumps({"accounts": [IDC]}))
    assert "a1b2" not in refused(found_in(tmp_path, "-", stdin=document.read_bytes()))
    assert "not there beside it" in refused(found_in(tmp_path, str(document)))
    (tmp_path / "a1b2.json").write_text(json.dumps(REGISTRATION))
    assert isinstance(one(found_in(tmp_path, str(document))).credential, Oidc)
    assert "not at hand" in refused(found_in(tmp_path, "-", stdin=document.read_bytes()))
    (tmp_path / "a1b2.json").write_text("[")
    assert "not readable" in refused(found_in(tmp_path, str(document)))


def test_a_hash_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text(json.dumps(REGISTRATION))
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "export.json").write_text(json.dumps({**IDC, "clientIdHash": "../secret"}))
    assert "not a hash" in refused(found_in(tmp_path, str(folder / "export.json")))


def test_only_a_file_like_the_ides_is_followed(tmp_path: Path) -> None:
    document = tmp_path / "one.json"
    document.write_text(json.dumps({"refreshToken": FIRST}))
    assert json.loads(one(found_in(tmp_path, str(document), follow=True)).follows)["path"] == str(document)
    document.write_text(json.dumps([{"refreshToken": FIRST}]))
    assert "followed" in refused(found_in(tmp_path, str(document), follow=True))
    assert "cannot be followed" in refused(found_in(tmp_path, "-", follow=True, stdin=b"[]"))


def test_several_sources_in_their_order(tmp_path: Path) -> None:
    ide_token(tmp_path, refreshToken=FIRST)
    document = tmp_path / "x.jsonl"
    document.write_text(f'{{"refreshToken": "{SECOND}"}}\n{{"refreshToken": "{THIRD}"}}\n')
    found = found_in(tmp_path, str(document), "ide", "-", stdin=b'{"apiKey": "ksk_abcdef"}')
    assert [item.path for item in found] == ["line 1", "line 2", "", ""]
