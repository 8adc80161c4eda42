"""What a form that waits to be sent says, in the words of the page that it stands on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from kirotrio.web.console.languages import LANGUAGES, N_, Speech
from kirotrio.web.console.refusals import label
from kirotrio.web.console.visit import OPERATOR, Visit, people_of
from kirotrio.web.console.words import MODES, ROLES, SEVERITIES, THEME_NAMES, WAYS, WHOSE
from kirotrio.web.gateway import Gateway

_TICKS: Final[Mapping[str, str]] = {
    "address": N_("Google and GitHub: without a code, by the address that the browser ends at"),
    "check": N_("Try each sign-in at Kiro"),
    "follow": N_("Leave the tokens where they are, and follow them there"),
}
_CHOICES: Final[Mapping[str, Mapping[str, str]]] = {
    "language": LANGUAGES,
    "mode": MODES,
    "role": ROLES,
    "severity": SEVERITIES,
    "theme": THEME_NAMES,
    "way": WAYS,
    "whose": WHOSE,
}
_LINES: Final = frozenset({"models", "networks"})
_MOMENTS: Final = frozenset({"from_at", "until_at"})
OWNERS_OF_KEYS: Final[Mapping[str, str]] = {"me": N_("You"), "gateway": N_("The gateway")}
"""Whose a key may be, beside users by their ids."""


async def recalled(
    gateway: Gateway, visit: Visit, fields: Iterable[tuple[str, str]], hidden: frozenset[str]
) -> list[tuple[str, str]]:
    """Each field that holds anything, by its label, with what the page calls its value; `hidden` ones are left out."""
    shown: dict[str, list[str]] = {}
    for name, value in fields:
        if value.strip() and name not in hidden:
            shown.setdefault(called(visit.speech, name), []).append(await _value(gateway, visit, name, value))
    return [(name, ", ".join(values)) for name, values in shown.items()]


def called(speech: Speech, name: str) -> str:
    """The label of a form's field, its name where no page has one."""
    return speech(_TICKS[name]) if name in _TICKS else label(speech, name) or name


async def _value(gateway: Gateway, visit: Visit, name: str, value: str) -> str:
    speech = visit.speech
    if name in _TICKS:
        return speech(N_("Yes"))
    if name == "owner":
        return await _owner(gateway, visit, value)
    if name in _LINES:
        return ", ".join(line.strip() for line in value.splitlines() if line.strip())
    if name in _MOMENTS:
        return f"{value.replace('T', ' ')} UTC"
    return speech(_CHOICES[name].get(value, value)) if name in _CHOICES else value


async def _owner(gateway: Gateway, visit: Visit, value: str) -> str:
    """Only operators give keys to others, and may know who those are."""
    if value in OWNERS_OF_KEYS:
        return visit.speech(OWNERS_OF_KEYS[value])
    user = await (await people_of(gateway)).user(value) if visit.may(OPERATOR) else None
    return user.name if user is not None else visit.speech(N_("somebody who is not a user any more"))
