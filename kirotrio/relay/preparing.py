"""Remote images and documents are fetched and documents turned into text, each with limits and deadlines.

Loaded by `prepare` with the first conversation that names one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import attrs
import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.images import shown_type
from kirotrio.conversation.request import Conversation, Document, Image, Part, RemoteFile, ResultPart, ToolResult
from kirotrio.errors import BodyInvalid, DeadlineExceeded
from kirotrio.relay.documents import DocumentUnreadable, Extracted, extract_text, readable, says_nothing
from kirotrio.relay.extraction import repaired
from kirotrio.relay.fetching import Fetched, FetchRefused, fetch
from kirotrio.relay.prepared_files import FileKey, Pending
from kirotrio.relay.request import LARGE, Relay

_AT_ONE_TIME: Final = 4
"""Fetches of one request."""

_Ready: TypeAlias = Image | Extracted


async def with_files(conversation: Conversation, parts: Sequence[Pending], relay: Relay) -> Conversation:
    """The conversation with these `parts` of it fetched and as text. Raises as `prepare.prepare`."""
    patience = relay.settings.deadlines.prepare
    with trio.move_on_after(patience):
        keys = await _keys(parts)
        ready = await _Preparing(relay).run(_distinct(parts, keys))
        turns = tuple(attrs.evolve(turn, parts=_replaced(turn.parts, keys, ready)) for turn in conversation.turns)
        return attrs.evolve(conversation, turns=turns)
    raise DeadlineExceeded(
        f"the files that the request names were not fetched and read within {patience:g} seconds (deadlines.prepare)"
    )


def _distinct(parts: Sequence[Pending], keys: Mapping[int, FileKey]) -> dict[FileKey, Pending]:
    """Each file once, where it is named first, in the order of the request."""
    distinct: dict[FileKey, Pending] = {}
    for part in parts:
        distinct.setdefault(keys[id(part)], part)
    return distinct


async def _keys(parts: Sequence[Pending]) -> dict[int, FileKey]:
    """The key of each part, by its identity: digests of large documents are made once, and not on the loop."""

    def make() -> dict[int, FileKey]:
        return {id(part): FileKey.of(part) for part in parts}

    if sum(len(part.data) for part in parts if isinstance(part, Document)) > LARGE:
        return await trio.to_thread.run_sync(make, abandon_on_cancel=True)
    return make()


def _replaced(
    parts: tuple[Part, ...], keys: Mapping[int, FileKey], ready: Mapping[FileKey, _Ready]
) -> tuple[Part, ...]:
    def filled(part: Part | ResultPart) -> Part | ResultPart:
        key = keys.get(id(part))
        if key is None:
            return part
        pending, found = cast("Pending", part), ready[key]
        if isinstance(found, Image):
            return found
        return Document("text/plain", found.text, pending.title or found.title or None, pending.context, pending.path)

    return tuple(
        attrs.evolve(part, content=tuple(cast("ResultPart", filled(within)) for within in part.content))
        if isinstance(part, ToolResult)
        else cast("Part", filled(part))
        for part in parts
    )


@define(eq=False)
class _Preparing:
    """The files of one request. `run` is called once."""

    relay: Relay
    _ready: dict[FileKey, _Ready] = field(factory=dict)
    _failures: dict[int, BodyInvalid] = field(factory=dict)
    """By place in the request: of several that fail at one time, the first is told."""
    _held: int = 0

    async def run(self, pending: Mapping[FileKey, Pending]) -> dict[FileKey, _Ready]:
        """All of them, or BodyInvalid for the first that cannot be had."""
        turnstile = trio.CapacityLimiter(_AT_ONE_TIME)
        async with trio.open_nursery() as nursery:
            for place, (key, part) in enumerate(pending.items()):
                nursery.start_soon(self._one, place, key, part, turnstile, nursery.cancel_scope)
        if self._failures:
            raise self._failures[min(self._failures)]
        return self._ready

    async def _one(
        self, place: int, key: FileKey, part: Pending, turnstile: trio.CapacityLimiter, others: trio.CancelScope
    ) -> None:
        async with turnstile:
            try:
                ready = self.relay.files.get(key)
                if ready is None:
                    ready = await self._prepared(part)
                    self.relay.files.put(key, ready)
                self._count(part, ready)
                self._ready[key] = ready
            except BodyInvalid as error:
                # Kept rather than raised: a nursery would wrap it up, and the others' ends with it.
                self._failures[place] = error
                others.cancel()

    async def _prepared(self, part: Pending) -> _Ready:
        if isinstance(part, Document):
            content = await _decoded(part)
            media_type = "text/html; charset=utf-8" if part.is_text else part.media_type
            return await self._text_of(part, content, media_type, part.title or "")
        if part.kind == "image":
            return await self._image(part)
        return await self._remote_document(part)

    def _count(self, part: Pending, ready: _Ready) -> None:
        """Raise BodyInvalid where the files come to more than a body may have."""
        self._held += len(ready.data if isinstance(ready, Image) else ready.text)
        most = self.relay.settings.server.max_body
        if self._held > most:
            raise BodyInvalid(
                part.path, f"the files of this request come to more than {most} bytes together (server.max_body)"
            )

    async def _image(self, part: RemoteFile) -> Image:
        fetched = await self._fetched(part)
        media_type = shown_type(fetched.content)
        if media_type is None:
            raise BodyInvalid(
                part.path, f"what {_host(fetched.url)} sends is not a PNG, JPEG, GIF or WebP image; those can be used"
            )
        return Image(media_type, await _in_base64(fetched.content))

    async def _remote_document(self, part: RemoteFile) -> Extracted:
        fetched = await self._fetched(part)
        media_type = f"{fetched.media_type}; charset={fetched.charset}" if fetched.charset else fetched.media_type
        return await self._text_of(part, fetched.content, media_type, _name(fetched.url))

    async def _fetched(self, part: RemoteFile) -> Fetched:
        limits = self.relay.settings.fetch
        image = part.kind == "image"
        began = trio.current_time()
        try:
            fetched = await fetch(
                part.url,
                ceiling=limits.max_image if image else limits.max_document,
                settings=self.relay.settings,
                accepts=_may_be_image if image else _may_be_document(part.url),
            )
        except FetchRefused as error:
            raise BodyInvalid(part.path, f"the {part.kind} could not be fetched: {error.message}") from error
        self.relay.log.debug(
            "fetched",
            host=_host(fetched.url),
            bytes=len(fetched.content),
            seconds=round(trio.current_time() - began, 3),
        )
        return fetched

    async def _text_of(self, part: Pending, content: bytes, media_type: str, name: str) -> Extracted:
        try:
            return await extract_text(
                content,
                media_type,
                name=name,
                settings=self.relay.settings,
                limiter=self.relay.extraction,
            )
        except DocumentUnreadable as error:
            raise BodyInvalid(part.path, f"the document could not be read: {error.message}") from error


async def _decoded(document: Document) -> bytes:
    """The bytes of a document: of one that is text already, in UTF-8."""
    decode: Callable[[str], bytes] = _encoded if document.is_text else base64.b64decode
    try:
        if len(document.data) > LARGE:
            return await trio.to_thread.run_sync(decode, document.data)
        return decode(document.data)
    except (binascii.Error, ValueError):
        raise BodyInvalid(document.path, "must be valid base64") from None


def _encoded(text: str) -> bytes:
    return repaired(text).encode()


async def _in_base64(content: bytes) -> str:
    if len(content) > LARGE:
        return (await trio.to_thread.run_sync(base64.b64encode, content)).decode()
    return base64.b64encode(content).decode()


def _may_be_image(media_type: str) -> bool:
    """Whether the body is worth reading; its first bytes then say what it is."""
    return says_nothing(media_type) or (media_type.startswith("image/") and media_type != "image/svg+xml")


def _may_be_document(url: str) -> Callable[[str], bool]:
    return lambda media_type: says_nothing(media_type) or readable(media_type, _name(url))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _name(url: str) -> str:
    """The last part of the address's path: what a person would save it as."""
    return unquote(urlsplit(url).path.rpartition("/")[2])
