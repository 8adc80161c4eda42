"""From a call to its answer: which operation it is, in which flavour, and what that operation says.

Nothing here waits or writes: an answer is a value (a delay is a number in it), so the whole service can be asked
without a connection.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import orjson
from attrs import evolve

from kirotrio.classes import define
from kirotrio.kiro.eventstream import encode_event
from kirotrio.simulator import auth, external_auth, social_auth
from kirotrio.simulator.accounts import Account, AccountBook
from kirotrio.simulator.answers import Answer, Call, Flavour, Reply, Stream
from kirotrio.simulator.catalogue import Catalogue, Model
from kirotrio.simulator.control_plane import ControlPlane, requested_query
from kirotrio.simulator.controls import ControlError, Controls, read_controls
from kirotrio.simulator.generate import FrameBook, Generation
from kirotrio.simulator.portal import PREFIX, Portal
from kirotrio.simulator.prompt import Prompt, read_prompt
from kirotrio.simulator.refusals import RefusalTable, Refused
from kirotrio.simulator.script import steps
from kirotrio.simulator.sign_ins import SignIns
from kirotrio.simulator.signatures import SignatureIssuer
from kirotrio.simulator.validate import Validator

_SERVICES = {
    "AmazonCodeWhispererStreamingService": (Flavour.RPC, ("GenerateAssistantResponse", "InvokeMCP")),
    "KiroRuntimeService": (Flavour.RUNTIME, ("GenerateAssistantResponse", "InvokeMCP")),
    "AmazonCodeWhispererService": (
        Flavour.RPC,
        ("ListAvailableModels", "ListAvailableProfiles", "GetUsageLimits"),
    ),
    "KiroControlPlaneBearerService": (
        Flavour.CONTROL,
        ("ListAvailableModels", "ListAvailableProfiles", "GetUsageLimits"),
    ),
}
_PATHS = {
    ("POST", "/generateAssistantResponse"): (Flavour.REST, "GenerateAssistantResponse"),
    ("POST", "/mcp"): (Flavour.REST, "InvokeMCP"),
    ("GET", "/ListAvailableModels"): (Flavour.REST, "ListAvailableModels"),
    ("POST", "/ListAvailableProfiles"): (Flavour.REST, "ListAvailableProfiles"),
    ("GET", "/getUsageLimits"): (Flavour.REST, "GetUsageLimits"),
    ("GET", "/List-Available-Models"): (Flavour.CONTROL, "ListAvailableModels"),
    ("POST", "/List-Available-Profiles"): (Flavour.CONTROL, "ListAvailableProfiles"),
}
_SIGN_IN: dict[tuple[str, str], Callable[[SignIns, Call], Reply]] = {
    ("POST", "/refreshToken"): social_auth.refresh_social,
    ("GET", "/login"): social_auth.login,
    ("GET", "/signin"): social_auth.sign_in_page,
    ("POST", "/oauth/token"): social_auth.exchange_code,
    ("POST", "/oauth/device/authorization"): social_auth.authorize_device,
    ("POST", "/oauth/device/poll"): social_auth.poll_device,
    ("POST", "/client/register"): auth.register_client,
    ("POST", "/device_authorization"): auth.authorize_device,
    ("GET", "/authorize"): auth.authorize,
    ("POST", "/token"): auth.create_token,
    ("GET", external_auth.DISCOVERY_PATH): external_auth.discovery,
    ("GET", external_auth.AUTHORIZE_PATH): external_auth.authorize,
    ("POST", external_auth.TOKEN_PATH): external_auth.create_token,
}
_MOST_COUNTED = 1000


@define
class Fault:
    """The next `times` calls of one path or operation fail: with `status`, after `delay` seconds, or never answered."""

    where: str
    status: str = "INTERNAL"
    times: int = 1
    delay: float = 0.0
    silent: bool = False


def operation_of(call: Call) -> tuple[Flavour, str]:
    """Flavour and operation of a call, a sign-in call's path for its operation; "" where there is none."""
    if (call.method, call.path) in _SIGN_IN:
        return Flavour.REST, call.path
    if call.path.startswith(PREFIX):
        return Flavour.REST, call.path.removeprefix(PREFIX)
    if call.path in ("/", "") and call.method == "POST":
        service, _, operation = call.headers.get("x-amz-target", "").partition(".")
        flavour, operations = _SERVICES.get(service, (Flavour.RPC, ()))
        return flavour, operation if operation in operations else ""
    return _PATHS.get((call.method, call.path), (Flavour.REST, ""))


