"""What an account takes from the settings."""

from __future__ import annotations

from attrs import field

from kirotrio.accounts.endpoints import real_arn
from kirotrio.classes import frozen
from kirotrio.config.settings import Settings
from kirotrio.kiro.endpoints import USER_AGENT


@frozen
class Terms:
    """Durations are seconds; `ahead`: how long before its expiry a token is refreshed; `deadline`: for one call.

    `profile_arn` is the one that a person named, "" if none.
    """

    ahead: float
    deadline: float
    auth_url: str
    data_url: str
    flavour: str
    region: str
    user_agent: str
    profile_arn: str = ""
    turn: float = 60.0
    """How long to wait while another process refreshes."""
    proxy_url: str | None = field(default=None, repr=False)
    """The account's own proxy; "" for none, None for the one of the settings."""

    @classmethod
    def of(cls, settings: Settings, *, profile_arn: str = "") -> Terms:
        return cls(
            ahead=settings.accounts.refresh_ahead,
            deadline=settings.deadlines.sign_in,
            turn=turn_lasts(settings),
            auth_url=settings.upstream.auth_url,
            data_url=settings.upstream.url,
            flavour=settings.upstream.flavour,
            region=settings.upstream.region,
            user_agent=settings.upstream.user_agent or USER_AGENT,
            profile_arn=real_arn(profile_arn),
        )


def turn_lasts(settings: Settings) -> float:
    """Seconds that a turn to refresh may take: the tries of a call and its writing, with the pauses in between."""
    return 3 * settings.deadlines.sign_in + 2 * settings.deadlines.store
