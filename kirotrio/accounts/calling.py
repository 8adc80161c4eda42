"""What a data call needs to know of a sign-in. Pure."""

from __future__ import annotations

from kirotrio.accounts.credential import ApiKey, Credential, ExternalIdp, provider_of
from kirotrio.accounts.terms import Terms
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import data_region


def credentials_for(
    credential: Credential, terms: Terms, *, account: str, profile_arn: str | None = None
) -> Credentials:
    """A call's credentials, with the access token as it is, good or not.

    `account`: the name for logs and messages. `profile_arn`: where it is better known than the credential has it; a
    key has none (KIRO_PROTOCOL 5.3).
    """
    if isinstance(credential, ApiKey):
        token, token_type, arn = credential.key, "API_KEY", profile_arn or ""
    else:
        token, arn = credential.access_token, credential.profile_arn if profile_arn is None else profile_arn
        token_type = "EXTERNAL_IDP" if isinstance(credential, ExternalIdp) else ""
    return Credentials(
        access_token=token,
        token_type=token_type,  # KIRO_PROTOCOL 1.3
        profile_arn=arn,
        region=data_region(arn, terms.region),
        account=account,
        flavour=terms.flavour,
        url=terms.data_url,
        proxy_url=terms.proxy_url,
        provider=provider_of(credential),
    )
