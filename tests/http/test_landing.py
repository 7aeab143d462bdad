"""The service's own address: a page for a browser, and for a client what it gets wherever there is nothing."""

import pytest

from shared.runtime.pages import HEADERS
from tests.http.building import refused
from tests.http.test_openapi_page import Parsed
from tests.http.test_pages import OUTSIDE

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize("place", ["/", "//", "/?a=b"])
def test_a_browser_finds_its_way_from_the_services_own_address(on_a_server, place):
    answer = on_a_server.request("GET", place, keyed=False, headers=BROWSER)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert {header: answer.headers[header.lower()] for header in HEADERS} == dict(HEADERS)
    assert answer.headers["vary"] == "Accept"
    text = answer.body.decode()
    parsed = Parsed(text.replace("<!doctype html>", ""))
    assert {"/dashboard", "/demo", "/docs", "/status"} <= set(parsed.values("href"))
    assert on_a_server.base_url in parsed.text
    assert OUTSIDE.findall(text.replace(on_a_server.base_url, "")) == []
    for link in parsed.values("href") + parsed.values("src"):
        assert on_a_server.request("GET", link, keyed=False).status == 200, link


def test_the_address_that_is_shown_cannot_bring_markup_with_it(quiet):
    answer = quiet.request("GET", "/", keyed=False, headers={**BROWSER, "Host": "a<script>.example"})
    assert b"<script" not in answer.body


@pytest.mark.parametrize("accepted", ["*/*", "application/json", "", "text/html;q=0", "text/plain"])
def test_a_client_is_told_that_there_is_nothing(quiet, accepted):
    refused(quiet.request("GET", "/", headers={"Accept": accepted}), 404, "ResourceNotFound", naming="there is nothing at /")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_sent_there(quiet, method):
    refused(quiet.request(method, "/", headers=BROWSER), 404, "ResourceNotFound", naming="there is nothing at /")


def test_the_page_is_of_the_service_and_of_no_loop(quiet):
    for place in ("/loops/news", "/loops/news/"):
        assert quiet.request("GET", place, keyed=False, headers=BROWSER).headers["content-type"].startswith("application/json")
