"""Takes secrets out of whatever is about to be written (ARCHITECTURE, rule 10).

Three nets: a value under a name that only secrets have; text in the shape of a token, key or password; and the exact
values of the secrets that the settings hold, also as `repr` and JSON would write them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, final

MASK: Final = "***"

SHORTEST = 4
"""An exact secret of fewer characters is not looked for: it would blot out half of every line."""

_NAMES_KEPT: Final = 1000

_NAMES = re.compile(
    r"(^|_)(token|authorization|api_?key|secret|password|passwd|cookie|credential|credentials|bearer)$", re.IGNORECASE
)

_SHAPES = re.compile(
    r"""
    (?P<scheme>\bbearer\s+)(?!(?:tokens?|auth|authentication|authorization|scheme|header|key|credentials?)[.,;:!?)"']*
      (?:\s|$))\S+                                   # an Authorization header's value; not prose about one
    | \bksk_[A-Za-z0-9_-]+                            # a Kiro API key (KIRO_PROTOCOL 5)
    | \bsk-[A-Za-z0-9][A-Za-z0-9_-]{6,}               # a gateway key (sk-kt-...), or another service's
    | \bao[ar][A-Za-z0-9][A-Za-z0-9_:./+=-]{14,}      # access and refresh tokens (KIRO_PROTOCOL 5)
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?   # a JWT
    | (?P<user>://[^\s/:@]*:)[^\s/@]+(?=@)            # a password inside an address
    """,
    re.IGNORECASE | re.VERBOSE,
)


_PERSONAL = re.compile(
    r"""
    [A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+     # an e-mail address
    | \barn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:\d*:[^\s"'<>\\]+   # an ARN, with the account's number
    """,
    re.VERBOSE,
)
"""What tells whose account it is."""

_MARKS: Final = ("bearer", "sk-", "ksk_", "aoa", "aor", "eyj", "://")
"""Every shape begins with one of these, in lower case."""


@final
class Redactor:
    """`value()` gives a copy of anything without its secrets; what is no plain value becomes text first.

    For what is kept or handed on, and not only logged: `personal` takes out e-mail addresses and ARNs too, and
    `same_length` leaves a star for each character, so that what was cut into pieces can be cut again.
    """

    def __init__(self, secrets: Iterable[str] = (), *, personal: bool = False, same_length: bool = False) -> None:
        spellings: set[str] = set()
        for secret in secrets:
            if len(secret) >= SHORTEST:
                spellings |= {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]}
        longest_first = self._spellings = sorted(spellings, key=len, reverse=True)
        self._exact = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        self._harmless: set[str] = set()
        self._personal = personal
        self._same_length = same_length

    def is_harmless(self, line: str) -> bool:
        """Whether plain values can be written as this line of JSON has them, names of fields aside; False is no proof
        of a secret, but a reason to look at each value.

        A backslash may have taken the edge off a shape, and beyond ASCII letters have more than one lower case.
        """
        if "\\" in line or not line.isascii():
            return False
        for secret in self._spellings:  # faster than a pattern of them all, few as they are
            if secret in line:
                return False
        lower = line.lower()
        return all(mark not in lower for mark in _MARKS)

    def are_plain_names(self, names: Iterable[str]) -> bool:
        """Whether fields of these names are shown as they are, names and values. Remembered: a program has few."""
        return self._harmless.issuperset(names) or all(map(self._is_plain_name, names))

    def _is_plain_name(self, name: str) -> bool:
        if self.value("", name) or self.text(name) != name:
            return False
        if len(self._harmless) < _NAMES_KEPT:
            self._harmless.add(name)
        return True

    def text(self, text: str) -> str:
        """The text with every secret that can be told replaced by `***`."""
        if self._same_length:
            return self._starred(text)
        if self._exact is not None:
            text = self._exact.sub(MASK, text)
        text = _SHAPES.sub(_masked, text)
        return _PERSONAL.sub(MASK, text) if self._personal else text

    def _starred(self, text: str) -> str:
        if self._exact is not None:
            text = self._exact.sub(_stars, text)
        text = _SHAPES.sub(_stars, text)
        return _PERSONAL.sub(_stars, text) if self._personal else text

    def value(self, value: Any, name: str = "") -> Any:
        """`value` as it may be shown under `name`."""
        if value is None or isinstance(value, bool):
            return value
        if name and _NAMES.search(name.replace("-", "_")):
            return MASK
        if isinstance(value, int | float):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(part, str(key)) for key, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(part) for part in value]
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode("utf-8", "replace"))
        return self.text(str(value))


def _stars(match: re.Match[str]) -> str:
    kept = (match["scheme"] or match["user"] or "") if match.re is _SHAPES else ""
    return kept + "*" * (len(match[0]) - len(kept))


def _masked(match: re.Match[str]) -> str:
    return (match["scheme"] or match["user"] or "") + MASK
