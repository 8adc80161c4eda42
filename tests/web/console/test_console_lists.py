"""Pages of lists: what leads to the others, and how many rows each has."""

from __future__ import annotations

import re
from html import unescape

import pytest
from support.console import browser
from support.past_requests import put, record

from kirotrio.store.listing import Listed, Listing
from kirotrio.web.console.languages import CHINESE, ENGLISH
from kirotrio.web.console.lists import ListView
from kirotrio.web.console.pages import brief


async def test_pages_lead_to_the_first_the_next_and_the_last_and_say_where_one_is(stack):
    async with stack() as s:
        someone = browser(s)
        await someone.set_up()
        await s.gateway.people.database.write(lambda link: put(link, *(record(number) for number in range(60))))

        async def shown(query: str) -> tuple[dict[str, str], str]:
            text = (await someone.open(f"/console/requests?{query}")).text
            nav = unescape(text[text.index('<nav class="paging"') :].partition("</nav>")[0])
            links = {name: address for address, name in re.findall(r'<a[^>]* href="([^"]+)"[^>]*>([^<]+)</a>', nav)}
            return links, nav

        links, nav = await shown("size=25&page=2&model=")
        assert "Page 2 of 3" in nav
        assert "26 to 50 of 60" in nav
        there = "/console/requests?size=25"
        assert (links["First"], links["Previous"]) == (there, there)
        assert (links["Next"], links["Last"]) == (f"{there}&page=3", f"{there}&page=3")
        assert links["100"] == "/console/requests?size=100"
        links, nav = await shown("size=25")
        assert not {"First", "Previous"} & set(links)
        assert links["Last"] == f"{there}&page=3"
        links, nav = await shown("size=25&page=3")
        assert not {"Next", "Last"} & set(links)
        links, nav = await shown("size=100")
        assert "Page" not in nav.replace("Pages of the list", ""), "of one page there is no number"
        assert set(links) == {"25", "50", "100", "200"}


@pytest.mark.parametrize(
    ("page", "size", "other", "there"), [(3, 50, 25, "&page=5"), (3, 50, 200, ""), (9, 50, 100, "&page=5")]
)
def test_another_size_keeps_the_row_that_is_the_first(page: int, size: int, other: int, there: str) -> None:
    view: ListView[int] = ListView("/x", Listed((1,), 1000, Listing(page=page, size=size)), ())
    assert view.size_address(other) == f"/x?size={other}{there}"


def test_a_short_list_offers_no_sizes() -> None:
    assert not ListView("/x", Listed((1,), 25, Listing()), ()).sizes
    assert ListView("/x", Listed((1,), 26, Listing()), ()).sizes == (25, 50, 100, 200)


@pytest.mark.parametrize(
    ("number", "english", "chinese"),
    [
        (0, "0", "0"),
        (123_456, "123,456", "123,456"),
        (1_234_567, "1,234,567", "123.5万"),
        (9_999_999, "9,999,999", "1,000.0万"),
        (99_999_400, "100.0 M", "9,999.9万"),
        (99_999_500, "100.0 M", "1.0亿"),
        (303_003_441, "303.0 M", "3.0亿"),
        (999_949_999, "999.9 M", "10.0亿"),
        (999_960_000, "1.0 B", "10.0亿"),
        (12_345_678_901, "12.3 B", "123.5亿"),
        (2_446_700_000_000, "2,446.7 B", "2.4万亿"),
        (1234.5, "1,234.50", "1,234.50"),
        (123_456.78, "123,457", "123,457"),
    ],
)
def test_a_long_number_is_shortened_with_the_units_of_the_language_and_told_whole(number, english, chinese) -> None:
    for language, shown in ((ENGLISH, english), (CHINESE, chinese)):
        whole = f"{number:,}" if isinstance(number, int) else f"{number:,.2f}"
        assert str(brief(number, language)) == (shown if shown == whole else f'<span title="{whole}">{shown}</span>')
