"""An account as a value: what its row says, with its secrets opened."""

from __future__ import annotations

from attrs import field, frozen


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
    number.
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
    secrets: Secrets = Secrets()
    created_at: float = 0.0
    updated_at: float = 0.0
