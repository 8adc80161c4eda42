"""The settings of who may ask and who may sign in."""

from __future__ import annotations

from kirotrio.classes import frozen
from kirotrio.config.setting import setting


@frozen
class AccessSettings:
    trusted_proxies: str = setting(
        "",
        "reverse proxies that may say whom a request comes from, addresses or networks separated by commas",
        form="networks",
    )
    forwarded_header: str = setting(
        "x-forwarded-for",
        "the field in which they say it; the other one is not read",
        choices=("x-forwarded-for", "forwarded"),
    )
    allow: str = setting(
        "",
        "addresses or networks that are let in, separated by commas; empty: all that access.deny does not name",
        form="networks",
    )
    deny: str = setting(
        "", "addresses or networks that are not let in, even where access.allow names them", form="networks"
    )


@frozen
class UserSettings:
    registration: str = setting(
        "invitation",
        "how a stranger becomes a user: not at all, by an invitation, or also by asking and being approved",
        choices=("closed", "invitation", "approval"),
    )
    new_role: str = setting(
        "member", "what a user may do who asked to be one and was approved", choices=("member", "viewer")
    )
    invitation_lifetime: float = setting(
        7 * 86_400.0, "how long an invitation can be accepted", unit="seconds", above=0
    )
    password_length: int = setting(10, "fewest characters of a password", unit="characters", least=8, most=64)
    require_second_factor: bool = setting(
        False, "an operator who has no second factor can do nothing else until there is one"
    )
    own_keys: bool = setting(
        False, "members make keys for any account and set their limits; false: for accounts of their own alone"
    )
    session_idle: float = setting(86_400.0, "a sign-in to the console ends unused after", unit="seconds", above=0)
    session_lifetime: float = setting(
        14 * 86_400.0, "a sign-in to the console ends in any case after", unit="seconds", above=0
    )
    keep_audit: float = setting(
        365 * 86_400.0, "how long lines of the audit log are kept; 0: for ever", unit="seconds", least=0
    )


@frozen
class SignInSettings:
    """Where people may sign in to the console besides here: see docs/sign-in.md."""

    public_url: str = setting(
        "", "address at which browsers reach this gateway, for providers to send them back to", form="url"
    )
    openid_issuer: str = setting("", "issuer of an OpenID provider to sign in at", form="url")
    openid_client_id: str = setting("", "what that provider knows this gateway as")
    openid_client_secret: str = setting("", "secret of that client; empty: it has none", secret=True)
    openid_name: str = setting("", "what the button calls that provider; empty: the host of its address")
    openid_scopes: str = setting("openid profile email", "what that provider is asked to tell, separated by blanks")
    github_client_id: str = setting("", "client id of an OAuth app at GitHub, to sign in there")
    github_client_secret: str = setting("", "secret of that app", secret=True)
    github_url: str = setting("", "address of a GitHub Enterprise Server; empty: https://github.com", form="url")
    linuxdo_client_id: str = setting("", "client id of an application at connect.linux.do, to sign in there")
    linuxdo_client_secret: str = setting("", "secret of that application", secret=True)
    linuxdo_url: str = setting("", "replaces https://connect.linux.do", form="url")
    linuxdo_trust_level: int = setting(
        0, "trust level that a LinuxDo user needs, up to 4; 0: any", unit="levels", least=0, most=4
    )
    deadline: float = setting(10.0, "for one call to such a provider", unit="seconds", above=0)


def unfinished(settings: SignInSettings) -> list[str]:
    """A sentence for each provider of which only a part is set, so that nobody can sign in there."""
    pairs = (
        ("openid_issuer", "openid_client_id"),
        ("openid_client_id", "openid_issuer"),
        ("openid_client_secret", "openid_client_id"),
        ("github_client_id", "github_client_secret"),
        ("github_client_secret", "github_client_id"),
        ("linuxdo_client_id", "linuxdo_client_secret"),
        ("linuxdo_client_secret", "linuxdo_client_id"),
    )
    return [
        f"sign_in.{named} is set and sign_in.{other} is not, so that nobody can sign in there"
        for named, other in pairs
        if getattr(settings, named) and not getattr(settings, other)
    ]
