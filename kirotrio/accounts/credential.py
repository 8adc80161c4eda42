"""The kinds of sign-in, as values. None of them shows a token in its `repr`."""

from __future__ import annotations

import re
from typing import ClassVar, Self, TypeAlias

import attrs
from attrs import field

from kirotrio.classes import frozen

BUILDER_ID_START_URL = "https://view.awsapps.com/start"


@frozen
class Renewed:
    """What a refresh brought. "" in `refresh_token` or `profile_arn`: the answer named none. `expires_at`: epoch
    seconds."""

    access_token: str = field(repr=False)
    expires_at: float
    refresh_token: str = field(default="", repr=False)
    profile_arn: str = ""


@frozen(kw_only=True)
class Rotating:
    """What every sign-in with a refresh token has.

    `expires_at` is in epoch seconds, None where it is not known: then the access token counts as expired.
    `profile_arn` is "" where the place that the credential came from names no real one.
    """

    kind: ClassVar[str] = ""

    refresh_token: str = field(repr=False)
    access_token: str = field(default="", repr=False)
    expires_at: float | None = None
    profile_arn: str = ""
    provider: str = ""

    @property
    def needs_profile(self) -> bool:
        """Whether calls are refused without a profile ARN that has to be looked up (KIRO_PROTOCOL 2.6)."""
        return False

    def after(self, renewed: Renewed) -> Self:
        """This sign-in with its new tokens; a refresh token that the answer left out stays (KIRO_PROTOCOL 5.2)."""
        return attrs.evolve(
            self,
            access_token=renewed.access_token,
            expires_at=renewed.expires_at,
            refresh_token=renewed.refresh_token or self.refresh_token,
            profile_arn=renewed.profile_arn or self.profile_arn,
        )

    def with_profile(self, profile_arn: str) -> Self:
        return attrs.evolve(self, profile_arn=profile_arn)


@frozen(kw_only=True)
class Social(Rotating):
    """Google or GitHub, through Kiro's own sign-in service (KIRO_PROTOCOL 5.1)."""

    kind: ClassVar[str] = "social"

    sign_in_region: str = "us-east-1"


@frozen(kw_only=True)
class Oidc(Rotating):
    """AWS Builder ID or IAM Identity Center (KIRO_PROTOCOL 5.2).

    `registration_expires_at` is when the *client* expires (epoch seconds), which has nothing to do with the token.
    """

    kind: ClassVar[str] = "oidc"

    client_id: str
    client_secret: str = field(repr=False)
    sign_in_region: str = "us-east-1"
    start_url: str = ""
    registration_expires_at: float | None = None

    @property
    def is_builder_id(self) -> bool:
        return (
            re.sub(r"[^a-z]", "", self.provider.lower()) in ("builderid", "awsbuilderid")
            or self.start_url.rstrip("/").lower() == BUILDER_ID_START_URL
        )

    @property
    def needs_profile(self) -> bool:
        return not self.is_builder_id


@frozen(kw_only=True)
class ExternalIdp(Rotating):
    """A company's own sign-in, Microsoft Entra for one (KIRO_PROTOCOL 5.4). `token_endpoint` is checked."""

    kind: ClassVar[str] = "external"

    token_endpoint: str
    client_id: str
    scope: str = ""

    @property
    def needs_profile(self) -> bool:
        return True


@frozen
class ApiKey:
    """A `ksk_` key: never refreshed, never with a profile (KIRO_PROTOCOL 5.3)."""

    kind: ClassVar[str] = "api-key"

    key: str = field(repr=False)


Credential: TypeAlias = Social | Oidc | ExternalIdp | ApiKey
Refreshable: TypeAlias = Social | Oidc | ExternalIdp


def provider_of(credential: Credential) -> str:
    """Through whom the sign-in was made, `Google` or `BuilderId` for example; "" where that is not known."""
    if isinstance(credential, ApiKey):
        return ""
    if isinstance(credential, Oidc):
        return "BuilderId" if credential.is_builder_id else "Enterprise"
    return credential.provider
