"""What a browser fetches before it shows anything: few files, compressed, and a charting library only where there is a chart."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Request, expect

from tests.browser.traffic import learned, ranked
from tests.browser.visits import WITHIN_MS, Visit

MOST_REQUESTS = 12
MOST_BYTES = 120 * 1024
LIBRARY = "uPlot.esm.js"


@pytest.fixture
def visit(visiting) -> Iterator[Visit]:
    """A visit with a browser that has nothing of the page yet."""
    with visiting(is_first=True) as visit:
        yield visit


def weight(request: Request) -> int:
    """How many bytes of a request's answer were on the wire."""
    sizes = request.sizes()
    return sizes["responseHeadersSize"] + sizes["responseBodySize"]


def test_the_first_load_with_its_charts_is_small_and_needs_few_requests(visit: Visit, app) -> None:
    ranked(app, 4)
    learned(app, 4)
    asked: list[Request] = []
    visit.page.on("requestfinished", lambda request: asked.append(request))
    visit.sign_in()
    expect(visit.page.locator(".chart canvas").first).to_be_visible(timeout=WITHIN_MS)
    places = [each.url.removeprefix(app.base_url) for each in asked]
    assert [each for each in places if LIBRARY in each] != []
    assert len(places) <= MOST_REQUESTS, places
    weights = {place: weight(each) for place, each in zip(places, asked, strict=True)}
    assert sum(weights.values()) <= MOST_BYTES, weights


def test_the_charting_library_is_loaded_where_there_is_a_chart_and_tried_again_where_it_could_not_be(visit: Visit, app) -> None:
    ranked(app, 4)
    learned(app, 4)
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.open("#/policy")
    visit.heading("Sign in")
    visit.page.get_by_label("Loop", exact=True).fill(app.name)
    visit.page.get_by_label("Key", exact=True).fill(app.key)
    visit.button("Sign in").click()
    visit.heading("Policy")
    assert [each for each in asked if LIBRARY in each] == []
    visit.is_cut_off = True
    refused = []

    def refuse_once(route) -> None:
        refused.append(route.request.url)
        if len(refused) == 1:
            route.abort()
        else:
            route.continue_()

    visit.page.route(f"**/{LIBRARY}*", refuse_once)
    visit.go("Overview")
    expect(visit.page.locator(".chart canvas").first).to_be_visible(timeout=WITHIN_MS)
    assert len(refused) == len(set(refused)) == 2
