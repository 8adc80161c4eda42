"""The Kiro IDE's sign-in: one JSON file, with the client's registration in another beside it (KIRO_PROTOCOL 5.5 a).

A file named by `accounts.creds_file` has the same form and may hold the registration itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kirotrio.accounts.credential import Credential, Refreshable
from kirotrio.accounts.credential_json import (
    Unreadable,
    decode_object,
    parse_credential,
    pick,
    pick_text,
    refresh_token_in,
    with_new_tokens,
)
from kirotrio.classes import frozen
from kirotrio.store.files import obstacle_to_replacing, write_atomic

_HASH = re.compile(r"[A-Za-z0-9_-]+")


@frozen
class IdeStore:
    """`profile` is the IDE's profile.json, for a sign-in that names no profile itself."""

    path: Path
    name: str = "kiro-ide"
    remedy: str = "sign in again in the Kiro IDE"
    profile: Path | None = None
    may_write: bool = True

    @property
    def where(self) -> str:
        return str(self.path)

    def read(self) -> Credential | None:
        entry = self._entry()
        if entry is None:
            return None
        return parse_credential(
            entry, where=self.where, registration=self._registration(entry), profile_arn=self._profile_arn()
        )

    def watched(self) -> tuple[Path, ...]:
        return (self.path,)

    def original(self) -> Refreshable | None:
        return None

    def obstacle(self) -> str | None:
        if not self.may_write:
            return "accounts.write_back is off; switch it on"
        problem = obstacle_to_replacing(self.path)
        return f"{problem}; make it writable" if problem else None

    def write_back(self, old_refresh_token: str, new: Refreshable) -> bool:
        entry = self._entry()
        if entry is None or refresh_token_in(entry) != old_refresh_token:
            return False
        content = json.dumps(with_new_tokens(entry, new), indent=2, ensure_ascii=False)
        write_atomic(self.path, content.encode(), keep_mode=True)
        return True

    def _entry(self) -> dict[str, Any] | None:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        return decode_object(content, self.where)

    def _registration(self, entry: dict[str, Any]) -> dict[str, Any] | None:
        if pick(entry, "clientId") and pick(entry, "clientSecret"):
            return None
        digest = pick_text(entry, "clientIdHash", self.where)
        if not digest:
            return None
        if not _HASH.fullmatch(digest):  # it becomes a file name
            raise Unreadable(f"{self.where}: clientIdHash is not a hash")
        beside = self.path.with_name(f"{digest}.json")
        try:
            content = beside.read_bytes()
        except FileNotFoundError:
            raise Unreadable(f"{self.where}: the client registration {beside.name} is missing beside it") from None
        return decode_object(content, str(beside))

    def _profile_arn(self) -> str:
        if self.profile is None:
            return ""
        try:
            entry = decode_object(self.profile.read_bytes(), str(self.profile))
            return pick_text(entry, "arn", str(self.profile))
        except (OSError, Unreadable):
            return ""  # only a shortcut: a profile that is needed is looked up
