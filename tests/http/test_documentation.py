"""The documentation's pages, as the service hands them out: all of them, their links, and nothing beside them."""

import re
from html import unescape

import pytest

from dashboard_function import STATIC
from dashboard_function.documentation import pages
from dashboard_function.markdown import html_of
from shared.runtime.pages import HEADERS
from tests.http.building import refused
from tests.http.test_openapi_page import Parsed

EXPLAINED = re.findall(r'^  \w+: "([\w/-]+)",$', (STATIC / "sections.js").read_text("utf-8"), re.MULTILINE)


def parsed(text: str) -> Parsed:
    return Parsed(text.replace("<!doctype html>", ""))


def test_every_page_is_there_and_every_link_between_them_leads_to_a_heading_of_one(quiet):
    read = {name: quiet.request("GET", f"/documentation/{name}", keyed=False) for name in pages()}
    assert len(read) > 20
    assert {answer.status for answer in read.values()} == {200}
    found = {name: parsed(answer.body.decode()) for name, answer in read.items()}
    ids = {name: set(each.values("id")) for name, each in found.items()}
    for name, each in found.items():
        assert len(each.all("h1")) == 1, name
        for link in each.values("href"):
            if link.startswith("#"):
                assert link[1:] in ids[name], (name, link)
            if link.startswith("/documentation/"):
                page, _, part = link.removeprefix("/documentation/").partition("#")
                assert page in found, (name, link)
                assert not part or part in ids[page], (name, link)
        assert "```" not in each.text, name
    assert {name: read["README"].headers[name.lower()] for name in HEADERS} == dict(HEADERS)


def test_the_first_page_leads_to_the_others(quiet):
    answer = quiet.request("GET", "/documentation", keyed=False)
    links = [each for each in parsed(answer.body.decode()).values("href") if each.startswith("/documentation/")]
    assert len(set(links)) > 15


def test_the_pages_that_sections_name_are_there():
    assert len(EXPLAINED) >= 9
    assert set(EXPLAINED) <= set(pages())


@pytest.mark.parametrize("place", ["nothing", "internals/commit", "decisions/clocks", "..%2fREADME", "../README", "README.md", "x" * 5000])
def test_there_is_no_way_to_anything_else(quiet, place):
    answer = quiet.request("GET", f"/documentation/{place}", keyed=False)
    refused(answer, 404, "ResourceNotFound", naming="there is nothing at" if place.startswith("../") else "the documentation has no page")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a <script>x</script> & b", "<p>a &lt;script&gt;x&lt;/script&gt; &amp; b</p>"),
        ('[a](javascript:alert) ["b"](c.md)', '<p>a <a href="/x">"b"</a></p>'),
        ("```html\n<b>\n```", '<pre tabindex="0"><code>&lt;b&gt;</code></pre>'),
        ("* a\n  b\n* c\n  - d\n  - e", "<ul><li>a b</li><li>c<ul><li>d</li><li>e</li></ul></li></ul>"),
        ("1. a\n2. b", "<ol><li>a</li><li>b</li></ol>"),
        ("**a `b*` c** and 2*3*4", "<p><strong>a <code>b*</code> c</strong> and 2*3*4</p>"),
        ("| a | b |\n|---|---|\n| `c \\| d` | e |", "<td><code>c | d</code></td><td>e</td>"),
        ("### [A](b.md), and `C`", '<h3 id="a-and-c">'),
    ],
)
def test_what_the_texts_are_written_in_is_understood_and_markup_stays_text(text, html):
    written = html_of(text, lambda target: "/x" if target.endswith(".md") else None)
    assert html in written
    assert "<script" not in unescape(written) or "&lt;script" in written
