"""Two versions of the model side by side, as a view that is a link."""

from playwright.sync_api import expect

from tests.browser.traffic import learned, ranked


def test_two_versions_are_compared_and_the_view_is_a_link(visit, app):
    for number in (1, 2):
        ranked(app, 4)
        learned(app, 4 * number)
    visit.sign_in()
    visit.go("Models")
    visit.button("Compare").click()
    moved = visit.page.get_by_role("table", name="What moved most")
    expect(moved.locator("tbody tr").first).to_be_visible()
    expect(visit.page.get_by_role("table", name="Both versions")).to_contain_text("Events learned")
    link = visit.page.url
    assert "from=" in link
    visit.go("Overview")
    visit.page.evaluate("link => location.hash = new URL(link).hash", link)
    expect(moved.locator("tbody tr").first).to_be_visible()
