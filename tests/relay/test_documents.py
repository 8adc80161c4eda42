"""What is read of each kind of document, and what is said of those that cannot be read."""

from __future__ import annotations

import io
import re
import zipfile
from typing import Any

import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from hypothesis import given
from hypothesis import strategies as st
from pptx.util import Inches
from pypdf import PageObject
from support.files import encrypted_pdf, excel, pdf, powerpoint, word

from kirotrio.config.settings import DocumentSettings, Settings
from kirotrio.relay.documents import DocumentUnreadable, Extracted, extract_text, readable
from kirotrio.relay.extraction import repaired
from kirotrio.relay.formats.draft import Draft, Unreadable
from kirotrio.relay.formats.pdf import read_pdf

OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX, XLSX, PPTX = (
    OFFICE + rest for rest in ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
)


async def text_of(content: bytes, media_type: str, *, name: str = "", **limits: Any) -> Extracted:
    return await extract_text(content, media_type, name=name, settings=Settings(documents=DocumentSettings(**limits)))


async def why(content: bytes, media_type: str, *, name: str = "", **limits: Any) -> str:
    with pytest.raises(DocumentUnreadable) as caught:
        await text_of(content, media_type, name=name, **limits)
    return caught.value.message


async def test_pdf_text_comes_page_by_page():
    found = await text_of(pdf("first words", "second words", title="A report"), "application/pdf")
    assert found == Extracted("[page 1]\nfirst words\n\n[page 2]\nsecond words", "A report", 2, False)


async def test_a_page_without_text_among_others_is_told():
    found = await text_of(pdf("words", ""), "application/pdf")
    assert found.text == "[page 1]\nwords\n\n[page 2]\n(no text on this page)"


def test_a_page_that_cannot_be_read_does_not_take_the_others_away(monkeypatch):
    def first_alone(page: Any) -> str:
        if page.page_number:
            raise KeyError("/Font")
        return "words"

    monkeypatch.setattr(PageObject, "extract_text", first_alone)
    draft = Draft(max_pages=9, max_text=999)
    read_pdf(pdf("a", "b"), draft)
    assert draft.text == "[page 1]\nwords\n\n[page 2]\n(this page could not be read)"
    monkeypatch.setattr(PageObject, "extract_text", lambda page: {}["/Font"])
    with pytest.raises(Unreadable, match="none of its pages"):
        read_pdf(pdf("a", "b"), Draft(max_pages=9, max_text=999))


async def test_a_pdf_that_any_reader_opens_is_read_though_it_is_encrypted():
    assert (await text_of(encrypted_pdf(""), "application/pdf")).text == "secret words"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (encrypted_pdf("a password"), "protected by a password"),
        (pdf("", ""), "no text layer"),
        (pdf("words")[:200], "damaged"),
        (b"<html>Please sign in</html>", "not a PDF"),
        (b"", "empty"),
    ],
    ids=["encrypted", "scanned", "cut off", "a page in its place", "empty"],
)
async def test_a_pdf_that_cannot_be_read_says_why(content, said):
    assert said in await why(content, "application/pdf")


async def test_too_many_pages_are_cut_and_the_text_says_so():
    found = await text_of(pdf(*(f"words {n}" for n in range(1, 6))), "application/pdf", max_pages=2)
    assert (found.pages, found.cut) == (5, True)
    assert "words 2" in found.text
    assert "words 3" not in found.text
    assert found.text.endswith("[cut here: only the first 2 of 5 pages were read]")


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (pdf("word " * 100), "application/pdf"),
        (b"<p>" + b"word " * 100, "text/html"),
        (word(lambda document: document.add_paragraph("word " * 100)), DOCX),
        (b"word " * 100, "text/plain"),
    ],
    ids=["pdf", "html", "docx", "text"],
)
async def test_too_much_text_is_cut_and_the_text_says_so(content, media_type):
    found = await text_of(content, media_type, max_text=50)
    assert found.cut
    kept, _, note = found.text.partition("\n\n")
    assert len(kept) <= 50
    assert kept.startswith("word word")
    assert note == "[cut here: only the first 50 characters of the document were read]"


async def test_text_of_exactly_the_limit_is_whole():
    assert await text_of(b"x" * 50, "text/plain", max_text=50) == Extracted("x" * 50)


def paragraph(inner: str) -> Any:
    return parse_xml(f"<w:p {nsdecls('w')}>{inner}</w:p>")


def run(text: str) -> str:
    return f"<w:r><w:t xml:space='preserve'>{text}</w:t></w:r>"


async def test_word_keeps_the_order_of_headings_lists_and_tables():
    def fill(document: Any) -> None:
        document.core_properties.title = "Plan"
        document.add_heading("Aims", 2)
        document.add_paragraph("One", style="List Bullet")
        table = document.add_table(2, 2)
        for number, cell in enumerate(cell for row in table.rows for cell in row.cells):
            cell.text = f"cell {number}"
        table.cell(1, 1).add_table(1, 1).cell(0, 0).text = "within"
        document.add_paragraph("After")

    found = await text_of(word(fill), DOCX)
    assert found.title == "Plan"
    assert found.text == "## Aims\n\n- One\n\ncell 0 | cell 1\ncell 2 | cell 3 / within\n\nAfter"


