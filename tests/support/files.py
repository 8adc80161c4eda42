"""Small documents and images of every kind that can be read, made by the libraries that define them."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

import docx
import openpyxl
import pptx
from pypdf import PdfReader, PdfWriter

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f6"
    "45400000000049454e44ae426082"
)
IMAGES = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00rest",
    "image/gif": b"GIF89a\x01\x00\x01\x00rest",
    "image/webp": b"RIFF\x1a\x00\x00\x00WEBPVP8Lrest",
}


def pdf(*pages: str, title: str = "") -> bytes:
    """A PDF by hand, one line of text on each page; "" makes a page without a text layer."""
    count = len(pages)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{' '.join(f'{4 + 2 * n} 0 R' for n in range(count))}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        drawn = zlib.compress(f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode() if text else b"0 0 9 9 re f")
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * number)
        )
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(drawn), drawn))
    objects.append(f"<< /Title ({title}) >>".encode())
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for index, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (index, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def encrypted_pdf(user_password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("secret words"))))
    writer.encrypt(user_password, "of the owner", algorithm="AES-256")
    return _saved(writer.write)


def word(fill: Callable[[Any], object]) -> bytes:
    document = docx.Document()
    fill(document)
    return _saved(document.save)


def excel(fill: Callable[[Any], object]) -> bytes:
    workbook = openpyxl.Workbook()
    fill(workbook)
    return _saved(workbook.save)


def powerpoint(fill: Callable[[Any], object]) -> bytes:
    presentation = pptx.Presentation()
    fill(presentation)
    return _saved(presentation.save)


def _saved(save: Callable[[Any], object]) -> bytes:
    into = io.BytesIO()
    save(into)
    return into.getvalue()
