"""The text of a document: plain text at once, everything else in a process of its own that can be killed."""

from __future__ import annotations

import codecs
import math
import os
import signal
import subprocess
import sys
from typing import Any, Final

import orjson
import trio
from attrs import field

from kirotrio.classes import frozen
from kirotrio.config.process import variables
from kirotrio.config.settings import Settings
from kirotrio.kiro.parts import is_textual
from kirotrio.relay import extraction

READABLE: Final = "PDF, Word (.docx), Excel (.xlsx), PowerPoint (.pptx), HTML and plain text"
"""What can be read, for messages."""

_OFFICE: Final = "application/vnd.openxmlformats-officedocument."
_KINDS: Final = {
    "application/pdf": "pdf",
    "application/x-pdf": "pdf",
    "text/html": "html",
    "application/xhtml+xml": "html",
    f"{_OFFICE}wordprocessingml.document": "office",
    f"{_OFFICE}spreadsheetml.sheet": "office",
    f"{_OFFICE}presentationml.presentation": "office",
    "application/vnd.ms-excel.sheet.macroenabled.12": "office",
    "application/vnd.ms-powerpoint.presentation.macroenabled.12": "office",
    # The old formats' own types are often given to new files; what a file is shows inside.
    "application/msword": "office",
    "application/vnd.ms-excel": "office",
    "application/vnd.ms-powerpoint": "office",
}
_ENDINGS: Final = {
    "pdf": "pdf",
    **dict.fromkeys(("html", "htm", "xhtml"), "html"),
    **dict.fromkeys(("docx", "xlsx", "xlsm", "pptx", "pptm", "doc", "xls", "ppt"), "office"),
    **dict.fromkeys(
        ("txt", "md", "markdown", "csv", "tsv", "log", "rst", "json", "xml", "yaml", "yml", "toml"), "text"
    ),
}
_UNTOLD: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/x-download"})
"""Types that say nothing: there the name decides."""

_MARKS: Final = ((b"%PDF-", "pdf"), (b"PK\x03\x04", "office"))
_SNIPPET: Final = "import sys; sys.path[:] = sys.argv[1:]; from kirotrio.relay.extraction import main; sys.exit(main())"
_VARIABLES: Final = (
    *("SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
    # Where a frozen executable has unpacked itself, so that it need not do so again; then it is one process, too.
    *("_PYI_ARCHIVE_FILE", "_PYI_APPLICATION_HOME_DIR", "_PYI_PARENT_PROCESS_LEVEL", "_PYI_LINUX_PROCESS_NAME"),
)
"""What a Python needs of the environment to start."""


@frozen
class Extracted:
    """`pages` is 0 where the format counts none (its slides and sheets count as pages). `cut`: a limit was met, and a
    note at the end of `text` says which."""

    text: str = field(repr=lambda text: f"<{len(text)} characters>")
    title: str = ""
    pages: int = 0
    cut: bool = False


class DocumentUnreadable(Exception):
    """The message is a clause for a person that says why, and what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def readable(media_type: str, name: str = "") -> bool:
    """Whether a document of this type, or by this name where the type says nothing, can be read."""
    return _kind(media_type, name) is not None


def is_html(media_type: str) -> bool:
    return _KINDS.get(_essence(media_type)) == "html"


def says_nothing(media_type: str) -> bool:
    """Whether a media type stands for any bytes at all."""
    return _essence(media_type) in _UNTOLD


async def extract_text(
    content: bytes,
    media_type: str,
    *,
    name: str = "",
    settings: Settings,
    limiter: trio.CapacityLimiter | None = None,
) -> Extracted:
    """The text of `content`, within the limits of `documents.*`.

    `media_type` may carry a charset. `limiter` bounds how many documents are read at one time. Raises
    DocumentUnreadable, also where reading takes longer than `deadlines.extract`. Cancellation kills the process that
    reads, and returns when it is gone.
    """
    kind = _kind(media_type, name) or (_sniffed(content) if says_nothing(media_type) else None)
    if kind is None:
        shown = _essence(media_type) or "unknown"
        raise DocumentUnreadable(f"documents of type {shown[:100]} cannot be read; {READABLE} can")
    if not content:
        raise DocumentUnreadable("it is empty")
    charset = _charset(media_type)
    if kind == "text":
        return _plain(content, charset, settings.documents.max_text)
    if limiter is None:
        return await _in_process(content, kind, charset, settings)
    async with limiter:
        return await _in_process(content, kind, charset, settings)


def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _charset(media_type: str) -> str:
    for parameter in media_type.split(";")[1:]:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            return value.strip().strip("\"'")
    return ""


def _kind(media_type: str, name: str) -> str | None:
    essence = _essence(media_type)
    if essence in _UNTOLD:
        return _ENDINGS.get(name.rpartition(".")[2].lower()) if "." in name else None
    if essence in _KINDS:
        return _KINDS[essence]
    if essence.startswith("text/") or essence.endswith(("+json", "+xml")) or is_textual(essence):
        return "text"
    return None


def _sniffed(content: bytes) -> str | None:
    return next((kind for mark, kind in _MARKS if content.startswith(mark)), None)


def _plain(content: bytes, charset: str, max_text: int) -> Extracted:
    """Raises DocumentUnreadable: a guess at the encoding could change the words."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charset = "utf-16"
    try:
        text = content.decode("utf-8-sig" if charset.lower() in ("", "utf-8", "utf8", "us-ascii") else charset)
    except (UnicodeError, LookupError):
        raise DocumentUnreadable(f"it is not text in {charset or 'UTF-8'}; send it in UTF-8") from None
    if not text.strip():
        raise DocumentUnreadable("it holds no text")
    if len(text) <= max_text:
        return Extracted(text)
    return Extracted(
        f"{text[:max_text]}\n\n[cut here: only the first {max_text} characters of the document were read]", cut=True
    )


def _command() -> list[str]:
    if getattr(sys, "frozen", False):
        return [sys.executable, extraction.VERB]
    # The same modules as here, and not those that happen to lie in the working folder.
    return [sys.executable, "-c", _SNIPPET, *sys.path]


async def _kill(process: trio.Process) -> None:
    process.kill()


async def _in_process(content: bytes, kind: str, charset: str, settings: Settings) -> Extracted:
    limits, patience = settings.documents, settings.deadlines.extract
    order: dict[str, Any] = {
        "kind": kind,
        "charset": charset,
        "max_pages": limits.max_pages,
        "max_text": limits.max_text,
        "max_memory": limits.max_memory,
        "max_cpu": math.ceil(patience) + 1,
    }
    with trio.move_on_after(patience):
        try:
            done = await trio.run_process(
                _command(),
                stdin=orjson.dumps(order) + b"\n" + content,
                capture_stdout=True,
                stderr=subprocess.DEVNULL,
                check=False,
                deliver_cancel=_kill,
                env=variables(*_VARIABLES),
            )
        except OSError as error:
            raise DocumentUnreadable(f"the process that reads documents could not be started ({error})") from error
        return _answer(done.returncode, done.stdout)
    raise DocumentUnreadable(f"it could not be read within {patience:g} seconds")


def _answer(code: int, output: bytes) -> Extracted:
    try:
        answer = orjson.loads(output)
    except orjson.JSONDecodeError:
        raise DocumentUnreadable(_death(code)) from None
    if "unreadable" in answer:
        raise DocumentUnreadable(answer["unreadable"])
    return Extracted(**answer)


def _death(code: int) -> str:
    if os.name != "nt" and code == -signal.SIGXCPU:
        return "reading it takes too long"
    return f"the process that read it ended without an answer (exit code {code}); the file is damaged or too large"
