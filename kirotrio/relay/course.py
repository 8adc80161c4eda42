"""When an answer came to what."""

from __future__ import annotations

from kirotrio.classes import frozen


@frozen
class Course:
    """The moments of one answer, in Trio's time; None for what it did not come to. `status`: of the head that the
    client got."""

    began_at: float
    lent_at: float | None
    prepared_at: float | None
    first_sent_at: float | None
    status: int | None