async def test_word_text_that_the_library_passes_over_is_read_and_what_was_deleted_is_not():
    def fill(document: Any) -> None:
        body = document.element.body
        control = f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p>{run('controlled')}</w:p></w:sdtContent></w:sdt>"
        body.insert(0, parse_xml(control))
        tabs = "<w:pPr><w:tabs><w:tab w:val='left' w:pos='720'/></w:tabs></w:pPr>"
        body.insert(
            1, paragraph(f"{tabs}{run('a')}<w:ins>{run('dded')}</w:ins><w:moveFrom>{run('moved')}</w:moveFrom>")
        )
        body.insert(
            2, paragraph(f"<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:r><w:tab/></w:r>{run('b')}")
        )
        box = f"<w:r><w:pict><w:txbxContent><w:p>{run('boxed')}</w:p></w:txbxContent></w:pict></w:r>"
        body.insert(3, paragraph(run("around") + box))

    assert (await text_of(word(fill), DOCX)).text == "controlled\n\nadded\n\nb\n\naround\n\nboxed"


async def test_excel_shows_each_sheet_with_values_and_uncomputed_formulas():
    def fill(workbook: Any) -> None:
        first = workbook.active
        first.title = "Costs"
        first.append(["item", "price", "day"])
        first.append(["tea", 2.5, __import__("datetime").datetime(2026, 3, 1)])
        first.append([])
        first.append([None, "=B2*2", True])
        workbook.create_sheet("Notes").append(["two\nlines"])

    found = await text_of(excel(fill), XLSX)
    assert found.pages == 2
    assert found.text == (
        "[sheet Costs]\nitem\tprice\tday\ntea\t2.5\t2026-03-01\n\t=B2*2\tTRUE\n\n[sheet Notes]\ntwo lines"
    )


async def test_excel_cells_beyond_the_declared_size_are_read():
    whole = excel(lambda workbook: [workbook.active.append([n, n + 1]) for n in range(3)])
    found = await text_of(rewritten(whole, "sheet1.xml", lambda xml: xml.replace(b"A1:B3", b"A1:A1")), XLSX)
    assert found.text == "[sheet Sheet]\n0\t1\n1\t2\n2\t3"


async def test_powerpoint_shows_each_slide_with_tables_groups_and_notes():
    def fill(deck: Any) -> None:
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = "Deck"
        group = slide.shapes.add_group_shape()
        group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "in a group"
        table = slide.shapes.add_table(1, 2, 0, 0, Inches(1), Inches(1)).table
        table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
        slide.notes_slide.notes_text_frame.text = "say this"
        deck.slides.add_slide(deck.slide_layouts[6])

    found = await text_of(powerpoint(fill), PPTX)
    assert found.pages == 2
    assert found.text == "[slide 1]\nDeck\nin a group\nleft | right\n[notes]\nsay this\n\n[slide 2]"


def rewritten(archive: bytes, ending: str, change: Any) -> bytes:
    """The archive with the entries of this ending changed."""
    into = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, change(content) if entry.filename.endswith(ending) else content)
    return into.getvalue()


def without_properties(package: bytes) -> bytes:
    """The Office file as programs write it that tell nothing about its author and title."""
    into = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(into, "w") as new:
        assert "docProps/core.xml" in old.namelist()
        for name in old.namelist():
            if name != "docProps/core.xml":
                mentions = rb"<(Relationship|Override) [^>]*docProps/core.xml[^>]*>"
                new.writestr(name, re.sub(mentions, b"", old.read(name)))
    return into.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (word(lambda document: document.add_paragraph("words")), DOCX),
        (excel(lambda workbook: workbook.active.append(["words"])), XLSX),
        (powerpoint(lambda deck: deck.slides.add_slide(deck.slide_layouts[6])), PPTX),
    ],
    ids=["docx", "xlsx", "pptx"],
)
async def test_an_office_file_that_names_no_title_has_none(content, media_type):
    assert (await text_of(without_properties(content), media_type)).title == ""


async def test_the_title_of_a_powerpoint_file_is_kept():
    def fill(deck: Any) -> None:
        deck.core_properties.title = "Plan"
        deck.slides.add_slide(deck.slide_layouts[6])

    assert (await text_of(powerpoint(fill), PPTX)).title == "Plan"


def zipped(**entries: bytes) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("_", "/"), content)
    return into.getvalue()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (zipped(a=b"x"), "not a Word, Excel or PowerPoint file"),
        (zipped(**{"word_document.xml": b"x", "word_big": b"0" * 60_000_000}), "unpacks to more than"),
        (zipped(**{"word_document.xml": b"x", **{f"n{n}": b"" for n in range(20_000)}}), "unpacks to more than"),
        (zipped(**{"word_document.xml": b"not xml"}), "damaged"),
        (word(lambda document: None)[:-40], "damaged"),
        (word(lambda document: None), "no text"),
        (rewritten(word(lambda d: d.add_paragraph("x")), "document.xml", lambda xml: xml[:300]), "damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "old Office format"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "protected by a password"),
        (b"plain words", "not an Office file"),
    ],
    ids=["zip", "bomb", "many entries", "rubbish", "cut off", "empty", "cut inside", "old", "encrypted", "not a zip"],
)
async def test_an_office_file_that_cannot_be_read_says_why(content, said):
    assert said in await why(content, DOCX, max_memory=200_000_000)


