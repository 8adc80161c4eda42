"""`/_sim/…`: what a test or a person asks the simulator about itself, and tells it over HTTP.

GET, DELETE /_sim/requests   what it was sent, oldest first; forget it
GET, DELETE /_sim/streams    what became of the event streams; forget those that have ended
POST /_sim/expire            every access token given out so far expires; {"client_id": …}: that OIDC registration
POST /_sim/revoke            {"what": an account's name or a token}
POST /_sim/refuse            {"account": name, "status": an error's name, "" for none}: every data call of it
POST /_sim/person            {"does": "agree", "deny" or "never", "polls": how many it takes}: who is asked to sign in
POST /_sim/expire_codes      every code of a sign-in that was given out so far expires
POST /_sim/fail              {"where": path or operation, "status", "times", "delay_ms", "silent"}: the next calls there
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import orjson

from kirotrio.simulator.answers import Call, Reply, json_reply
from kirotrio.simulator.routes import Fault, Service
from kirotrio.simulator.sign_ins import Does
from kirotrio.simulator.streams import Ledger

PREFIX = "/_sim/"


class Pages:
    """The pages about one service and its ledger."""

    def __init__(self, service: Service, ledger: Ledger) -> None:
        self._service = service
        self._ledger = ledger
        self._pages: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("GET", "requests"): lambda _: [record.document() for record in ledger.requests],
            ("DELETE", "requests"): lambda _: ledger.clear_requests(),
            ("GET", "streams"): lambda _: [record.document() for record in ledger.streams],
            ("DELETE", "streams"): lambda _: ledger.clear_streams(),
            ("POST", "expire"): self._expire,
            ("POST", "revoke"): lambda body: service.book.revoke(str(body["what"])),
            ("POST", "refuse"): lambda body: self.refuse(str(body["account"]), str(body.get("status", ""))),
            ("POST", "fail"): self._fail,
            ("POST", "person"): self._person,
            ("POST", "expire_codes"): lambda _: service.sign_ins.expire_codes(),
        }

    def answer(self, call: Call) -> Reply:
        page = self._pages.get((call.method, call.path.removeprefix(PREFIX)))
        if page is None:
            known = ", ".join(f"{method} {PREFIX}{name}" for method, name in self._pages)
            return json_reply({"message": f"No such page; there are {known}."}, status=404)
        try:
            body = orjson.loads(call.body) if call.body else {}
            if not isinstance(body, dict):
                raise ValueError("the body has to be a JSON object")
            return json_reply(page(body))
        except KeyError as missing:
            return json_reply({"message": f"Missing or unknown: {missing}"}, status=400)
        except (ValueError, TypeError) as wrong:
            return json_reply({"message": str(wrong)}, status=400)

    def refuse(self, account: str, status: str) -> None:
        """Every data call of that account is refused with the error of that name; "" ends it. Raises KeyError."""
        if status:
            self._service.refusals.find(status)
        for known in self._service.book.accounts:
            if known.name == account:
                known.refusal = status
                return
        raise KeyError(account)

    def add_fault(self, fault: Fault) -> None:
        """Raises KeyError for a status that there is not."""
        self._service.refusals.find(fault.status)
        self._service.faults.append(fault)

    def _expire(self, body: dict[str, Any]) -> None:
        if "client_id" in body:
            self._service.book.expire_client(str(body["client_id"]))
        else:
            self._service.book.expire_access_tokens()

    def _person(self, body: dict[str, Any]) -> None:
        person = self._service.sign_ins.person
        does, polls = body.get("does", person.does), body.get("polls", person.polls)
        if does not in get_args(Does) or not isinstance(polls, int) or isinstance(polls, bool):
            raise ValueError(f"does has to be one of {', '.join(get_args(Does))}, and polls a whole number")
        person.does, person.polls = does, polls

    def _fail(self, body: dict[str, Any]) -> None:
        self.add_fault(
            Fault(
                where=str(body["where"]),
                status=str(body.get("status", "INTERNAL")),
                times=int(body.get("times", 1)),
                delay=float(body.get("delay_ms", 0)) / 1000,
                silent=bool(body.get("silent", False)),
            )
        )
