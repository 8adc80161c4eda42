"""The tables. SQLite and PostgreSQL have the same ones; `migrations/` brings a database from any older shape to this.

Times are epoch seconds. `sealed` columns hold what `vault.Vault` made: nobody reads them without the key. Of keys,
invitations and sign-ins only the SHA-256 is kept (`digest`, hexadecimal).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
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
    true,
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
    Column("owner_id", String(36), nullable=False, default="", server_default=""),
    Column("lent", Boolean, nullable=False, default=True, server_default=true()),
)
"""`owner_id`: the user who brought it, "" for the gateway's own. `lent`: whether others' keys may use it, too."""

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

worth = Table(
    "worth",
    metadata,
    Column("account_id", String(36), ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    Column("plan", String(200), nullable=False, default=""),
    Column("email", String(320), nullable=False, default=""),
    Column("credits_used", Float),
    Column("credits_limit", Float),
    Column("credits_left", Float),
    Column("resets_at", Float),
    Column("fetched_at", Float, nullable=False),
)
"""The figures of a `usage` snapshot, which lists are sorted and filtered by; credits, NULL where they are not known."""

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
    Column("queue_seconds", Float),
    Column("connect_seconds", Float),
    Column("status", Integer),
    Column("upstream_id", String(128), nullable=False, default="", server_default=""),
    Column("tries", Text, nullable=False, default="", server_default=""),
    Column("client", String(200), nullable=False, default="", server_default=""),
    Column("address", String(64), nullable=False, default="", server_default=""),
    Index("ix_requests_at", "at"),
    Index("ix_requests_key_id", "key_id", "at"),
    Index("ix_requests_account", "account", "at"),
)
"""`queue_seconds`: until an account was lent; `connect_seconds`: from there until the upstream's answer began, of the
last attempt. `tries`: JSON, an object an attempt. `client`: its User-Agent."""

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("display", String(128), nullable=False, default=""),
    Column("email", String(320), nullable=False, default=""),
    Column("role", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("password", Text, nullable=False, default=""),
    Column("sealed", LargeBinary),
    Column("version", Integer, nullable=False, default=1),
    Column("language", String(16), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("last_sign_in_at", Float),
    Column("second_factor_at", Float),
)
"""`role`: operator, member or viewer; `state`: active, waiting (for approval) or disabled. `password`: its argon2id
hash, "" for none. `sealed`: the second factor, which is asked for where `second_factor_at` is not NULL. `version`: a
sign-in made under another one is void."""

identities = Table(
    "identities",
    metadata,
    Column("provider", String(64), primary_key=True),
    Column("subject", String(256), primary_key=True),
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("shown", String(320), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
)
"""Who a user is elsewhere: at an OpenID provider, GitHub or LinuxDo."""

invitations = Table(
    "invitations",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("email", String(320), nullable=False, default=""),
    Column("created_by", String(36), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("used_at", Float),
    Column("used_by", String(36), nullable=False, default=""),
)

sign_ins = Table(
    "sign_ins",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("digest", String(64), nullable=False, unique=True),
    Column("user_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("csrf", String(64), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("confirmed_at", Float),
    Column("second_factor_at", Float),
    Column("address", String(64), nullable=False, default=""),
    Column("agent", Text, nullable=False, default=""),
)
"""The console's sessions. `confirmed_at`: when the password was last given again."""

throttles = Table(
    "throttles",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("until", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)
"""Failed sign-ins, by what is slowed down: a user's name or an address."""

keys = Table(
    "keys",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("prefix", String(16), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("name", String(64), nullable=False, index=True),
    Column("owner_id", String(36), ForeignKey("users.id", ondelete="CASCADE"), index=True),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Column("last_used_at", Float),
    Column("last_address", String(64), nullable=False, default=""),
    Column("models", Text, nullable=False, default="[]"),
    Column("surfaces", Text, nullable=False, default="[]"),
    Column("networks", Text, nullable=False, default="[]"),
    Column("account", String(64), nullable=False, default=""),
    Column("max_concurrent", Integer, nullable=False, default=0),
    Column("limits", Text, nullable=False, default="{}"),
)
"""Keys that were given out. `owner_id`: NULL for the gateway's own. `models`, `surfaces`, `networks`: JSON lists, empty
for all; `limits`: JSON, by window (minute, day, month) and what is counted (requests, tokens, credits)."""

key_usage = Table(
    "key_usage",
    metadata,
    Column("key_id", String(36), ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True),
    Column("window", String(8), primary_key=True),
    Column("began_at", BigInteger, primary_key=True),
    Column("requests", BigInteger, nullable=False, default=0),
    Column("tokens", BigInteger, nullable=False, default=0),
    Column("credits", Float, nullable=False, default=0.0),
)

key_holds = Table(
    "key_holds",
    metadata,
    Column("key_id", String(36), ForeignKey("keys.id", ondelete="CASCADE"), primary_key=True),
    Column("hold", String(64), primary_key=True),
    Column("until", Float, nullable=False),
)
"""Requests of keys with a limit of them at one time that are running, here or in another gateway."""

announcements = Table(
    "announcements",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("body", Text, nullable=False, default=""),
    Column("severity", String(16), nullable=False, default="info"),
    Column("from_at", Float, nullable=False),
    Column("until_at", Float),
    Column("created_by", String(36), nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False, index=True),
    Column("actor_id", String(36), nullable=False, default=""),
    Column("actor", String(64), nullable=False, default=""),
    Column("action", String(64), nullable=False, index=True),
    Column("subject", String(256), nullable=False, default=""),
    Column("detail", Text, nullable=False, default=""),
    Column("address", String(64), nullable=False, default=""),
)
"""Every change that somebody made. `detail`: JSON."""

gateways = Table(
    "gateways",
    metadata,
    Column("holder", String(128), primary_key=True),
    Column("until", Float, nullable=False),
)
"""The gateways that share this database. What one that has not renewed its row held is free again."""

ledgers = Table(
    "ledgers",
    metadata,
    Column("name", String(192), primary_key=True),
    Column("content", Text, nullable=False, default=""),
    Column("at", Float, nullable=False),
)
"""What several gateways count together, as JSON: an account's places, pace and queue, or a key's requests of the last
minute. One row each, so that whoever changes it has it to itself. `at`: when it was changed last. Besides stands here
what each tells of itself (`posted_rows`)."""

news = Table(
    "news",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Float, nullable=False, index=True),
    Column("teller", String(128), nullable=False),
    Column("content", Text, nullable=False),
)
"""Pauses of accounts that one gateway has met, for the others, and what they ask each other. Numbers grow in the order
of commits."""

homes = Table(
    "homes",
    metadata,
    Column("session", String(64), primary_key=True),
    Column("account_key", String(192), nullable=False),
    Column("at", Float, nullable=False, index=True),
)
"""Which account a client's session is on."""

responses = Table(
    "responses",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("previous", String(64), nullable=False, default=""),
    Column("size", Integer, nullable=False),
    Column("used_at", Float, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""Responses that clients may continue, where several gateways keep them together. `digest`: of the owner and the id;
`previous`: that of the one before it."""

response_items = Table(
    "response_items",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("response", String(64), ForeignKey("responses.digest", ondelete="CASCADE"), nullable=False, index=True),
)
"""Which response holds an item, by the digest of its owner and its id."""

PASSING = (leases, gateways, ledgers, news, homes, responses, response_items)
"""What belongs to gateways that run, or soon passes: no backup has it."""
