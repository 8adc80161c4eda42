"""The audit log in words: its actions, the names of details, and values that are words of ours. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from kirotrio.web.console.languages import N_, Speech
from kirotrio.web.console.refusals import label
from kirotrio.web.console.words import ACCOUNT_KINDS, ROLES, USER_STATES

ACTIONS: Final[Mapping[str, str]] = {
    "account.add": N_("Account added"),
    "account.change": N_("Account changed"),
    "account.disable": N_("Account disabled"),
    "account.enable": N_("Account enabled"),
    "account.import": N_("Account imported"),
    "account.keep": N_("Account made private"),
    "account.lend": N_("Account lent to the team"),
    "account.order": N_("Account's order changed"),
    "account.remove": N_("Account removed"),
    "account.rename": N_("Account renamed"),
    "account.renew": N_("Account signed in anew"),
    "account.test": N_("Account tested"),
    "announcement.create": N_("Announcement made"),
    "announcement.edit": N_("Announcement changed"),
    "announcement.remove": N_("Announcement removed"),
    "answer.cancel": N_("Answer ended"),
    "identity.attach": N_("Sign-in elsewhere attached"),
    "identity.detach": N_("Sign-in elsewhere detached"),
    "invitation.accept": N_("Invitation accepted"),
    "invitation.create": N_("Invitation made"),
    "invitation.remove": N_("Invitation withdrawn"),
    "key.change": N_("Key changed"),
    "key.create": N_("Key made"),
    "key.revoke": N_("Key revoked"),
    "key.rotate": N_("Key rotated"),
    "mode.change": N_("Mode changed"),
    "playground.key": N_("Playground key issued"),
    "recording.download": N_("Recording downloaded"),
    "sign-in.end": N_("Signed out by themselves"),
    "sign-in.fail": N_("Sign-in failed"),
    "sign-in.revoke": N_("Sign-in ended"),
    "sign-in.succeed": N_("Signed in"),
    "store.backup": N_("Backup made"),
    "store.forget-secrets": N_("Secrets given up"),
    "store.rotate-key": N_("Key to the secrets rotated"),
    "user.approve": N_("User approved"),
    "user.create": N_("User made"),
    "user.disable": N_("User disabled"),
    "user.disable-second-factor": N_("Second factor turned off"),
    "user.enable": N_("User enabled"),
    "user.enable-second-factor": N_("Second factor turned on"),
    "user.register": N_("User asked to join"),
    "user.remove": N_("User removed"),
    "user.rename": N_("User renamed"),
    "user.reset-second-factor": N_("Second factor taken away"),
    "user.set-display": N_("Shown name changed"),
    "user.set-language": N_("Language changed"),
    "user.set-password": N_("Password changed"),
    "user.set-role": N_("Role changed"),
    "user.set-up": N_("Gateway set up"),
    "user.set-up-fail": N_("Setting up failed"),
}
"""By what the log has. One that is not here (of a newer program) is shown as it is."""

_DETAILS: Final[Mapping[str, str]] = {
    "accounts": N_("Accounts"),
    "answered": N_("Answered"),
    "asked": N_("Asked for"),
    "before": N_("Before"),
    "by": N_("By means of"),
    "bytes": N_("Bytes"),
    "count": N_("Count"),
    "credits": N_("Credits"),
    "dropped": N_("Given up"),
    "enabled": N_("Enabled"),
    "from": N_("Before"),
    "id": N_("Number"),
    "keys": N_("Keys"),
    "kind": N_("Kind"),
    "lent": N_("Lent to the team"),
    "model": N_("Model"),
    "prefix": N_("Begins with"),
    "provider": N_("Where"),
    "shown": N_("Who"),
    "state": N_("State"),
    "taken": N_("The name was taken"),
    "was": N_("Before"),
    "with_key": N_("With the key to its secrets"),
}

_VALUES: Final[Mapping[str, Mapping[str, str]]] = {
    "asked": {"usage": N_("What it is worth"), "question": N_("A real question")},
    "by": {
        "password": N_("Password"),
        "code": N_("Second factor"),
        "key": N_("The gateway's key"),
        "set-up": N_("Setting up"),
    },
    "from": {"open": N_("Open"), "self-use": N_("Self-use"), "maintenance": N_("Maintenance")},
    "severity": {"note": N_("Note"), "warning": N_("Warning"), "critical": N_("Critical")},
    "kind": ACCOUNT_KINDS,
    "role": ROLES,
    "state": USER_STATES,
    "was": {**ROLES, **USER_STATES},
}


def told(speech: Speech, action: str, detail: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Each detail's name, its value, and whether the value is of our words (else it is what somebody entered)."""
    for name, value in detail.items():
        shown = speech(_DETAILS[name]) if name in _DETAILS else label(speech, name) or name
        words = _VALUES.get(name, {})
        if isinstance(value, bool):
            yield shown, speech(N_("Yes")) if value else speech(N_("No")), True
        elif isinstance(value, str) and value in words:
            yield shown, speech(words[value]), True
        else:
            yield shown, _plain(value, name, action == "key.change"), False


def _plain(value: object, name: str = "", changed: bool = False) -> str:
    """`changed`: a list is what was, and what is."""
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, list):
        return (" → " if changed else ", ").join(_plain(one, name) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}={_plain(one)}" for key, one in value.items())
    if isinstance(value, int | float) and name.endswith("_at"):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return str(value)
