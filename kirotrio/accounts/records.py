"""Rows of the store and sign-ins, each made of the other. Pure."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Iterable
from typing import Final

import attrs

from kirotrio.accounts.calling import credentials_for
from kirotrio.accounts.credential import (
    BUILDER_ID_START_URL,
    ApiKey,
    Credential,
    ExternalIdp,
    Oidc,
    Social,
)
from kirotrio.accounts.terms import Terms
from kirotrio.config.settings import Settings
from kirotrio.kiro.credentials import Credentials
from kirotrio.store.account_record import AccountRecord, Secrets

KINDS: Final = ("social", "builder-id", "identity-center", "api-key", "external")
NO_PROXY: Final = "none"
"""In `Secrets.proxy_url`: no proxy at all, not even that of the settings, which "" stands for."""
NAME_LENGTH: Final = 64
_NAME_SIGNS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def kind_of(credential: Credential) -> str:
    """One of `KINDS`."""
    if isinstance(credential, Oidc):
        return "builder-id" if credential.is_builder_id else "identity-center"
    return credential.kind


def record_of(
    name: str,
    credential: Credential,
    *,
    email: str = "",
    user_id: str = "",
    profile_arn: str = "",
    proxy_url: str = "",
    follows: str = "",
    created_at: float = 0.0,
) -> AccountRecord:
    """A new row, with an id of its own. `profile_arn`: where it is better known than the credential has it.

    With `follows` (see `following`) the tokens stay where they are: the row takes none of them. `proxy_url` as in
    `Secrets`. `created_at`: epoch seconds.
    """
    blank = AccountRecord(
        id=str(uuid.uuid4()),
        name=name,
        kind=kind_of(credential),
        email=email,
        user_id=user_id,
        follows=follows,
        secrets=Secrets(proxy_url=proxy_url),
        created_at=created_at,
        updated_at=created_at,
    )
    record = with_credential(blank, credential)
    return attrs.evolve(record, profile_arn=profile_arn) if profile_arn else record


def with_credential(record: AccountRecord, credential: Credential) -> AccountRecord:
    """The same row with this sign-in in place of its former one. Name, settings and mark stay.

    The tokens of a sign-in that is followed are left out.
    """
    own = not record.follows
    proxy_url = record.secrets.proxy_url
    if isinstance(credential, ApiKey):
        return attrs.evolve(
            record,
            kind=kind_of(credential),
            expires_at=None,
            secrets=Secrets(api_key=credential.key if own else "", proxy_url=proxy_url),
        )
    oidc = credential if isinstance(credential, Oidc) else None
    external = credential if isinstance(credential, ExternalIdp) else None
    return attrs.evolve(
        record,
        kind=kind_of(credential),
        provider=credential.provider,
        profile_arn=credential.profile_arn,
        sign_in_region="" if isinstance(credential, ExternalIdp) else credential.sign_in_region,
        start_url=oidc.start_url if oidc else "",
        client_id="" if isinstance(credential, Social) else credential.client_id,
        token_endpoint=external.token_endpoint if external else "",
        scope=external.scope if external else "",
        expires_at=credential.expires_at,
        registration_expires_at=oidc.registration_expires_at if oidc else None,
        secrets=Secrets(
            refresh_token=credential.refresh_token if own else "",
            access_token=credential.access_token if own else "",
            client_secret=oidc.client_secret if oidc and own else "",
            proxy_url=proxy_url,
        ),
    )


def credential_of(record: AccountRecord) -> Credential:
    """The sign-in that a row holds. Raises ValueError for one that follows another program's store, or of no kind
    that is known here."""
    if record.follows:
        raise ValueError(f"the sign-in of {record.name} lies in another program's store")
    secrets = record.secrets
    if record.kind == "api-key":
        return ApiKey(secrets.api_key)
    if record.kind == "social":
        return Social(
            refresh_token=secrets.refresh_token,
            access_token=secrets.access_token,
            expires_at=record.expires_at,
            profile_arn=record.profile_arn,
            provider=record.provider,
            sign_in_region=record.sign_in_region or "us-east-1",
        )
    if record.kind == "external":
        return ExternalIdp(
            refresh_token=secrets.refresh_token,
            access_token=secrets.access_token,
            expires_at=record.expires_at,
            profile_arn=record.profile_arn,
            provider=record.provider,
            token_endpoint=record.token_endpoint,
            client_id=record.client_id,
            scope=record.scope,
        )
    if record.kind not in ("builder-id", "identity-center"):
        raise ValueError(f"the account {record.name} is of an unknown kind, {record.kind!r}")
    oidc = Oidc(
        refresh_token=secrets.refresh_token,
        access_token=secrets.access_token,
        expires_at=record.expires_at,
        profile_arn=record.profile_arn,
        provider=record.provider,
        client_id=record.client_id,
        client_secret=secrets.client_secret,
        sign_in_region=record.sign_in_region or "us-east-1",
        start_url=record.start_url,
        registration_expires_at=record.registration_expires_at,
    )
    if record.kind == "builder-id" and not oidc.is_builder_id:
        return attrs.evolve(oidc, start_url=BUILDER_ID_START_URL)
    return oidc


def following(store: str, path: str, key: str = "") -> str:
    """A row's `follows`. `store`: "ide" or "cli"; `key`: which of a database's tokens, "" for the first usable one."""
    return json.dumps({"store": store, "path": path, **({"key": key} if key else {})})


def token_of(record: AccountRecord) -> str:
    """What the store knows a sign-in by: its refresh token or key; "" for one that is followed."""
    return record.secrets.refresh_token or record.secrets.api_key


def secret_of(credential: Credential) -> str:
    """The same of a sign-in itself."""
    return credential.key if isinstance(credential, ApiKey) else credential.refresh_token


def proxy_of(record: AccountRecord) -> str | None:
    """The account's proxy as a call takes it: None for the one of the settings, "" for none."""
    return own_proxy(record.secrets.proxy_url)


