"""The web portal's envelope: CBOR in, CBOR out, one path for each operation (KIRO_PROTOCOL 6.4).

An operation is a function of the accounts, the call and its decoded body; it returns the members of its answer or
raises `PortalRefused`. Each file that has operations names them in a mapping, and the routes join those.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import cbor2

from kirotrio.simulator.accounts import AccountBook
from kirotrio.simulator.answers import Call, Reply

PREFIX = "/service/KiroWebPortalService/operation/"
_NAMESPACE = "com.amazon.kirowebportalservice"
_CBOR = "application/cbor"
_PROTOCOL = "rpc-v2-cbor"

Operation: TypeAlias = Callable[[AccountBook, Call, Mapping[str, Any]], Mapping[str, Any]]


class PortalRefused(Exception):
    """An operation's error: HTTP status, the name of its type (without namespace) and a message."""

    def __init__(self, status: int, name: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.name = name


class Portal:
    """The operations by name."""

    def __init__(self, book: AccountBook, operations: Mapping[str, Operation]) -> None:
        self._book = book
        self._operations = operations

    def answer(self, call: Call) -> Reply:
        """Strict about what the envelope demands: POST, both content types, the protocol's header, a CBOR map."""
        name = call.path.removeprefix(PREFIX)
        try:
            operation = self._operations.get(name)
            if operation is None or call.method != "POST":
                raise PortalRefused(404, "UnknownOperationException", f"no operation at {call.method} {call.path}")
            return _reply(200, operation(self._book, call, _members(call)))
        except PortalRefused as refused:
            body = {"__type": f"{_NAMESPACE}#{refused.name}", "message": str(refused)}
            return _reply(refused.status, body, note=refused.name)


def _members(call: Call) -> Mapping[str, Any]:
    for header, wanted in (("content-type", _CBOR), ("accept", _CBOR), ("smithy-protocol", _PROTOCOL)):
        if call.headers.get(header, "").partition(";")[0].strip().lower() != wanted:
            raise PortalRefused(400, "ValidationException", f"the header {header} has to be {wanted}")
    try:
        members = cbor2.loads(call.body)
    except (cbor2.CBORDecodeError, ValueError, RecursionError):
        raise PortalRefused(400, "SerializationException", "the body is no CBOR") from None
    if not isinstance(members, dict):
        raise PortalRefused(400, "SerializationException", "the body has to be a CBOR map")
    return members


def _reply(status: int, members: Mapping[str, Any], *, note: str = "") -> Reply:
    headers = {"content-type": _CBOR, "smithy-protocol": _PROTOCOL}
    return Reply(status, headers, cbor2.dumps(dict(members)), note=note)
