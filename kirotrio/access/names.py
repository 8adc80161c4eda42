"""Names of users and their addresses: what two people could take for the same is the same."""

from __future__ import annotations

import re
import unicodedata

from kirotrio.errors import SettingsError

LONGEST_NAME = 64
LONGEST_EMAIL = 320
LONGEST_PASSWORD = 256
_SIGNS = frozenset("._-@+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_NO_NAME = re.compile(r"[^\w._@+]+")


def normalised(name: str) -> str:
    """What tells users apart: NFKC and without the case of letters. Any text has it; it need be no name.

    Cut to what a name may have and a sign more, so that no length makes work.
    """
    name = name[: 4 * LONGEST_NAME].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    name = unicodedata.normalize("NFKC", name.strip()).casefold()
    return unicodedata.normalize("NFKC", name)[: LONGEST_NAME + 1]


def user_name(name: str) -> str:
    """`normalised`, checked for a new user. Raises SettingsError, which says what can be a name."""
    found = normalised(name)
    if not found or len(found) > LONGEST_NAME or len(name.strip()) > LONGEST_NAME or not all(map(_may_stand, found)):
        raise SettingsError(
            f"this cannot be the name of a user: up to {LONGEST_NAME} letters, digits and the signs . _ - @ + can"
        )
    return found


def email(address: str) -> str:
    """Checked; "" for none. Raises SettingsError."""
    address = unicodedata.normalize("NFC", address.strip())
    if address and (len(address) > LONGEST_EMAIL or not address.isprintable() or not _EMAIL.fullmatch(address)):
        raise SettingsError("this is no e-mail address; one looks like anna@example.org")
    return address


def password(given: str, name: str, shortest: int) -> str:
    """A new password in the form that is hashed. Raises SettingsError, which never shows it."""
    found = as_password(given)
    if len(found) < shortest:
        raise SettingsError(f"this password is too short; it has to have {shortest} characters or more")
    if len(found) > LONGEST_PASSWORD:
        raise SettingsError(f"this password is too long; it may have {LONGEST_PASSWORD} characters")
    if len(set(found)) < 4 or normalised(found) == name:
        raise SettingsError("this password is too easily guessed; choose another one")
    return found


def as_password(given: str) -> str:
    """The same however a keyboard composes its letters. What is longer than a password stays so, and is none."""
    return unicodedata.normalize("NFC", given[: 2 * LONGEST_PASSWORD])


def suggested(shown: str, taken: frozenset[str] | set[str]) -> str:
    """A name for somebody who is called so elsewhere, which nobody here has."""
    base = "".join(sign for sign in normalised(_NO_NAME.sub("-", shown)) if _may_stand(sign))[: LONGEST_NAME - 8]
    base = base.strip("-") or "user"
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _may_stand(sign: str) -> bool:
    return sign in _SIGNS or unicodedata.category(sign)[0] in "LMN"
