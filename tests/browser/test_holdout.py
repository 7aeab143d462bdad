"""The holdout in the dashboard: it is turned on, and the overview tells what it has shown."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.axe import findings
from tests.browser.traffic import learned
from tests.browser.visits import PHONE, WITHIN_MS
from tests.http.building import QUERY_VERSION, path, rank, reward

EVENTS = 240
CONFIGURATION = path("configurations/service", version=QUERY_VERSION)
CARD = "Holdout: the loop beside your own choice"


@pytest.fixture(scope="module")
def shown(app) -> None:
    """A loop that holds out half of its events, where all but the first action earn something."""
    settings = app.request("GET", CONFIGURATION).json
    assert app.request("PUT", CONFIGURATION, {**settings, "holdoutPercentage": 0.5}).status == 200
    for number in range(EVENTS):
        answer = rank(app, eventId=f"e{number}")
        assert answer.status == 201
        first = sorted(each["id"] for each in answer.json["ranking"])[0]
        if answer.json["rewardActionId"] != first:
            assert reward(app, f"e{number}", 1.0).status == 204
    learned(app, EVENTS)


def test_a_holdout_is_turned_on_and_off_and_a_share_that_cannot_be_is_refused_at_its_field(visit, app):
    visit.sign_in()
    expect(visit.page.get_by_role("heading", name="Overview")).to_be_visible(timeout=WITHIN_MS)
    expect(visit.page.get_by_text(CARD)).to_be_hidden()
    visit.go("Configuration")
    visit.refusals |= {400}
    holdout = visit.page.get_by_label("Holdout")
    expect(holdout).to_have_value("0", timeout=WITHIN_MS)
    holdout.fill("1")
    visit.button("Save").click()
    assert visit.error_of("Holdout") == "Must be 0, or from 0.001 to 0.9."
    holdout.fill("0.05")
    visit.button("Save").click()
    visit.says("Saved.")
    assert app.request("GET", CONFIGURATION).json["holdoutPercentage"] == 0.05
    visit.page.get_by_label("Holdout").fill("0")
    visit.button("Save").click()
    expect(visit.page.get_by_label("Holdout")).to_have_value("0", timeout=WITHIN_MS)


def test_the_overview_tells_what_the_holdout_has_shown_in_every_appearance(visiting, shown, axe):
    for options in ({}, {"color_scheme": "dark"}, {"size": PHONE, "has_touch": True, "is_mobile": True}):
        with visiting(bypass_csp=True, **options) as visit:
            visit.sign_in()
            table = visit.page.get_by_role("table", name="Both sides of the holdout")
            expect(table).to_be_visible(timeout=WITHIN_MS)
            expect(table.get_by_role("rowheader")).to_have_text(["The loop's choice", "Your own choice, held out"])
            expect(visit.page.get_by_text(re.compile(r"50(\.0)?\s?% was asked for"))).to_be_visible()
            assert visit.is_as_wide_as_the_screen()
            assert findings(visit, axe) == []


def test_the_receipt_of_an_event_tells_its_side(visit, app, shown):
    held = [app.request("GET", path(f"events/e{number}", version=QUERY_VERSION)).json["decisions"][0]["isHeldOut"] for number in range(12)]
    visit.sign_in()
    for is_held_out, words in ((True, "held out: your own choice was shown"), (False, "not held out")):
        visit.page.evaluate("link => { location.hash = link; }", f"#/events/e{held.index(is_held_out)}")
        expect(visit.page.get_by_text(words, exact=True)).to_be_visible(timeout=WITHIN_MS)
