"""What an operator tells all who use the console, as a value."""

from __future__ import annotations

from typing import Final

from kirotrio.classes import frozen

SEVERITIES: Final = ("info", "warning", "critical")


@frozen(kw_only=True)
class Announcement:
    """`body` is Markdown. It is shown from `from_at` until `until_at` (epoch seconds; None: until it is removed).
    `created_by` is a user's id, "" for the command line."""

    id: str
    title: str
    body: str
    severity: str
    from_at: float
    until_at: float | None
    created_by: str
    created_at: float
    updated_at: float
