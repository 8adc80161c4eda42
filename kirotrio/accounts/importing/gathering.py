"""Where accounts to be imported are read from: files, standard input, the Kiro IDE, kiro-cli and Amazon Q."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs
from attrs import field

from kirotrio.accounts.credential import BUILDER_ID_START_URL, Credential
from kirotrio.accounts.credential_json import Unreadable, decode_object
from kirotrio.accounts.importing.document import LARGEST_DOCUMENT, NoDocument
from kirotrio.accounts.importing.entries import Entry, Refusal, entry_of
from kirotrio.accounts.importing.shapes import accounts_in
from kirotrio.accounts.records import following
from kirotrio.accounts.sources.ide import IdeStore
from kirotrio.accounts.sources.kiro_cli import CliStore
from kirotrio.accounts.sources.places import Places
from kirotrio.classes import define
from kirotrio.errors import AccountUnavailable

IDE: Final = "ide"
CLI: Final = "kiro-cli"
STANDARD_INPUT: Final = "-"

_SQLITE: Final = b"SQLite format 3\0"
_START_URL, _REGION = "auth.idc.start-url", "auth.idc.region"


@define
class Gathered:
    """What was found, in order."""

    items: list[Entry | Refusal] = field(factory=list)
    looked_at: list[str] = field(factory=list)
    """Known places where nothing was."""


def gather(
    named: tuple[str, ...], places: Places, standard_input: Callable[[], BinaryIO], follow: bool | None
) -> Gathered:
    """The accounts of each source: `ide`, `kiro-cli`, a path, or `-`; without one, those of the known places.

    `follow`: whether tokens stay where they are; None means that they do for the IDE and kiro-cli, named or found, and
    are copied from files. Blocking. Raises nothing: what cannot be read is a refusal.
    """
    gathered = Gathered()
    for source in named or (IDE, CLI):
        if source == IDE:
            _ide(gathered, places, follow is not False, sought=bool(named))
        elif source == CLI:
            _cli(gathered, places, follow is not False, sought=bool(named))
        else:
            gathered.items += _one(source, standard_input, bool(follow))
    if not named and not gathered.items:
        where = "; ".join(gathered.looked_at)
        gathered.items.append(
            Refusal(
                "the known places",
                "",
                f"no sign-in was found; sign in with `kirotrio login`, or name a file to import. Looked at: {where}",
            )
        )
    return gathered


def entries_of(document: bytes, source: str, beside: Path | None = None) -> list[Entry | Refusal]:
    """The accounts of a JSON or JSON Lines document. `beside`: the folder where client registrations may lie, None
    where the document is no file. Pure without it. Raises nothing."""
    registration = partial(_registration, beside) if beside is not None else None
    try:
        found = accounts_in(document)
    except NoDocument as error:
        return [Refusal(source, "", error.message)]
    return [entry_of(account, source, registration) for account in found]


def _ide(gathered: Gathered, places: Places, follow: bool, *, sought: bool) -> None:
    path = places.ide_token
    if not path.exists():
        gathered.looked_at.append(str(path))
        if sought:
            reason = "no sign-in of the Kiro IDE is there; sign in with it, or with `kirotrio login`"
            gathered.items.append(Refusal(IDE, str(path), reason))
        return
    source = f"Kiro IDE, {path}"
    try:
        credential = IdeStore(path, profile=places.ide_profile).read()
    except (AccountUnavailable, OSError) as error:
        gathered.items.append(Refusal(source, "", _reason(error, str(path))))
        return
    if credential is not None:
        gathered.items.append(_entry(source, "", credential, following("ide", str(path)) if follow else ""))


def _cli(gathered: Gathered, places: Places, follow: bool, *, sought: bool) -> None:
    named = places.named_cli_database
    paths = [path for path in dict.fromkeys((*((named,) if named else ()), *places.cli_databases)) if path.exists()]
    for path in paths:
        gathered.items += _database(path, follow)
    if not paths:
        where = [str(path) for path in places.cli_databases]
        gathered.looked_at += where
        if sought:
            reason = "no database of kiro-cli or Amazon Q is there; run `kiro-cli login`, or `kirotrio login`"
            gathered.items.append(Refusal(CLI, "; ".join(where), reason))


def _database(path: Path, follow: bool) -> list[Entry | Refusal]:
    """All tokens of one database, not the first usable one alone."""
    store, source = CliStore(path), f"{path.parent.name}, {path}"
    try:
        tokens = store.all_tokens()
        if not tokens:
            return [Refusal(source, "", _without_token(store.signed_in_to()))]
    except (sqlite3.Error, OSError) as error:
        return [Refusal(source, "", f"it cannot be read as a database of kiro-cli: {_of(error)}")]
    items: list[Entry | Refusal] = []
    for key, token in tokens.items():
        if isinstance(token, AccountUnavailable):
            items.append(Refusal(source, key, _reason(token, f"{path}, {key}")))
        else:
            items.append(_entry(source, key, token, following("cli", str(path), key) if follow else ""))
    return items


def _without_token(remembered: Mapping[str, str]) -> str:
    """kiro-cli keeps some tokens in the system's keychain, where no other program is meant to look (5.5 b)."""
    if not remembered:
        return (
            "nobody is signed in there, or the token lies in the system's keychain, where it cannot be imported from; "
            "sign in with `kirotrio login`"
        )
    start_url, region = _plain_text(remembered.get(_START_URL, "")), _plain_text(remembered.get(_REGION, ""))
    command = "kirotrio login"
    if start_url.rstrip("/") == BUILDER_ID_START_URL:
        command += " builder-id"
    elif start_url:
        command += f" identity-center --start-url {start_url}" + (f" --region {region}" if region else "")
    return (
        "a sign-in is there, but its token lies in the system's keychain, where it cannot be imported from; sign in "
        f"once more with `{command}`"
    )


