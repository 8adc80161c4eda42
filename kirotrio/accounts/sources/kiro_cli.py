"""kiro-cli's sign-in: rows of a key-value table in SQLite (KIRO_PROTOCOL 5.5 b)."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from kirotrio.accounts.credential import Credential, Refreshable
from kirotrio.accounts.credential_json import (
    Unreadable,
    decode_object,
    parse_credential,
    pick_text,
    refresh_token_in,
    with_new_tokens,
)
from kirotrio.classes import frozen
from kirotrio.errors import AccountUnavailable
from kirotrio.store.files import obstacle_to_replacing

_TOKENS = {
    "kirocli:social:token": ("social", None),
    # "odic" is how the program itself spells it.
    "kirocli:odic:token": ("idc", "kirocli:odic:device-registration"),
    "kirocli:external-idp:token": ("external_idp", None),
    "codewhisperer:odic:token": ("idc", "codewhisperer:odic:device-registration"),
}
"""Key of a token, in the order of preference -> its kind, and the key of the client's registration."""
_REGISTRATIONS = tuple(key for _, key in _TOKENS.values() if key)
_PROFILE = "api.codewhisperer.profile"
_SIGNED_IN = ("auth.idc.start-url", "auth.idc.region")
_BUSY = 5.0
"""Seconds to wait while another program writes."""


@frozen
class CliStore:
    """One token of the table."""

    path: Path
    name: str = "kiro-cli"
    remedy: str = "run `kiro-cli login`"
    may_write: bool = True
    key: str = ""
    """Which of the table's tokens; "" for the first usable one."""

    @property
    def where(self) -> str:
        return str(self.path)

    def read(self) -> Credential | None:
        if not self.path.exists():
            return None
        with closing(self._open_to_read()) as database:
            rows = _texts(database, "auth_kv", (*_TOKENS, *_REGISTRATIONS))
            profile = _texts(database, "state", (_PROFILE,)).get(_PROFILE)
        first_problem: AccountUnavailable | None = None
        for key, (kind, registration_key) in _TOKENS.items():
            if key not in rows or self.key not in ("", key):
                continue
            try:
                return self._parse(key, rows[key], kind, rows.get(registration_key or ""), profile)
            except AccountUnavailable as problem:
                first_problem = first_problem or problem
        if first_problem is not None:
            raise first_problem
        return None

    def all_tokens(self) -> dict[str, Credential | AccountUnavailable]:
        """Every token of the table under its key, or why it is not usable. Raises OSError or sqlite3.Error."""
        with closing(self._open_to_read()) as database:
            rows = _texts(database, "auth_kv", (*_TOKENS, *_REGISTRATIONS))
            profile = _texts(database, "state", (_PROFILE,)).get(_PROFILE)
        found: dict[str, Credential | AccountUnavailable] = {}
        for key, (kind, registration_key) in _TOKENS.items():
            if key in rows:
                try:
                    found[key] = self._parse(key, rows[key], kind, rows.get(registration_key or ""), profile)
                except AccountUnavailable as problem:
                    found[key] = problem
        return found

    def signed_in_to(self) -> dict[str, str]:
        """What the program remembers of a sign-in beside its token, which may lie in the system's keychain instead:
        `auth.idc.start-url`, `auth.idc.region`, the profile, and under their keys the registrations of clients, without
        what is in them. Raises OSError or sqlite3.Error."""
        with closing(self._open_to_read()) as database:
            clients = _texts(database, "auth_kv", _REGISTRATIONS)
            return {**dict.fromkeys(clients, ""), **_texts(database, "state", (*_SIGNED_IN, _PROFILE))}

    def watched(self) -> tuple[Path, ...]:
        # With a write-ahead log, the database's own file changes much later.
        return self.path, self.path.with_name(f"{self.path.name}-wal")

    def original(self) -> Refreshable | None:
        return None

    def obstacle(self) -> str | None:
        if not self.may_write:
            return "accounts.write_back is off; switch it on"
        problem = obstacle_to_replacing(self.path)
        return f"{problem}; make it writable" if problem else None

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        if not self.path.exists():
            return False
        uri = f"{self.path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            for key, text in _texts(database, "auth_kv", tuple(_TOKENS)).items():
                try:
                    entry = decode_object(text, f"{self.where}, {key}")
                except Unreadable:
                    continue  # not the row that is looked for
                if refresh_token_in(entry) == old_refresh_token:
                    value = json.dumps(with_new_tokens(entry, new), separators=(",", ":"), ensure_ascii=False)
                    database.execute("UPDATE auth_kv SET value = ? WHERE key = ?", (value, key))
                    database.execute("COMMIT")
                    return True
            database.execute("ROLLBACK")
        return False

    def _open_to_read(self) -> sqlite3.Connection:
        uri = f"{self.path.absolute().as_uri()}?mode=ro"
        database = sqlite3.connect(uri, uri=True, timeout=_BUSY)
        try:
            database.execute("SELECT 1 FROM sqlite_master LIMIT 1")
        except sqlite3.Error as error:
            database.close()
            if not isinstance(error, sqlite3.OperationalError) or os.access(self.path.parent, os.W_OK):
                raise
            # With a write-ahead log, on a medium mounted read-only, it opens only as one that nobody changes.
            return sqlite3.connect(f"{uri}&immutable=1", uri=True, timeout=_BUSY)
        return database

    def _parse(self, key: str, text: str, kind: str, registration: str | None, profile: str | None) -> Credential:
        where = f"{self.where}, {key}"
        entry: dict[str, Any] = {"authMethod": kind, **decode_object(text, where)}
        client = decode_object(registration, f"{where} (registration)") if registration else None
        return parse_credential(entry, where=where, registration=client, profile_arn=_arn_in(profile, where))


def _texts(database: sqlite3.Connection, table: str, keys: tuple[str, ...]) -> dict[str, str]:
    """Key -> value of those `keys` that the table holds; nothing where there is no such table."""
    there = database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).fetchone()
    if there is None:
        return {}
    marks = ", ".join("?" * len(keys))
    rows = database.execute(f"SELECT key, value FROM {table} WHERE key IN ({marks})", keys)  # noqa: S608 - our own names
    texts = ((key, value.decode("utf-8", "replace") if isinstance(value, bytes) else value) for key, value in rows)
    return {key: value for key, value in texts if isinstance(value, str)}


def _arn_in(profile: str | None, where: str) -> str:
    try:
        return pick_text(decode_object(profile, where), "arn", where) if profile else ""
    except Unreadable:
        return ""  # only a shortcut: a profile that is needed is looked up
