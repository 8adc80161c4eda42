"""Every HTTP error of KIRO_PROTOCOL 4, by name, reason or number, written as the flavour of the call writes it.

A refusal is an exception here, since it may be met anywhere between the headers and the last rule for the body;
`routes` turns it into a reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from attrs import evolve

from kirotrio.classes import frozen
from kirotrio.simulator import samples
from kirotrio.simulator.answers import Flavour, Reply


@frozen
class Refusal:
    """One row. `name` is the reason where it has one of its own, else ours; `retry_after` goes into the header."""

    name: str
    status: int
    type: str
    message: str
    reason: str | None = None
    retry_after: str = ""
    retry_after_milliseconds: int | None = None

    def reply(self, flavour: Flavour, *, note: str = "", account: str = "") -> Reply:
        """The answer: restJson names the type in a header, awsJson in the body's `__type`.

        A row without a type is that of a server in front of the service, which knows none.
        """
        body: dict[str, Any] = {"message": self.message, "reason": self.reason}
        headers = {"content-type": flavour.content_type}
        if self.type and flavour is Flavour.REST:
            headers["x-amzn-errortype"] = self.type
        elif self.type:
            body = {"__type": flavour.value + self.type, **body}
        if self.retry_after_milliseconds is not None:
            body["retryAfterMilliseconds"] = self.retry_after_milliseconds
        if self.retry_after:
            headers["retry-after"] = self.retry_after
        return Reply(self.status, headers, orjson.dumps(body), note=note or self.name, account=account)


class Refused(Exception):
    """The call is refused. `note` says for the ledger, in our own words, what was wrong."""

    def __init__(self, refusal: Refusal, note: str = "") -> None:
        super().__init__(note or refusal.message)
        self.refusal = refusal
        self.note = note or refusal.name


class RefusalTable:
    """The rows of `samples/errors.json`, found as the `status` control spells them."""

    def __init__(self, rows: Sequence[Refusal]) -> None:
        self.rows = tuple(rows)

    @classmethod
    def shipped(cls) -> RefusalTable:
        return cls(
            [
                Refusal(
                    name=row["name"],
                    status=row["status"],
                    type=row["type"],
                    message=row["message"],
                    reason=row["reason"],
                    retry_after=str(row.get("retryAfter", "")),
                    retry_after_milliseconds=row.get("retryAfterMilliseconds"),
                )
                for row in samples.load("errors")
            ]
        )

    def find(self, wanted: str) -> Refusal:
        """The first row that fits `429`, `MONTHLY_REQUEST_COUNT`, `429:MONTHLY_REQUEST_COUNT` or an exception's name.

        A number without a row gets a plain answer of that status. Raises KeyError for anything else.
        """
        number, _, name = wanted.rpartition(":")
        if not number and name.isdecimal():
            number, name = name, ""
        rows = [row for row in self.rows if not number or str(row.status) == number]
        for row in rows:
            if not name or name.upper() in (row.name, row.reason):
                return row
        for row in rows:
            if name and name.lower() == row.type.lower():
                return row
        if not name and number.isdecimal() and 400 <= int(number) <= 599:
            return Refusal(f"STATUS_{number}", int(number), "InternalServerException", f"Simulated status {number}.")
        raise KeyError(wanted)

    def refused(self, wanted: str, note: str = "", *, message: str = "", retry_after: str = "") -> Refused:
        """The exception for a row; `message` replaces its prose where the service's own names the offender."""
        refusal = self.find(wanted)
        if message:
            refusal = evolve(refusal, message=message)
        if retry_after:
            refusal = evolve(refusal, retry_after=retry_after)
        return Refused(refusal, note)
