"""An account as a value: what its row says, with its secrets opened; and a pause of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import orjson
from attrs import field

from kirotrio.classes import frozen
from kirotrio.store.sealer import Sealer, purpose_of


@frozen
class Secrets:
    """What is sealed in one account's row; "" where it has none."""

    refresh_token: str = field(default="", repr=False)
    access_token: str = field(default="", repr=False)
    client_secret: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    proxy_url: str = field(default="", repr=False)


@frozen(kw_only=True)
class AccountRecord:
    """One account. Times are epoch seconds.

    `kind` is social, builder-id, identity-center, api-key or external. `mark` is the `errors.Blame` that keeps it from
    serving until a person acts ("" if none), `mark_reason` the sentence that says what to run. `follows` is a JSON
    object that names the store of another program which its tokens live in; its row then holds none. `region`,
    `flavour`, `endpoint`: "" means what the settings say; `max_concurrent` and `per_minute` None likewise, 0 any
    number. `owner_id`: the user who brought it, "" for the gateway's own; `lent`: whether others' keys may use it too.
    """

    id: str
    name: str
    kind: str
    provider: str = ""
    email: str = ""
    user_id: str = ""
    enabled: bool = True
    mark: str = ""
    mark_reason: str = ""
    marked_at: float | None = None
    follows: str = ""
    profile_arn: str = ""
    sign_in_region: str = ""
    start_url: str = ""
    client_id: str = ""
    token_endpoint: str = ""
    scope: str = ""
    expires_at: float | None = None
    registration_expires_at: float | None = None
    region: str = ""
    flavour: str = ""
    endpoint: str = ""
    priority: int = 100
    max_concurrent: int | None = None
    per_minute: int | None = None
    owner_id: str = ""
    lent: bool = True
    secrets: Secrets = Secrets()
    created_at: float = 0.0
    updated_at: float = 0.0


@frozen(kw_only=True)
class CooldownRow:
    """`blame` is an `errors.Blame`; `model` "" for all models; the times are epoch seconds."""

    account_id: str
    model: str = ""
    blame: str
    reason: str = ""
    began_at: float
    until: float


@frozen(kw_only=True)
class Worth:
    """The figures of an account's usage. `fetched_at`, `resets_at`: epoch seconds; None and "" for what is
    not known."""

    plan: str = ""
    email: str = ""
    credits_used: float | None = None
    credits_limit: float | None = None
    credits_left: float | None = None
    resets_at: float | None = None
    fetched_at: float


@frozen
class ListedAccount:
    """An account as a list has it: `record` is without its secrets. `owner`: the name of the user who brought it.
    `last_used_at`: when its last request began that is on record (epoch seconds)."""

    record: AccountRecord
    owner: str = ""
    worth: Worth | None = None
    last_used_at: float | None = None


FIELDS = frozenset(field.name for field in attrs.fields(AccountRecord)) - {"secrets"}
"""Those that are columns of their own."""


def purpose(account_id: str) -> str:
    """What an account's secrets are sealed for."""
    return purpose_of("accounts", account_id)


def record_of(row: Mapping[str, Any], sealer: Sealer) -> AccountRecord:
    """The account that a row of the table is. Raises SettingsError where the key to its secrets is not to be had."""
    values = {name: row[name] for name in FIELDS}
    for name in ("enabled", "lent"):
        values[name] = bool(values[name])  # a number, where the driver alone read it
    return AccountRecord(**values, secrets=secrets_of(row, sealer))


def secrets_of(row: Mapping[str, Any], sealer: Sealer) -> Secrets:
    """The secrets of a row. Raises as `record_of`."""
    if not row["sealed"]:
        return Secrets()  # given up with a key that was lost (`rekeying.forget_secrets`)
    held = orjson.loads(sealer.open(bytes(row["sealed"]), purpose(row["id"])))
    known = attrs.fields_dict(Secrets)
    return Secrets(**{name: value for name, value in held.items() if name in known})
