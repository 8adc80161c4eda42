"""The subscriptions that the simulated service knows, and the tokens it has given out for them.

Tokens are opaque strings (KIRO_PROTOCOL 5). A refresh gives a new access token and a new refresh token, and the
refresh token that was used is dead from that moment on; access tokens given out earlier live until they expire.
"""

from __future__ import annotations

import base64
import enum
import secrets
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

import orjson
from attrs import field

from kirotrio.classes import define
from kirotrio.simulator import samples
from kirotrio.simulator.subscriptions import Subscription

SOCIAL_ARN: Final = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
BUILDER_ID_ARN: Final = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
"""The placeholder that Kiro's own tools send for a Builder ID (2.6)."""

DEMO_ACCESS_TOKEN: Final = "aoaSimulatorAccessToken" + "0123456789abcdef" * 8 + ":demo"
DEMO_REFRESH_TOKEN: Final = "aorSimulatorRefreshToken" + "0123456789abcdef" * 8 + ":demo"
DEMO_API_KEY: Final = "ksk_simulator_0123456789abcdef0123456789abcdef"
DEMO_OIDC_REFRESH_TOKEN: Final = "aorSimulatorOidcRefresh" + "0123456789abcdef" * 8 + ":demo"
DEMO_CLIENT_ID: Final = "simulator-client-0123456789abcdef"
DEMO_CLIENT_SECRET: Final = "simulator-client-secret-0123456789abcdef"  # noqa: S105 - opens nothing but this simulator


class Kind(enum.Enum):
    """How the account signed in; it decides which headers and profiles go with its tokens (1.3, 2.6)."""

    SOCIAL = "social"
    BUILDER_ID = "builder-id"
    IDENTITY_CENTER = "identity-center"
    API_KEY = "api-key"
    EXTERNAL = "external"

    @property
    def token_types(self) -> tuple[str, ...]:
        """The values of the TokenType header that are accepted; "" is no header."""
        return {Kind.API_KEY: ("API_KEY",), Kind.EXTERNAL: ("EXTERNAL_IDP",)}.get(self, ("", "SSO_OIDC"))


@define
class Account:
    """One subscription. Tests hand their own to the simulator; secrets have no `repr`.

    `refusal` is the name of an error that every data call gets (`TEMPORARILY_SUSPENDED`, `MONTHLY_REQUEST_COUNT`);
    `models` are those that its plan has, None: all.
    """

    name: str
    kind: Kind = Kind.SOCIAL
    refresh_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    """A token that is valid from the start, for tests that do not begin with a refresh."""
    api_key: str = field(default="", repr=False)
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    profiles: tuple[str, ...] = ()
    plan: str = "free"
    models: frozenset[str] | None = None
    refusal: str = ""
    credits_used: float = 0.0
    subscription: Subscription | None = None
    """What it may use before it is used up; None: the sample of its `plan`, without end."""
    email: str = ""
    user_id: str = ""
    identity: str = ""
    """How the portal spells who signed in ("": as fits its kind)."""

    @property
    def portal_identity(self) -> str:
        """The spelling of `Idp` that the portal takes with this account's tokens; "" is none, a key's."""
        by_kind = {Kind.SOCIAL: "Google", Kind.BUILDER_ID: "BuilderId", Kind.API_KEY: ""}
        return self.identity or by_kind.get(self.kind, "AWSIdC")

    @property
    def profile_arn(self) -> str:
        return self.profiles[0] if self.profiles else ""


@define
class _Token:
    account: Account
    expires: float
    revoked: bool = False


@define
class Client:
    """A registered OIDC client. `grants` and `redirects` are what it may ask for; empty: anything."""

    secret: str = field(repr=False)
    expires: float = float("inf")
    grants: tuple[str, ...] = ()
    redirects: tuple[str, ...] = ()
    start_url: str = ""


class TokenState(enum.Enum):
    VALID = "valid"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@define
class Grant:
    """What a refresh or a sign-in gave."""

    account: Account
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in: int


class RefreshTokenDead(Exception):
    """It was valid once: used already, or revoked."""


class RefreshTokenUnknown(Exception):
    """It was never given out."""


def demo_accounts() -> list[Account]:
    """A social account, a Builder ID and an API key, whose secrets are the constants of this module."""
    return [
        Account(
            "demo-social",
            refresh_token=DEMO_REFRESH_TOKEN,
            access_token=DEMO_ACCESS_TOKEN,
            profiles=(SOCIAL_ARN,),
        ),
        Account(
            "demo-builder-id",
            Kind.BUILDER_ID,
            refresh_token=DEMO_OIDC_REFRESH_TOKEN,
            client_id=DEMO_CLIENT_ID,
            client_secret=DEMO_CLIENT_SECRET,
        ),
        Account("demo-key", Kind.API_KEY, api_key=DEMO_API_KEY, plan="pro"),
    ]


def identity_center_account(name: str, *, refresh_token: str, client_id: str, client_secret: str) -> Account:
    """An enterprise account with the profiles of the samples, the first of which is its own."""
    return Account(
        name,
        Kind.IDENTITY_CENTER,
        refresh_token=refresh_token,
        client_id=client_id,
        client_secret=client_secret,
        profiles=sample_profiles(),
        plan="pro",
    )