def _plain_text(value: str) -> str:
    """A state row's value: text, or text as JSON. "" for anything that has no place in a command."""
    try:
        text = json.loads(value)
    except ValueError:
        text = value
    usable = (
        isinstance(text, str)
        and len(text) <= 200
        and text.isascii()
        and all(s.isalnum() or s in ":/._-#" for s in text)
    )
    return text if usable else ""


def _one(source: str, standard_input: Callable[[], BinaryIO], follow: bool) -> list[Entry | Refusal]:
    if source == STANDARD_INPUT:
        if follow:
            return [Refusal("standard input", "", "standard input cannot be followed; leave --follow out")]
        return entries_of(standard_input().read(LARGEST_DOCUMENT + 1), "standard input")
    path = Path(source).expanduser().absolute()
    try:
        with path.open("rb") as file:
            document = file.read(LARGEST_DOCUMENT + 1)
    except OSError as error:
        return [Refusal(source, "", f"it cannot be read: {_of(error)}; name a file, `ide`, `kiro-cli` or `-`")]
    if document.startswith(_SQLITE):
        return _database(path, follow)
    items = entries_of(document, source, path.parent)
    return [_followed(item, path) for item in items] if follow else items


def _followed(item: Entry | Refusal, path: Path) -> Entry | Refusal:
    """A file is followed as the Kiro IDE's is: one account, which is the whole of it."""
    if isinstance(item, Refusal):
        return item
    if item.path:
        reason = "only a file of the Kiro IDE's form, with one account that is not nested, can be followed"
        return Refusal(item.source, item.path, reason, item.name)
    return attrs.evolve(item, follows=following("ide", str(path)))


def _entry(source: str, path: str, credential: Credential, follows: str) -> Entry:
    return Entry(source=source, path=path, credential=credential, follows=follows)


def _registration(folder: Path, digest: str) -> Mapping[str, Any] | None:
    path = folder / f"{digest}.json"
    try:
        with path.open("rb") as file:
            return decode_object(file.read(LARGEST_DOCUMENT), str(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreadable(f"the client registration {path} cannot be read: {_of(error)}") from None


def _reason(error: Exception, where: str) -> str:
    if isinstance(error, AccountUnavailable):
        return error.message.removeprefix(f"{where}: ")
    return f"it cannot be read: {_of(error)}"


def _of(error: Exception) -> str:
    return ((error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__).lower()
