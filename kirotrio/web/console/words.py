"""Words that several pages say, and sentences from below that readers of other languages meet often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kirotrio.web.console.languages import N_

ROLES: Final[Mapping[str, str]] = {"operator": N_("Operator"), "member": N_("Member"), "viewer": N_("Viewer")}

USER_STATES: Final[Mapping[str, str]] = {
    "active": N_("Active"),
    "waiting": N_("Waits for approval"),
    "disabled": N_("Disabled"),
}

ACCOUNT_KINDS: Final[Mapping[str, str]] = {
    "social": N_("Google or GitHub"),
    "builder-id": "AWS Builder ID",
    "identity-center": "AWS IAM Identity Center",
    "external": N_("A company's own sign-in (Microsoft Entra)"),
    "api-key": N_("An API key of the Kiro portal (ksk_…)"),
}
_PROVIDERS: Final = {"google": "Google", "github": "GitHub"}


def account_kind(kind: str, provider: str) -> str:
    """Through what one signs in to it: English, and in the catalogue where it is not a name."""
    if kind == "social":
        return _PROVIDERS.get(provider.lower()) or provider or ACCOUNT_KINDS[kind]
    return ACCOUNT_KINDS.get(kind, kind)


WAYS: Final[Mapping[str, str]] = {
    "google": "Google",
    "github": "GitHub",
    **{kind: name for kind, name in ACCOUNT_KINDS.items() if kind != "social"},
}
"""How one may sign in to Kiro; the first two are social."""
WHOSE: Final[Mapping[str, str]] = {
    "team": N_("The team's"),
    "mine": N_("Yours, private"),
    "lent": N_("Yours, lent to the team"),
}
"""Whose an account may be that somebody brings."""

SEVERITIES: Final[Mapping[str, str]] = {
    "info": N_("Note"),
    "warning": N_("Warning"),
    "critical": N_("Critical"),
}
"""Of announcements."""

MODES: Final[Mapping[str, str]] = {
    "open": N_("Open"),
    "self-use": N_("Self-use"),
    "maintenance": N_("Maintenance"),
}
"""Of the gateway."""

THEME_NAMES: Final[Mapping[str, str]] = {"auto": N_("As the system"), "light": N_("Light"), "dark": N_("Dark")}

ENDINGS: Final[Mapping[str, tuple[str, str]]] = {
    "finished": (N_("Finished"), "good"),
    "refused": (N_("Refused"), "warn"),
    "cancelled": (N_("Cancelled"), ""),
    "left": (N_("Client left"), ""),
    "stopped": (N_("Stopped"), "warn"),
    "failed": (N_("Failed"), "bad"),
}
"""How requests end, by the value of `Ending`: its name, and the tone of its badge."""

FROM_BELOW: Final = (
    N_("an operator has to approve this sign-in first"),
    N_("give your password once more for this"),
    N_("the name or the password is not right"),
    N_("the password is not right"),
    N_("this code is not right; look whether the clocks agree, and enter the next one"),
    N_("this form was sent by another site; open the page itself and send it from there"),
    N_("this gateway is set up already; sign in"),
    N_("this invitation is not valid any more; ask for another one"),
    N_("this is not the gateway's key; `kirotrio keys show` prints it"),
    N_("this page is from an earlier sign-in; load it again and repeat what you did"),
    N_("this password is too easily guessed; choose another one"),
    N_("there is no such user any more"),
    N_("this is the last operator who can sign in; make another user one first (`kirotrio users set-role`)"),
    N_("your role does not include this"),
)
"""What errors say: `pages.said` looks them up. Nothing here is ever said in English by this list."""
