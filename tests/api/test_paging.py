"""Pages of a listing: nothing is left out, nothing comes twice."""

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.api.paging import LARGEST, Page, read_page
from shared.domain.errors import InvalidRequestError


@given(count=st.integers(0, 40), top=st.integers(0, 50), skip=st.integers(0, 50), size=st.integers(1, 10))
def test_the_pages_that_follow_each_other_are_the_part_that_was_asked_for(count, top, skip, size):
    items = list(range(count))
    found: list[int] = []
    page: Page | None = Page(top, skip, size)
    while page is not None:
        part = page.cut(items)
        assert len(part) <= size
        found += part
        page = page.after(count)
    assert found == items[skip : skip + top]


def test_a_link_leads_to_the_page_it_was_made_of():
    page = Page(top=7, skip=4, size=2)
    link = page.link("https://host/loops/news/personalizer/evaluations?top=9", {"filter": "metadata=evaluationType eq 'Manual'"})
    assert link.startswith("https://host/loops/news/personalizer/evaluations?")
    read = {name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}
    assert read_page(read) == page
    assert read["filter"] == "metadata=evaluationType eq 'Manual'"


def test_without_a_query_all_is_wanted_a_hundred_at_a_time():
    assert read_page({}) == Page(top=LARGEST, skip=0, size=100)


@pytest.mark.parametrize("name", ["top", "skip", "maxpagesize"])
@pytest.mark.parametrize("text", ["-1", "1.0", "one", "1e3", "2147483648", "9" * 5000, "٣"])
def test_what_is_not_a_number_in_range_is_refused_by_naming_the_parameter(name, text):
    with pytest.raises(InvalidRequestError) as refused:
        read_page({name: text})
    assert refused.value.target == name


def test_a_page_has_at_least_one_item():
    with pytest.raises(InvalidRequestError):
        read_page({"maxpagesize": "0"})
