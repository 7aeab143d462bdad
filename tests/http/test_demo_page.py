"""The files of the demo: what is handed out, under the dashboard's rules, and that it needs only files of these two pages."""

import re
from urllib.parse import urljoin

import pytest

from dashboard_function import DEMO, JOINED_DEMO, STATIC
from shared.runtime.pages import HEADERS
from tests.http.building import refused
from tests.http.test_openapi_page import Parsed
from tests.http.test_pages import FORBIDDEN, IMPORT, OUTSIDE

FILES = sorted(path.name for path in DEMO.iterdir())
MODULES = [name for name in FILES if name.endswith(".js")]
KEEPS_A_PLAY = "keeping.js"
"""It keeps in the tab what is no secret; that the key is not among it is seen in the browser."""
KNOWN = {f"/demo/{name}" for name in FILES} | {f"/dashboard/{path.relative_to(STATIC).as_posix()}" for path in STATIC.rglob("*")}


def text_of(name: str) -> str:
    return (DEMO / name).read_text("utf-8")


@pytest.mark.parametrize("place", ["/demo", "/demo/", "/Demo", *(f"/demo/{name}" for name in FILES)])
def test_every_file_is_there_without_a_key_and_under_the_same_rules_as_the_dashboards(quiet, place):
    answer = quiet.request("GET", place, keyed=False)
    name = place.lower().removeprefix("/demo").strip("/") or "index.html"
    assert (answer.status, answer.body) == (200, (DEMO / name).read_bytes())
    assert {header: answer.headers[header.lower()] for header in HEADERS} == dict(HEADERS)


@pytest.mark.parametrize("place", ["nothing.js", "..%2fstatic%2fbase.css", "base.css"])
def test_there_is_no_way_to_anything_else(quiet, place):
    refused(quiet.request("GET", f"/demo/{place}", keyed=False), 404, "ResourceNotFound", naming="the page demo has no file")


def test_everything_that_the_page_loads_is_a_file_of_the_two_pages():
    parsed = Parsed(text_of("index.html").replace("<!doctype html>", ""))
    loaded = parsed.values("src") + [attributes["href"] for attributes in parsed.all("link")]
    assert len(loaded) >= 3
    assert set(loaded) <= KNOWN | {f"/demo/{name}" for name in JOINED_DEMO}
    assert parsed.style == ""
    assert not [name for _, attributes in parsed.elements for name in attributes if name.startswith("on") or name == "style"]


def test_every_import_leads_to_a_file_and_every_module_is_imported():
    imports = {name: [urljoin(f"/demo/{name}", place) for place in IMPORT.findall(text_of(name))] for name in MODULES}
    assert not [(name, place) for name, places in imports.items() for place in places if place not in KNOWN]
    imported = {place.removeprefix("/demo/") for places in imports.values() for place in places}
    assert set(MODULES) - imported == {"demo.js"}


@pytest.mark.parametrize("name", FILES)
def test_no_file_names_a_place_outside_or_makes_markup_of_text(name):
    text = text_of(name).replace("sessionStorage", "") if name == KEEPS_A_PLAY else text_of(name)
    assert OUTSIDE.findall(text) == []
    assert not re.search(FORBIDDEN, text)
