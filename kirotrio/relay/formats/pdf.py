"""PDF: the text layer of each page, as pypdf finds it."""

from __future__ import annotations

import io

from pypdf import PasswordType, PdfReader
from pypdf.errors import LimitReachedError, PyPdfError

from kirotrio.relay.formats.draft import Draft, Unreadable

_HEAD = 1024
"""Bytes in which the mark of a PDF has to stand; readers allow for something ahead of it."""


def read_pdf(content: bytes, draft: Draft) -> None:
    """Raises Unreadable for what is no PDF, is damaged, wants a password, or has no text."""
    if b"%PDF-" not in content[:_HEAD]:
        raise Unreadable("it is not a PDF file")
    try:
        reader = PdfReader(io.BytesIO(content))
        # Many files are encrypted with an empty password, which any reader tries.
        if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
            raise Unreadable("the PDF is protected by a password; send it without one")
        _read_pages(reader, draft)
    except LimitReachedError:
        raise Unreadable("a part of the PDF unpacks to more than may be read") from None
    except PyPdfError as error:
        raise Unreadable(f"the PDF is damaged ({error})") from None


def _read_pages(reader: PdfReader, draft: Draft) -> None:
    count = len(reader.pages)
    if reader.metadata is not None and isinstance(reader.metadata.title, str):
        draft.title = reader.metadata.title
    texts = failures = 0
    for index in range(draft.readable_pages(count, "pages")):
        try:
            text = reader.pages[index].extract_text().strip()
        except MemoryError:
            raise
        except Exception:  # one page that pypdf cannot make sense of does not take the others away
            text = ""
            failures += 1
            shown = "(this page could not be read)"
        else:
            shown = text or "(no text on this page)"
        texts += bool(text)
        if count > 1:
            draft.add(f"[page {index + 1}]\n")
        draft.add(f"{shown}\n\n")
    if not texts and failures:
        raise Unreadable("the PDF is damaged: none of its pages could be read")
    if not texts:
        raise Unreadable("the PDF has no text layer (its pages are pictures); send the pages as images")