class Service:
    """The simulated service without its network."""

    def __init__(
        self,
        book: AccountBook,
        sign_ins: SignIns,
        defaults: Controls,
        *,
        signatures: SignatureIssuer,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.book = book
        self.sign_ins = sign_ins
        self.faults: list[Fault] = []
        self.refusals = RefusalTable.shipped()
        self._defaults = defaults
        self._catalogue = Catalogue()
        self._signatures = signatures
        self._validator = Validator(book, self._catalogue, signatures, self.refusals)
        self._control_plane = ControlPlane(self._catalogue, self.refusals, wall=wall)
        operations = {**self._control_plane.portal_operations(), **external_auth.portal_operations(sign_ins)}
        self._portal = Portal(book, operations)
        self._frames = FrameBook()
        self._failed: OrderedDict[str, int] = OrderedDict()

    def answer(self, call: Call) -> Answer:
        """The answer to any call but those below `/_sim`."""
        flavour, operation = operation_of(call)
        try:
            fault = self._take_fault(call.path, operation)
            if fault is not None:
                reply = self.refusals.find(fault.status).reply(flavour, note=f"fault on {fault.where}")
                return evolve(reply, delay=fault.delay, silent=fault.silent)
            if sign_in := _SIGN_IN.get((call.method, call.path)):
                return sign_in(self.sign_ins, call)
            if call.path.startswith(PREFIX):
                return self._portal.answer(call)
            return self._data_call(call, flavour, operation)
        except Refused as refused:
            return refused.refusal.reply(flavour, note=refused.note)

    def _take_fault(self, path: str, operation: str) -> Fault | None:
        for fault in self.faults:
            if fault.where in (path, operation):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def _data_call(self, call: Call, flavour: Flavour, operation: str) -> Answer:
        if not operation:
            target = call.headers.get("x-amz-target", "")
            raise self.refusals.refused("UNKNOWN_OPERATION", f"no operation at {call.method} {call.path} {target}")
        account = self._validator.account(call)
        if call.method == "GET":
            arguments: Mapping[str, Any] = call.query
        else:
            self._validator.content_type(call, flavour)
            arguments = self._validator.json_object(call)
        match operation:
            case "GenerateAssistantResponse":
                self._control_plane.admit(account)
                return self._generate(call, flavour, account, dict(arguments))
            case "InvokeMCP":
                return self._mcp(call, flavour, account, arguments)
            case "ListAvailableProfiles":
                return self._control_plane.profiles(account, flavour)
        self._validator.profile(account, arguments.get("profileArn"), in_body=False)
        if operation == "ListAvailableModels":
            return self._control_plane.models(account, arguments, flavour)
        return self._control_plane.usage(account, arguments, flavour)

    def _mcp(self, call: Call, flavour: Flavour, account: Account, request: Mapping[str, Any]) -> Answer:
        in_body = flavour is Flavour.RUNTIME
        arn = request.get("profileArn") if in_body else call.headers.get("x-amzn-kiro-profile-arn")
        self._validator.profile(account, arn, in_body=in_body)
        query = requested_query(request)
        controls, failing = self._controls(query, f"mcp {query}")
        reply = (
            self._refusal(controls, flavour, account)
            if controls.status or failing
            else self._control_plane.mcp(account, request, flavour, controls.search)
        )
        return evolve(reply, delay=(controls.head_ms + controls.first_ms) / 1000, silent=controls.no_head)

    def _generate(self, call: Call, flavour: Flavour, account: Account, body: dict[str, Any]) -> Answer:
        model = self._validator.generation(body, len(call.body), account, flavour)
        prompt = read_prompt(body, len(call.body))
        counted = "\0".join([prompt.conversation, prompt.message, *prompt.results])
        controls, failing = self._controls(prompt.message, counted)
        if prompt.results:
            controls = self._going_on(controls, prompt)
        if controls.status or (failing and not controls.breaks_stream):
            return self._refusal(controls, flavour, account)
        if failing and controls.fail_scenario:
            controls = evolve(controls, scenario=controls.fail_scenario)
        conversation = prompt.conversation or str(uuid.uuid4())
        generation = Generation(
            prompt=prompt,
            controls=controls,
            model=model,
            sign=lambda: self._signatures.issue(account.name, model.id),
            charge=partial(self._control_plane.charge, account),
            refusals=self.refusals,
            frames=self._frames,
            request_id=call.request_id,
        )
        return Stream(
            headers={
                "content-type": "application/vnd.amazon.eventstream",
                "x-amzn-codewhisperer-conversation-id": _printable(conversation),
            },
            steps=steps(_opening(flavour, conversation), generation.events(), controls),
            head_delay=None if controls.no_head else controls.head_ms / 1000,
            split=controls.split,
            account=account.name,
            model=model.id,
            conversation=conversation,
            note=_summary(controls, model),
        )

    def _going_on(self, controls: Controls, prompt: Prompt) -> Controls:
        """The controls of a message that brings tool results: the person's own message may want further calls."""
        try:
            begun = read_controls(prompt.spoken, self._defaults)
        except ControlError:
            return controls  # that message had its answer
        if begun.rounds <= prompt.answered:
            return controls
        return evolve(controls, scenario=begun.scenario, tool=begun.tool, input=begun.input, rounds=begun.rounds)

    def _controls(self, message: str, counted: str) -> tuple[Controls, bool]:
        """The controls of this attempt, and whether it is one of those that `fail_first` fails."""
        try:
            controls = read_controls(message, self._defaults)
        except ControlError as wrong:
            raise self.refusals.refused("MALFORMED", str(wrong), message=f"simulator: {wrong}") from None
        if not controls.fail_first:
            return controls, False
        key = hashlib.sha256((controls.key or counted).encode("utf-8", "replace")).hexdigest()
        failed = self._failed.pop(key, 0)
        if failed >= controls.fail_first:
            return controls.succeeding(), False
        self._failed[key] = failed + 1
        if len(self._failed) > _MOST_COUNTED:
            self._failed.popitem(last=False)
        return controls, True

    def _refusal(self, controls: Controls, flavour: Flavour, account: Account) -> Reply:
        try:
            refused = self.refusals.refused(controls.status or "HIGH_LOAD", retry_after=controls.retry_after)
        except KeyError:
            known = ", ".join(sorted({row.name for row in self.refusals.rows}))
            message = f"simulator: status: {controls.status!r} is no status or reason; there are {known}"
            raise self.refusals.refused("MALFORMED", message, message=message) from None
        reply = refused.refusal.reply(flavour, note=f"asked for: {refused.note}", account=account.name)
        return evolve(reply, delay=controls.head_ms / 1000, silent=controls.no_head)


def _opening(flavour: Flavour, conversation: str) -> bytes:
    """The frame that names the stream: RPC frames its answer, REST sends the conversation's metadata (3.2)."""
    if flavour is Flavour.REST:
        payload = {"conversationId": conversation, "utteranceId": str(uuid.uuid4())}
        return encode_event("messageMetadataEvent", orjson.dumps(payload))
    return encode_event("initial-response", orjson.dumps({"conversationId": conversation}))


def _summary(controls: Controls, model: Model) -> str:
    return f"{controls.scenario} on {model.id}"


def _printable(value: str) -> str:
    """`value` as it may stand in a header."""
    return "".join(character for character in value if "!" <= character <= "~")[:128]