def sample_profiles() -> tuple[str, ...]:
    """The ARNs of the samples."""
    return tuple(profile["arn"] for profile in samples.load("profiles")["profiles"])


def jwt(claims: Mapping[str, str]) -> str:
    """A token of the form that companies' sign-ins give out, signed by nobody."""
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(orjson.dumps(part)).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, secrets.token_urlsafe(64)])


class AccountBook:
    """All accounts, their tokens, and the OIDC clients. `expires_in` is in seconds of `clock`."""

    def __init__(self, accounts: Iterable[Account], *, expires_in: int, clock: Callable[[], float]) -> None:
        self.accounts = list(accounts)
        self.expires_in = expires_in
        self._clock = clock
        self._access: dict[str, _Token] = {}
        self._refresh: dict[str, Account] = {}
        self._dead: set[str] = set()
        self._clients: dict[str, Client] = {}
        for account in self.accounts:
            if account.refresh_token:
                self._refresh[account.refresh_token] = account
            if account.access_token:
                self._access[account.access_token] = _Token(account, clock() + expires_in)
            if account.api_key:
                self._access[account.api_key] = _Token(account, float("inf"))
            if account.client_id:
                self._clients[account.client_id] = Client(account.client_secret)

    # -- access ----------------------------------------------------------------------------------------------------

    def identify(self, bearer: str) -> tuple[TokenState, Account | None]:
        """Whose token this is, and whether it may still be used."""
        token = self._access.get(bearer)
        if token is None or token.revoked:
            return TokenState.UNKNOWN, None
        state = TokenState.VALID if self._clock() < token.expires else TokenState.EXPIRED
        return state, token.account

    def expire_access_tokens(self) -> None:
        """Every access token given out so far is expired; API keys do not expire."""
        for token in self._access.values():
            if token.account.kind is not Kind.API_KEY:
                token.expires = self._clock()

    def revoke(self, what: str) -> None:
        """Revoke a token (access or refresh), a key, or everything of the account of that name.

        Raises KeyError where there is no such thing.
        """
        account = next((account for account in self.accounts if account.name == what), None)
        if account is None and what not in self._access and what not in self._refresh:
            raise KeyError(f"{what[:12]}…: neither an account's name nor a token")
        for bearer, token in self._access.items():
            token.revoked = token.revoked or bearer == what or token.account is account
        for refresh_token in [
            refresh_token for refresh_token, owner in self._refresh.items() if refresh_token == what or owner is account
        ]:
            self._bury(refresh_token)

    # -- refresh ---------------------------------------------------------------------------------------------------

    def refresh(self, refresh_token: str, kinds: Container[Kind], *, client_id: str = "") -> Grant:
        """Rotate. Raises RefreshTokenDead or RefreshTokenUnknown; the latter also for another kind or client."""
        if refresh_token in self._dead:
            raise RefreshTokenDead
        account = self._refresh.get(refresh_token)
        if account is None or account.kind not in kinds or account.client_id != client_id:
            raise RefreshTokenUnknown
        self._bury(refresh_token)
        return self.grant(account)

    def grant(self, account: Account) -> Grant:
        """New tokens for `account`."""
        if account.kind is Kind.EXTERNAL:
            access = jwt({"oid": account.user_id, "jti": secrets.token_urlsafe(16)})
        else:
            access = f"aoa{secrets.token_urlsafe(90)}:{secrets.token_urlsafe(76)}"
        refresh = f"aor{secrets.token_urlsafe(90)}:{secrets.token_urlsafe(76)}"
        self._access[access] = _Token(account, self._clock() + self.expires_in)
        self._refresh[refresh] = account
        return Grant(account, access, refresh, self.expires_in)

    def _bury(self, refresh_token: str) -> None:
        del self._refresh[refresh_token]
        self._dead.add(refresh_token)

    # -- OIDC ------------------------------------------------------------------------------------------------------

    def register_client(
        self,
        *,
        lifetime: float = float("inf"),
        grants: tuple[str, ...] = (),
        redirects: tuple[str, ...] = (),
        start_url: str = "",
    ) -> tuple[str, str]:
        """A new OIDC client, good for `lifetime` seconds: its id and secret."""
        client_id, secret = secrets.token_urlsafe(16), secrets.token_urlsafe(64)
        self._clients[client_id] = Client(secret, self._clock() + lifetime, grants, redirects, start_url)
        return client_id, secret

    def client(self, client_id: object) -> Client | None:
        """The client of that id, if its registration is good."""
        client = self._clients.get(client_id) if isinstance(client_id, str) else None
        return client if client is not None and self._clock() < client.expires else None

    def client_state(self, client_id: object, secret: object) -> TokenState:
        client = self._clients.get(client_id) if isinstance(client_id, str) else None
        if client is None or client.secret != secret:
            return TokenState.UNKNOWN
        return TokenState.VALID if self._clock() < client.expires else TokenState.EXPIRED

    def expire_client(self, client_id: str) -> None:
        """The registration has expired. Raises KeyError for an unknown one."""
        self._clients[client_id].expires = self._clock()
