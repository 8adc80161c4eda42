"""What each account is worth in figures of their own, which lists are sorted and filtered by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "worth",
        sa.Column("account_id", sa.String(36), nullable=False),
        sa.Column("plan", sa.String(200), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("credits_used", sa.Float),
        sa.Column("credits_limit", sa.Float),
        sa.Column("credits_left", sa.Float),
        sa.Column("resets_at", sa.Float),
        sa.Column("fetched_at", sa.Float, nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_worth"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_worth_account_id", ondelete="CASCADE"),
    )
