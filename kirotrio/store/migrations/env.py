"""What Alembic runs: the steps up to the newest shape, on the connection and in the transaction of `migrate.py`."""

from __future__ import annotations

from alembic import context

from kirotrio.store.migrate import REVISION_TABLE
from kirotrio.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=REVISION_TABLE,
    # SQLite cannot change most of a column: Alembic then makes the table anew and copies it over.
    render_as_batch=True,
)
context.run_migrations()