def own_proxy(kept: str) -> str | None:
    """The same of what `Secrets.proxy_url` holds."""
    return "" if kept == NO_PROXY else kept or None


def terms_of(record: AccountRecord, settings: Settings) -> Terms:
    """What holds for this account: its own region, flavour, endpoint and proxy where it has them."""
    terms = Terms.of(settings)
    return attrs.evolve(
        terms,
        flavour=record.flavour or terms.flavour,
        region=record.region or terms.region,
        data_url=record.endpoint or terms.data_url,
        proxy_url=proxy_of(record),
    )


def credentials_of(record: AccountRecord, settings: Settings) -> Credentials:
    """What a call needs that is made with the token as the row has it, good or not. Raises ValueError for an account
    that follows another program's store."""
    return credentials_for(
        credential_of(record), terms_of(record, settings), account=record.name, profile_arn=record.profile_arn
    )


def same_person(one: AccountRecord, other: AccountRecord) -> bool:
    """Whether both are one subscription: of one kind, of the same user (else e-mail and provider), and not of two
    profiles. Two that say nothing of their person are never the same."""
    if one.kind != other.kind or (one.profile_arn and other.profile_arn and one.profile_arn != other.profile_arn):
        return False
    if one.user_id and other.user_id:
        return one.user_id == other.user_id
    return bool(one.email) and _person(one) == _person(other)


def _person(record: AccountRecord) -> tuple[str, str]:
    return record.email.lower(), record.provider.lower()


def person_among(records: Iterable[AccountRecord], record: AccountRecord) -> AccountRecord | None:
    """The account of the same person, if there is one."""
    return next((known for known in records if known.id != record.id and same_person(known, record)), None)


def followed_place(record: AccountRecord) -> str:
    """The path that an account follows."""
    try:
        return str(json.loads(record.follows)["path"])
    except (ValueError, TypeError, KeyError):
        return "a place that cannot be read"


def is_name(name: str) -> bool:
    """Whether an account may be called so: it becomes part of a path."""
    return 0 < len(name) <= NAME_LENGTH and set(name) <= _NAME_SIGNS and name.strip(".") != ""


def free_name(wanted: str, taken: Collection[str]) -> str:
    """A name made of `wanted` (an e-mail, a label) that no account has yet: `work`, `work-2`, …"""
    base = "".join(sign if sign in _NAME_SIGNS else "-" for sign in wanted.partition("@")[0]).strip("-._")
    base = base[: NAME_LENGTH - 6] or "account"
    taken_lower = {name.lower() for name in taken}
    if base.lower() not in taken_lower:
        return base
    number = 2
    while f"{base}-{number}".lower() in taken_lower:
        number += 1
    return f"{base}-{number}"
