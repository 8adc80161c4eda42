"""Which account is meant where several sources name one: that of the strongest source, whatever its kind.

Setting by setting, a refresh token from the environment would stand beside an API key from the command line, and
which of the two answers would be decided by their kinds. A sign-in and what describes it are one thing, so a weaker
source's goes as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from kirotrio.config.sources import Found

_SIGN_INS = ("accounts.refresh_token", "accounts.api_key", "accounts.creds_file")
_DESCRIPTION = ("accounts.client_id", "accounts.client_secret", "accounts.sso_region", "accounts.profile_arn")
"""They belong to the sign-in of their own source; where that has none, to whichever answers."""


def with_one_sign_in(weak_to_strong: Sequence[list[Found]]) -> tuple[list[list[Found]], list[str]]:
    """The same sources without the sign-ins that a stronger one replaces, and a notice about each of these."""
    naming = [place for place, source in enumerate(weak_to_strong) if any(map(_names_one, source))]
    if len(naming) < 2:
        return list(weak_to_strong), []
    strongest = naming[-1]
    winner = next(found for found in reversed(weak_to_strong[strongest]) if _names_one(found))
    kept, notices = [], []
    for place, source in enumerate(weak_to_strong):
        if place not in naming[:-1]:
            kept.append(source)
            continue
        notices += [
            f"{found.origin}: {found.name} is left out, since {winner.name} ({winner.origin}) names the account"
            for found in {found.name: found for found in source if _names_one(found)}.values()
        ]
        kept.append([found for found in source if found.name not in (*_SIGN_INS, *_DESCRIPTION)])
    return kept, notices


def _names_one(found: Found) -> bool:
    """Whether this is a sign-in. What is no text is refused elsewhere, and an empty text names none."""
    return found.name in _SIGN_INS and (not isinstance(found.raw, str) or bool(found.raw.strip()))
