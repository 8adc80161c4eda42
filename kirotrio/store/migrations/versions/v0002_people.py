"""Users, their sign-ins and keys with budgets; announcements, audit; what several gateways share; more of requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("owner_id", sa.String(36), nullable=False, server_default=""))
    op.add_column("accounts", sa.Column("lent", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("requests", sa.Column("queue_seconds", sa.Float))
    op.add_column("requests", sa.Column("connect_seconds", sa.Float))
    op.add_column("requests", sa.Column("status", sa.Integer))
    op.add_column("requests", sa.Column("upstream_id", sa.String(128), nullable=False, server_default=""))
    op.add_column("requests", sa.Column("tries", sa.Text, nullable=False, server_default=""))
    op.add_column("requests", sa.Column("client", sa.String(200), nullable=False, server_default=""))
    op.add_column("requests", sa.Column("address", sa.String(64), nullable=False, server_default=""))
    op.create_index("ix_requests_key_id", "requests", ["key_id", "at"])
    op.create_index("ix_requests_account", "requests", ["account", "at"])
    op.create_table(
        "users",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("display", sa.String(128), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("password", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("last_sign_in_at", sa.Float),
        sa.Column("second_factor_at", sa.Float),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "identities",
        sa.Column("provider", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("shown", sa.String(320), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("provider", "subject", name="pk_identities"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_identities_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("created_by", sa.String(36), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("used_at", sa.Float),
        sa.Column("used_by", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invitations"),
        sa.UniqueConstraint("digest", name="uq_invitations_digest"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("csrf", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("seen_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("confirmed_at", sa.Float),
        sa.Column("second_factor_at", sa.Float),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("agent", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_ins"),
        sa.UniqueConstraint("digest", name="uq_sign_ins_digest"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sign_ins_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sign_ins_user_id", "sign_ins", ["user_id"])
    op.create_table(
        "throttles",
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_throttles"),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("prefix", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("owner_id", sa.String(36)),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
        sa.Column("last_used_at", sa.Float),
        sa.Column("last_address", sa.String(64), nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("surfaces", sa.Text, nullable=False),
        sa.Column("networks", sa.Text, nullable=False),
        sa.Column("account", sa.String(64), nullable=False),
        sa.Column("max_concurrent", sa.Integer, nullable=False),
        sa.Column("limits", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_keys"),
        sa.UniqueConstraint("digest", name="uq_keys_digest"),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name="fk_keys_owner_id", ondelete="CASCADE"),
    )
    op.create_index("ix_keys_name", "keys", ["name"])
    op.create_index("ix_keys_owner_id", "keys", ["owner_id"])
    op.create_table(
        "key_usage",
        sa.Column("key_id", sa.String(36), nullable=False),
        sa.Column("window", sa.String(8), nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("credits", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "window", "began_at", name="pk_key_usage"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_usage_key_id", ondelete="CASCADE"),
    )
    op.create_table(
        "key_holds",
        sa.Column("key_id", sa.String(36), nullable=False),
        sa.Column("hold", sa.String(64), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "hold", name="pk_key_holds"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.id"], name="fk_key_holds_key_id", ondelete="CASCADE"),
    )
    op.create_table(
        "announcements",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("severity", sa.String(16), nullable=False),
        sa.Column("from_at", sa.Float, nullable=False),
        sa.Column("until_at", sa.Float),
        sa.Column("created_by", sa.String(36), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_announcements"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("actor_id", sa.String(36), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(256), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_action", "audit", ["action"])
    op.create_table(
        "gateways",
        sa.Column("holder", sa.String(128), nullable=False),
        sa.Column("until", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("holder", name="pk_gateways"),
    )
    op.create_table(
        "ledgers",
        sa.Column("name", sa.String(192), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ledgers"),
    )
    op.create_table(
        "news",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("teller", sa.String(128), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_news"),
    )
    op.create_index("ix_news_at", "news", ["at"])
    op.create_table(
        "homes",
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("account_key", sa.String(192), nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("session", name="pk_homes"),
    )
    op.create_index("ix_homes_at", "homes", ["at"])
    op.create_table(
        "responses",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("used_at", sa.Float, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_responses"),
    )
    op.create_index("ix_responses_used_at", "responses", ["used_at"])
    op.create_table(
        "response_items",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("response", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_response_items"),
        sa.ForeignKeyConstraint(
            ["response"], ["responses.digest"], name="fk_response_items_response", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_response_items_response", "response_items", ["response"])
