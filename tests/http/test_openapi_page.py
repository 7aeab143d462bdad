"""The description's page: whole, readable by everyone, and asking nobody for anything."""

import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from shared.api.openapi.page import page as written
from shared.runtime.failures import STATUS
from tests.http.described import document, page, said

EMPTY = {"meta", "link", "br", "hr", "img", "input"}


class Parsed(HTMLParser):
    """What a page consists of; an element that is closed out of turn, or not at all, is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.style = ""
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] == ["style"]:
            self.style += data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute: str) -> list[str]:
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


@pytest.fixture(scope="module")
def parsed() -> Parsed:
    return Parsed(page())


def colours(style: str) -> list[dict[str, str]]:
    """Give the light theme's colours and the dark one's."""
    return [dict(re.findall(r"--(\w+): #([0-9a-f]{6})", block)) for block in re.findall(r":root \{(.*?)\}", style)]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_every_path_summary_and_parameter_is_on_the_page(parsed):
    for each in said():
        assert each.path in parsed.text
        assert each.operation["summary"] in parsed.text
        assert all(parameter["name"] in parsed.text for parameter in each.operation.get("parameters", []))


def test_an_operation_is_told_once_for_all_paths_that_it_has_in_the_same_shape(parsed):
    details = [attributes["id"].removeprefix("operation-") for attributes in parsed.all("details")]
    assert len(set(details)) == len(details)
    assert {"rank_2022", "configuration_put", "configuration_put_2022"} <= set(details)
    assert "rank" not in details
    assert {name.removesuffix("_2022") for name in details} == {each.operation["operationId"].removesuffix("_2022") for each in said()}


def test_every_code_with_its_status_and_every_schema_is_on_the_page(parsed):
    table = page().split('<section id="errors">')[1].split("</section>")[0]
    rows = re.findall(r'<th scope="row">(\d{3})</th><td><code>(.*?)</code>', table)
    assert {(int(status), code) for status, code in rows} == set(STATUS.values())
    assert {f"schema-{name}" for name in document()["components"]["schemas"]} <= set(parsed.values("id"))


def test_every_example_of_a_request_is_on_the_page(parsed):
    assert len(parsed.all("pre")) >= len({str(each.example) for each in said() if each.example is not None})


def test_every_link_leads_somewhere_and_ids_are_unique(parsed):
    ids = parsed.values("id")
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    links = [attributes["href"] for attributes in parsed.all("a")]
    assert {link for link in links if not link.startswith("#")} == {"openapi.json"}
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(ids)


def test_the_page_asks_nobody_and_runs_nothing(parsed):
    assert not {"script", "link", "img", "iframe", "form", "object", "base"} & {name for name, _ in parsed.elements}
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on") or name in ("src", "style")]
    assert "url(" not in parsed.style
    assert "@import" not in parsed.style


def test_the_policy_allows_the_pages_own_style_and_nothing_else(quiet, parsed):
    headers = quiet.request("GET", "/docs", keyed=False).headers
    allowed = base64.b64encode(hashlib.sha256(parsed.style.encode()).digest()).decode()
    directives = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
    assert directives.pop("style-src") == f"'sha256-{allowed}'"
    assert set(directives) == {"default-src", "base-uri", "form-action", "frame-ancestors"}
    assert set(directives.values()) == {"'none'"}
    assert headers["x-content-type-options"] == "nosniff"


def test_the_page_can_be_read_by_everyone(parsed):
    assert parsed.all("html") == [{"lang": "en"}]
    assert [len(parsed.all(tag)) for tag in ("title", "h1", "main", "nav", "header")] == [1, 1, 1, 1, 1]
    levels = [int(tag[1]) for tag, _ in parsed.elements if re.fullmatch(r"h\d", tag)]
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert len(parsed.all("caption")) == len(parsed.all("table")) > 0
    assert all(cell.get("scope") in ("col", "row") for cell in parsed.all("th"))


def test_both_themes_have_enough_contrast(parsed):
    themes = colours(parsed.style)
    assert len(themes) == 2
    for theme in themes:
        for ink in ("ink", "faint", "link", "code"):
            assert contrast(theme[ink], theme["paper"]) >= 4.5
        assert contrast(theme["ink"], theme["box"]) >= 4.5


def test_what_is_told_is_text_and_no_markup():
    hostile = {**document(), "info": {**document()["info"], "description": "<script>alert(1)</script> & $title"}}
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; $title" in written(hostile)
