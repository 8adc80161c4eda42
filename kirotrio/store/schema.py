"""The tables. SQLite and PostgreSQL have the same ones; `migrations/` brings a database from any older shape to this.

Times are epoch seconds. `sealed` columns hold what `vault.Vault` made: nobody reads them without the key.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

meta = Table(
    "meta",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Single values: `revision` counts every change of an account, `secret_key` names the key that seals now."""

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    Column("provider", String(64), nullable=False, default=""),
    Column("email", String(320), nullable=False, default=""),
    Column("user_id", String(256), nullable=False, default=""),
    Column("enabled", Boolean, nullable=False, default=True),
    Column("mark", String(32), nullable=False, default=""),
    Column("mark_reason", Text, nullable=False, default=""),
    Column("marked_at", Float),
    Column("follows", Text, nullable=False, default=""),
    Column("profile_arn", String(256), nullable=False, default=""),
    Column("sign_in_region", String(32), nullable=False, default=""),
    Column("start_url", Text, nullable=False, default=""),
    Column("client_id", Text, nullable=False, default=""),
    Column("token_endpoint", Text, nullable=False, default=""),
    Column("scope", Text, nullable=False, default=""),
    Column("expires_at", Float),
    Column("registration_expires_at", Float),
    Column("region", String(32), nullable=False, default=""),
    Column("flavour", String(16), nullable=False, default=""),
    Column("endpoint", Text, nullable=False, default=""),
    Column("priority", Integer, nullable=False, default=100),
    Column("max_concurrent", Integer),
    Column("per_minute", Integer),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)

token_digests = Table(
    "token_digests",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
)
"""SHA-256 of every refresh token and API key that an account ever had here, so that nothing is imported twice."""

cooldowns = Table(
    "cooldowns",
    metadata,
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("model", String(128), primary_key=True, default=""),
    Column("blame", String(32), nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("began_at", Float, nullable=False),
    Column("until", Float, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("topic", String(16), primary_key=True),
    Column("content", Text, nullable=False),
    Column("fetched_at", Float, nullable=False),
)
"""The upstream's last word on an account: topic `usage` or `models`, the answer as it came."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("until", Float, nullable=False),
)

successors = Table(
    "successors",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_at", Float, nullable=False),
)
"""Of refresh tokens that a setting names or a client sends, under their SHA-256 (CONTRACT, Keys). Sealed with the given
token itself, so that only who presents it can open it."""

requests = Table(
    "requests",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("at", Float, nullable=False),
    Column("key_id", String(64), nullable=False, default=""),
    Column("account", String(64), nullable=False, default=""),
    Column("model", String(128), nullable=False, default=""),
    Column("surface", String(32), nullable=False, default=""),
    Column("mode", String(16), nullable=False, default=""),
    Column("outcome", String(32), nullable=False),
    Column("error", Text, nullable=False, default=""),
    Column("seconds", Float, nullable=False),
    Column("first_event_seconds", Float),
    Column("attempts", Integer, nullable=False, default=0),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
    Column("usage", String(16), nullable=False, default=""),
    Column("credits", Float),
    Index("ix_requests_at", "at"),
)
