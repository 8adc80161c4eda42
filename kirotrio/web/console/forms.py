"""What a form sends: `application/x-www-form-urlencoded`, or `multipart/form-data` where a file comes along; bounded.
Pure but for waiting for the body."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from attrs import field

from kirotrio.classes import frozen
from kirotrio.errors import BodyInvalid, TooLarge
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming

LARGEST: Final = 1024 * 1024
"""Bytes of a form: an import of many accounts is the largest."""
_MOST_FIELDS: Final = 500
_KIND: Final = "application/x-www-form-urlencoded"
_WITH_FILES: Final = "multipart/form-data"
_NOT_DECODED: Final = "does not decode; it is not what a browser sends"
TOKEN: Final = "csrf"  # noqa: S105 - a field's name


@frozen
class Form:
    """The fields by name, in the order in which they came, and the files. They may hold secrets, so `repr` has none of
    them."""

    fields: Mapping[str, Sequence[str]] = field(repr=False, factory=dict)
    files: Mapping[str, bytes] = field(repr=False, factory=dict)

    def __call__(self, name: str, *, most: int = 10_000) -> str:
        """One field without blanks around it, "" where it was not sent. Raises BodyInvalid for one that is too long."""
        value = self.raw(name).strip()
        if len(value) > most:
            raise BodyInvalid(name, f"is longer than the {most} characters that are taken here")
        return value

    def raw(self, name: str) -> str:
        """As it was sent: a password keeps its blanks."""
        values = self.fields.get(name)
        return values[-1] if values else ""

    def all(self, name: str) -> tuple[str, ...]:
        """Of a field that may come more than once, those that are not empty."""
        return tuple(value.strip() for value in self.fields.get(name, ()) if value.strip())

    def lines(self, name: str) -> tuple[str, ...]:
        """A text area's lines, or what commas divide, without empty ones."""
        return tuple(part for line in self.raw(name).splitlines() for one in line.split(",") if (part := one.strip()))

    def ticked(self, name: str) -> bool:
        return bool(self.raw(name))

    def number(self, name: str, *, least: float = 0, whole: bool = True) -> float | None:
        """None for an empty field. Raises BodyInvalid for what is no such number."""
        text = self(name, most=40)
        if not text:
            return None
        try:
            value = int(text) if whole else float(text)
        except ValueError:
            value = float("nan")
        if not least <= value < 1e15:
            kind = "a whole number" if whole else "a number"
            raise BodyInvalid(name, f"must be {kind} from {least:g} on, or empty; it is {text!r}")
        return value


def entered(form: Form | None, *names: str, **there: str) -> dict[str, str]:
    """What the fields of a page hold: what was entered, else what is there ("" for `names`)."""
    return {
        name: form.raw(name).strip() if form is not None and name in form.fields else value
        for name, value in {**dict.fromkeys(names, ""), **there}.items()
    }


async def read_form(gateway: Gateway, incoming: Incoming) -> Form:
    """Raises BodyInvalid, TooLarge, Overloaded, DeadlineExceeded."""
    kind = incoming.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_KIND, _WITH_FILES):
        raise BodyInvalid("content-type", f"{kind[:60]!r} is no form; forms are sent as {_KIND} or {_WITH_FILES}")
    declared = incoming.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > LARGEST:
        raise TooLarge(f"the form is larger than the {LARGEST} bytes that are accepted")
    body = await incoming.intake.whole(gateway.settings.deadlines.prepare)
    if len(body) > LARGEST:
        raise TooLarge(f"the form is larger than the {LARGEST} bytes that are accepted")
    if kind == _WITH_FILES:
        return _with_files(body, incoming.headers["content-type"])
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS, separator="&"
        )
    except ValueError as error:  # UnicodeDecodeError, too
        raise BodyInvalid("form", _NOT_DECODED) from error
    return Form(_by_name(pairs))


def _with_files(body: bytes, kind: str) -> Form:
    """Imported here: few forms bring a file along."""
    from werkzeug.exceptions import RequestEntityTooLarge
    from werkzeug.formparser import MultiPartParser
    from werkzeug.http import parse_options_header

    boundary = parse_options_header(kind)[1].get("boundary", "")
    parser = MultiPartParser(
        stream_factory=lambda *_, **__: io.BytesIO(), max_form_memory_size=LARGEST, max_form_parts=_MOST_FIELDS
    )
    try:
        fields, files = parser.parse(io.BytesIO(body), boundary.encode("ascii"), len(body))
    except (ValueError, RequestEntityTooLarge) as error:
        raise BodyInvalid("form", _NOT_DECODED) from error
    return Form(_by_name(fields.items(multi=True)), {name: file.stream.read() for name, file in files.items()})


def _by_name(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(value.replace("\x00", ""))
    return fields