async def test_what_an_office_file_is_shows_inside():
    content = excel(lambda workbook: workbook.active.append(["x"]))
    for told in (DOCX, "application/vnd.ms-excel", "application/octet-stream"):
        assert (await text_of(content, told)).text == "[sheet Sheet]\nx"


async def test_html_becomes_what_a_reader_would_see():
    page = b"""<!doctype html><html><head><title> A
      page </title><style>p {}</style></head><body><!-- no --><script>alert(1)</script><h1>Head</h1>
      <p>Some <b>bold</b> <a href="/x">link</a>.</p><ul><li>one</li><li>two</li></ul>
      <img alt="pic" src="data:image/png;base64,AAAA"><template>no</template>
      <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></body></html>"""
    found = await text_of(page, "text/html; charset=utf-8")
    assert found.title == "A page"
    for shown in ("# Head", "Some **bold** [link](/x).", "- one\n- two", "pic", "| a | b |", "| 1 | 2 |"):
        assert shown in found.text, found.text
    for hidden in ("alert", "AAAA", "<", "no", "{}"):
        assert not re.search(rf"\b{hidden}\b" if hidden.isalpha() else re.escape(hidden), found.text), found.text


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        ("<p>grün".encode("latin-1"), "text/html; charset=iso-8859-1"),
        ("<meta charset=latin1><p>grün".encode("latin-1"), "text/html"),
        ("<p>grün".encode(), "text/html"),
        ("<p>grün".encode(), "application/xhtml+xml"),
    ],
)
async def test_html_is_read_in_its_own_encoding(content, media_type):
    assert (await text_of(content, media_type)).text == "grün"


async def test_html_that_is_nested_without_end_loses_nothing():
    found = await text_of(b"<div>" * 5000 + b"deep" + b"</div>" * 5000 + b"<p>after", "text/html")
    assert "deep" in found.text
    assert "after" in found.text


@pytest.mark.parametrize(
    ("content", "media_type", "text"),
    [
        ("grün".encode(), "text/plain", "grün"),
        ("\ufeffgrün".encode(), "text/markdown; charset=UTF-8", "grün"),
        ("grün".encode("latin-1"), 'text/plain; charset="ISO-8859-1"', "grün"),
        ("grün".encode("utf-16"), "text/csv", "grün"),
        (b'{"a": 1}', "application/json", '{"a": 1}'),
        (b"<a/>", "image/svg+xml", "<a/>"),
    ],
)
async def test_plain_text_is_taken_as_it_is(content, media_type, text):
    assert await text_of(content, media_type) == Extracted(text)


async def test_text_in_an_encoding_that_nobody_named_is_not_guessed_at():
    assert "UTF-8" in await why("grün".encode("latin-1"), "text/plain")
    assert "rot13" in await why(b"abc", "text/plain; charset=rot13")


@pytest.mark.parametrize(
    ("media_type", "name", "expected"),
    [
        ("application/pdf", "", True),
        (DOCX, "", True),
        ("text/x-whatever", "", True),
        ("application/ld+json", "", True),
        ("Application/PDF; version=1", "", True),
        ("application/octet-stream", "report.PDF", True),
        ("", "notes.md", True),
        ("application/octet-stream", "", False),
        ("application/octet-stream", "a.exe", False),
        ("video/mp4", "a.pdf", False),
        ("application/zip", "a.docx", False),
    ],
)
def test_what_can_be_read_is_known_by_type_or_name(media_type, name, expected):
    assert readable(media_type, name) is expected


async def test_octets_are_known_by_their_name_or_their_first_bytes():
    assert (await text_of(pdf("words"), "application/octet-stream")).text == "words"
    assert (await text_of(b"words", "binary/octet-stream", name="a.txt")).text == "words"


async def test_an_unknown_type_is_told_what_can_be_read():
    said = await why(b"x", "video/mp4")
    assert "video/mp4" in said
    for kind in ("PDF", ".docx", ".xlsx", ".pptx", "HTML", "plain text"):
        assert kind in said


async def test_reading_takes_no_more_memory_than_the_setting_says():
    page = b"<p>words and words</p>" * 400_000
    said = await why(page, "text/html", max_memory=100_000_000)
    assert "memory" in said
    assert "100000000" in said


@given(st.text(st.characters(), min_size=1))
def test_what_leaves_the_worker_is_proper_unicode(text):
    assert repaired(text).encode(), repr(text)
    assert repaired(text + "\ud83d\ude00") == repaired(text) + "\U0001f600"
    if not any("\ud800" <= sign <= "\udfff" for sign in text):
        assert repaired(text) == text
