"""Office files are zip archives: what is looked at before one is opened, and which of the three it is."""

from __future__ import annotations

import io
import zipfile

from kirotrio.relay.formats.draft import Draft, Unreadable

_COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")
"""The mark of the container that old Office files are, and that new ones with a password are put in."""
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_MOST_ENTRIES = 20_000


def read_office(content: bytes, max_unpacked: int, draft: Draft) -> None:
    """Word, Excel or PowerPoint, by what the archive holds. Raises Unreadable, and whatever these libraries raise for a
    file whose parts do not fit together.

    `max_unpacked`: bytes that all entries may come to; the archive declares their sizes, and none unpacks to more.
    """
    if content.startswith(_COMPOUND_FILE):
        if _ENCRYPTED in content:
            raise Unreadable("the file is protected by a password; send it without one")
        raise Unreadable("it is a file of an old Office format; save it as .docx, .xlsx or .pptx")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError):
        raise Unreadable("it is not an Office file, or a damaged one") from None
    if len(entries) > _MOST_ENTRIES or sum(entry.file_size for entry in entries) > max_unpacked:
        raise Unreadable(
            f"the file unpacks to more than the {max_unpacked} bytes, or the {_MOST_ENTRIES} parts, that may be read"
        )
    names = {entry.filename.lower() for entry in entries}
    if "word/document.xml" in names:
        from kirotrio.relay.formats.docx import read_docx

        read_docx(content, draft)
    elif "xl/workbook.xml" in names:
        from kirotrio.relay.formats.xlsx import read_xlsx

        read_xlsx(content, draft)
    elif "ppt/presentation.xml" in names:
        from kirotrio.relay.formats.pptx import read_pptx

        read_pptx(content, draft)
    else:
        raise Unreadable("it is not a Word, Excel or PowerPoint file (.docx, .xlsx, .pptx)")
