"""Where the accounts are in a document of any shape (KIRO_PROTOCOL 5.5, and the exports of other programs). Pure.

An account is an object with a sign-in in it. It stands alone, in a list, or in an object under its name; all of that
may be nested under `credentials`, `credentials_kiro_rs`, `accounts`, `tokens` or `data`, in any order and repeatedly.
What stands beside such a member is a wrapper's metadata: it describes the one account that is nested there (its name,
its region), and where several are, nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import field

from kirotrio.accounts.importing.document import NoDocument, values_in
from kirotrio.accounts.importing.fields import SIGNS, can_be_shown, completed, fields_of, handed_down, plain
from kirotrio.classes import frozen

DEEPEST: Final = 16
"""Levels that are looked into."""
MOST: Final = 10_000
"""Accounts in one document."""

_WRAPPERS: Final = frozenset({"credentials", "credentialskirors", "accounts", "tokens", "data"})
_NOTHING = "neither refreshToken nor apiKey is in it"


@frozen
class Found:
    """An account's members, by our names (`fields`). `path` says where: `accounts[3]`, "" for the whole document.

    `name`: what it stands under in an object of accounts. `problem`: why it is none after all, "" if it is one.
    """

    path: str
    name: str = ""
    fields: Mapping[str, Any] = field(factory=dict, repr=False)
    problem: str = ""


def accounts_in(document: bytes) -> list[Found]:
    """All accounts of a JSON or JSON Lines document, in its order. Raises NoDocument where nothing is one."""
    walk = _Walk()
    for value in values_in(document):
        if value.problem:
            walk.add(Found(value.path, problem=value.problem))
        elif isinstance(value.content, list) or not value.path:
            walk.look(value.content, value.path, 0)
        else:
            walk.item(value.content, value.path, 0)
    if not walk.found:
        raise NoDocument(_of_another_kind(document))
    return walk.found


class _Walk:
    def __init__(self) -> None:
        self.found: list[Found] = []

    def add(self, found: Found) -> None:
        if len(self.found) == MOST:
            raise NoDocument(f"there are more than {MOST} accounts in it; import it in parts")
        self.found.append(found)

    def item(self, value: Any, path: str, depth: int) -> None:
        """What stands where an account has to."""
        before = len(self.found)
        self.look(value, path, depth)
        if len(self.found) == before:
            self.add(Found(path, problem=_NOTHING if isinstance(value, dict) else "an account is a JSON object"))

    def look(
        self,
        value: Any,
        path: str,
        depth: int,
        *,
        name: str = "",
        down: Mapping[str, Any] | None = None,
        certain: bool = True,
    ) -> None:
        """`down`: what the objects around it say of it. `certain`: whether a list here has to be one of accounts."""
        if not isinstance(value, dict | list):
            return
        if depth > DEEPEST:
            self.add(Found(path, problem=f"nested more than {DEEPEST} deep; nothing deeper is looked at"))
        elif isinstance(value, dict):
            self._object(value, path, depth, name, down or {})
        else:
            for index, item in enumerate(value):
                if certain:
                    self.item(item, f"{path}[{index}]", depth + 1)
                else:
                    self.look(item, f"{path}[{index}]", depth + 1, certain=False)

    def _object(self, value: dict[str, Any], path: str, depth: int, name: str, down: Mapping[str, Any]) -> None:
        fields = fields_of(value)
        wrapped = {
            key: inner for key, inner in value.items() if plain(key) in _WRAPPERS and isinstance(inner, dict | list)
        }
        if _signs_in(fields):
            wrapped = self._account(fields, wrapped, path, name, down)
            down = {}
        before = len(self.found)
        around = completed(fields, down)
        for key, inner in wrapped.items():
            alone = {} if _signs_in(fields) else handed_down(around)
            self.look(inner, _member(path, key, value), depth + 1, name=name, down=alone)
        if _signs_in(fields) or len(self.found) > before:
            return
        if SIGNS & fields.keys():
            self.add(Found(path, name, around))
        elif not wrapped:
            for key, inner in value.items():
                self.look(inner, _member(path, key, value), depth + 1, name=key, certain=False)

    def _account(
        self, fields: dict[str, Any], wrapped: dict[str, Any], path: str, name: str, down: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Add this object itself; what stands nested in it without a sign-in of its own (`tokens` with the access
        token, say) belongs to it. Returns the rest."""
        rest = {}
        for key, inner in wrapped.items():
            nested = fields_of(inner) if isinstance(inner, dict) else {}
            if nested and not _signs_in(nested):
                fields = completed(fields, nested)
            else:
                rest[key] = inner
        self.add(Found(path, name, completed(fields, down)))
        return rest


def _signs_in(fields: Mapping[str, Any]) -> bool:
    """Whether there is something to sign in with. A key that is not Kiro's is a gateway's own, beside its accounts."""
    key = fields.get("apiKey")
    return fields.get("refreshToken") is not None or (isinstance(key, str) and key.startswith("ksk_"))


def _member(path: str, key: str, siblings: Mapping[str, Any]) -> str:
    """The path of a member. A key that might be a secret, or would garble the line, is told by its place."""
    if re.fullmatch(r"[A-Za-z0-9_@.+-]+", key) and can_be_shown(key):
        return f"{path}.{key}" if path else key
    return f"{path}[#{list(siblings).index(key) + 1}]"


def _of_another_kind(document: bytes) -> str:
    """What to say of JSON without an account in it."""
    (first, *more) = values_in(document)
    fields = fields_of(first.content) if isinstance(first.content, dict) else {}
    if not more and fields.get("clientId") and fields.get("clientSecret"):
        return (
            "this is a client registration alone; import the file with the tokens that lies beside it "
            "(kiro-auth-token.json)"
        )
    return "no account is in it: none of its objects has a refreshToken or apiKey"
