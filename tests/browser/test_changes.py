"""What was changed: listed with who and when, and marked on the charts."""

from playwright.sync_api import expect

from tests.browser.traffic import learned, ranked
from tests.browser.visits import WITHIN_MS
from tests.http.building import path

PLACE = path("configurations/service", version="2022-09-01-preview")


def test_a_change_is_listed_with_who_made_it_and_marked_on_every_chart(visit, app):
    ranked(app, 4)
    learned(app, 4)
    visit.sign_in()
    visit.go("Changes")
    changes = visit.page.get_by_role("table", name="Changes, newest first")
    expect(changes.locator("tbody tr")).to_have_count(2)
    expect(changes.locator("tbody tr").first).to_contain_text("Loop made")
    settings = app.request("GET", PLACE).json
    assert app.request("PUT", PLACE, {**settings, "explorationPercentage": 0.3}).status == 200
    visit.go("Overview")
    visit.go("Changes")
    expect(changes.locator("tbody tr")).to_have_count(3)
    for text in ("key 1", "Settings changed", "explorationPercentage", "0.2", "0.3"):
        expect(changes).to_contain_text(text)
    visit.go("Overview")
    told = visit.page.get_by_role("region", name="Traffic per minute", exact=True).locator(".changes")
    told.locator("summary").click(timeout=WITHIN_MS)
    expect(told).to_contain_text("Settings changed: explorationPercentage")
