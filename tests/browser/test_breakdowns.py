"""Actions and segments: what is shown, to whom, and who gains, in every state."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import findings
from tests.browser.traffic import learned
from tests.browser.visits import PHONE, WITHIN_MS
from tests.http.building import QUERY_VERSION, path, rank, reward

EVENTS = 24
CONFIGURATION = path("configurations/service", version=QUERY_VERSION)


@pytest.fixture(scope="module")
def shown(app) -> None:
    """A loop whose feature is chosen, and that has learned events of two devices and of none."""
    settings = app.request("GET", CONFIGURATION).json
    assert app.request("PUT", CONFIGURATION, {**settings, "breakdownFeature": "user.device"}).status == 200
    for number in range(EVENTS):
        context = [{"user": {"device": "<b>phone</b>" if number % 3 else "tv"}}] if number % 4 else []
        assert rank(app, eventId=f"e{number}", contextFeatures=context).status == 201
        if number % 2:
            assert reward(app, f"e{number}", 1.0).status == 204
    learned(app, EVENTS)


def test_without_a_feature_segments_say_what_to_do(visit):
    visit.sign_in()
    visit.go("Segments")
    expect(visit.page.get_by_role("heading", name="No feature is chosen yet")).to_be_visible(timeout=WITHIN_MS)
    visit.page.get_by_role("link", name="Choose a feature").click()
    expect(visit.page.get_by_label("Feature to tell rewards apart by")).to_have_value("", timeout=WITHIN_MS)


def test_actions_are_listed_searched_and_counted(visit, shown):
    visit.sign_in()
    visit.go("Actions")
    table = visit.page.get_by_role("table", name="What is shown")
    expect(table).to_be_visible(timeout=WITHIN_MS)
    all_rows = table.get_by_role("rowheader").count()
    assert all_rows > 1
    first = table.get_by_role("rowheader").first.inner_text()
    visit.page.get_by_role("searchbox", name="Search actions").fill(first)
    expect(table.get_by_role("rowheader")).to_have_text([first], timeout=WITHIN_MS)
    visit.page.get_by_role("searchbox", name="Search actions").fill("no such action")
    expect(visit.page.get_by_role("heading", name="No action is called so")).to_be_visible(timeout=WITHIN_MS)


def test_how_actions_and_segments_are_looked_at_is_a_link(visit, shown):
    visit.sign_in()
    for section, searched, name in (("Actions", "Search actions", "What is shown"), ("Segments", "Search values", "Which segment gains")):
        visit.go(section)
        table = visit.page.get_by_role("table", name=name, exact=True)
        first = table.get_by_role("rowheader").last.inner_text()
        visit.page.get_by_role("searchbox", name=searched).fill(first)
        expect(table.get_by_role("rowheader")).to_have_text([first], timeout=WITHIN_MS)
        visit.page.get_by_role("button", name="7 days", exact=True).click()
        visit.page.get_by_role("combobox", name="Order").select_option("lastSeen")
        link = visit.page.evaluate("location.hash")
        assert "days=7" in link
        assert "sort=lastSeen" in link
        visit.go("Events")
        visit.page.evaluate("link => { location.hash = link; }", link)
        expect(visit.page.get_by_role("searchbox", name=searched)).to_have_value(first, timeout=WITHIN_MS)
        expect(visit.page.get_by_role("button", name="7 days", exact=True)).to_have_attribute("aria-pressed", "true")
        expect(visit.page.get_by_role("combobox", name="Order")).to_have_value("lastSeen")
        expect(table.get_by_role("rowheader")).to_have_text([first], timeout=WITHIN_MS)
        visit.page.evaluate("section => { location.hash = `#/${section}?days=constructor&sort=nonsense`; }", section.lower())
        expect(visit.page.get_by_role("searchbox", name=searched)).to_have_value("", timeout=WITHIN_MS)
        expect(table.get_by_role("rowheader").first).to_be_visible(timeout=WITHIN_MS)


def test_segments_tell_what_is_shown_to_whom_and_who_gains(visit, visiting, shown, axe):
    visit.sign_in()
    visit.go("Segments")
    gains = visit.page.get_by_role("table", name="Which segment gains")
    expect(gains.get_by_role("rowheader")).to_have_text(["<b>phone</b>", "no value", "tv"], timeout=WITHIN_MS)
    expect(gains).to_contain_text("not known yet")
    expect(visit.page.get_by_role("table", name="What is shown to whom")).to_be_visible(timeout=WITHIN_MS)
    for options in ({"color_scheme": "dark"}, {"size": PHONE, "has_touch": True, "is_mobile": True}):
        with visiting(bypass_csp=True, **options) as other:
            other.sign_in()
            for section, name in (("Actions", "What is shown"), ("Segments", "What is shown to whom")):
                other.go(section)
                expect(other.page.get_by_role("table", name=name, exact=True)).to_be_visible(timeout=WITHIN_MS)
                assert other.is_as_wide_as_the_screen()
                assert findings(other, axe) == []
