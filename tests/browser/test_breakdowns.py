"""Actions and segments: what is shown, to whom, and who gains, in every state."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.axe import findings
from tests.browser.traffic import SETTINGS, learned
from tests.browser.visits import PHONE, WITHIN_MS
from tests.http.building import QUERY_VERSION, path, rank, reward
from tests.running import RunningApp
from tests.stores import NewStorage

EVENTS = 24
CONFIGURATION = path("configurations/service", version=QUERY_VERSION)


@pytest.fixture(scope="module")
def app(new_store: NewStorage) -> Iterator[RunningApp]:
    """An app whose jobs are worked on."""
    with RunningApp(new_store(), settings=SETTINGS, queues=True) as running:
        yield running


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


def test_a_feature_that_was_not_chosen_is_counted_from_the_log(visit, visiting, shown, axe):
    visit.refusals.add(400)
    visit.sign_in()
    visit.go("Segments")
    visit.page.get_by_role("link", name="Count from the log").click()
    visit.heading("Count from the log")
    visit.button("Start").click()
    assert "at least 1 character" in visit.error_of("Feature of the context")
    visit.page.get_by_label("Feature of the context").fill("user.colour")
    visit.button("Start").click()
    visit.heading("user.colour")
    gains = visit.page.get_by_role("table", name="Which segment gains")
    expect(gains.get_by_role("rowheader")).to_have_text(["no value"], timeout=WITHIN_MS)
    visit.says(f"{EVENTS} events of this range counted")
    visit.says("Counted from the log: decisions from")
    expect(visit.page.get_by_role("table", name="What is shown to whom")).to_be_visible(timeout=WITHIN_MS)
    link = visit.page.evaluate("location.hash")
    for options in ({"color_scheme": "dark"}, {"size": PHONE, "has_touch": True, "is_mobile": True}):
        with visiting(bypass_csp=True, **options) as other:
            other.sign_in()
            other.page.evaluate("link => { location.hash = link; }", link)
            expect(other.page.get_by_role("table", name="Which segment gains")).to_be_visible(timeout=WITHIN_MS)
            assert other.is_as_wide_as_the_screen()
            assert findings(other, axe) == []
    visit.go("Segments")
    expect(visit.page.get_by_role("link", name="user.colour")).to_be_visible(timeout=WITHIN_MS)
    visit.button("Delete user.colour").click()
    visit.confirm("Delete")
    expect(visit.page.get_by_role("link", name="user.colour")).to_have_count(0, timeout=WITHIN_MS)


def test_a_count_that_is_under_way_says_so_and_can_be_cancelled(visit, app, shown):
    body = {"name": "long", "feature": "x", "startTime": "2026-01-01", "endTime": "2100-01-01"}
    told = {"id": "long", "creationTime": "2026-01-02", "status": "Running", "events": 0, "description": "Under way: 1 of 9 chunks done."}
    visit.page.route(
        "**/breakdowns/long", lambda route: route.fulfill(json={**body, **told}) if route.request.method == "GET" else route.continue_()
    )
    assert app.request("PUT", "/breakdowns/long", body).status == 200
    visit.sign_in()
    visit.page.evaluate("location.hash = '#/segments/long'")
    visit.heading("long")
    visit.says("Under way: 1 of 9 chunks done.")
    visit.button("Cancel").click()
    visit.says("Cancelled.")
    visit.heading("Segments")
    assert app.request("GET", "/breakdowns/long").status == 404


def test_a_range_of_the_log_is_downloaded_and_the_choice_is_a_link(visit, visiting, app, shown, axe):
    visit.sign_in()
    visit.go("Log")
    for chosen, name, path_ in (("dsjson", "jsonl", "/log/lines"), ("spreadsheet", "csv", "/log/lines?format=csv&spreadsheet=true")):
        visit.page.get_by_label("Format").select_option(chosen)
        with visit.page.expect_download() as begun:
            visit.button("Download").click()
        assert begun.value.suggested_filename.endswith(f".{name}")
        assert begun.value.path().read_bytes() == app.request("GET", path_).body
        visit.says(f"{EVENTS} events downloaded.")
    visit.page.get_by_label("Until").fill("2001-01-02T00:00")
    visit.page.get_by_label("From").fill("2001-01-01T00:00")
    visit.page.get_by_label("Format").select_option("csv")
    link = visit.page.evaluate("location.hash")
    assert "format=csv" in link
    for options in ({"color_scheme": "dark"}, {"size": PHONE, "has_touch": True, "is_mobile": True}):
        with visiting(bypass_csp=True, **options) as other:
            other.sign_in()
            other.page.evaluate("link => { location.hash = link; }", link)
            expect(other.page.get_by_label("From")).to_have_value("2001-01-01T00:00", timeout=WITHIN_MS)
            expect(other.page.get_by_label("Format")).to_have_value("csv")
            assert other.is_as_wide_as_the_screen()
            assert findings(other, axe) == []


def test_a_download_goes_from_piece_to_piece_can_be_stopped_and_says_at_which_field_it_is_refused(visit, shown):
    visit.refusals.add(400)
    visit.sign_in()
    visit.go("Log")
    pieces = {"": ("one\n", "a:1"), "a:1": ("two\n", "a:2"), "a:2": ("three\n", "")}

    def answer(route):
        cursor = route.request.url.partition("cursor=")[2].replace("%3A", ":")
        text, following = pieces[cursor]
        headers = {"x-personalizer-events": "1"} | ({"x-personalizer-next": following} if following else {})
        route.fulfill(body=text, headers=headers)

    visit.page.route("**/log/lines*", answer)
    with visit.page.expect_download() as begun:
        visit.button("Download").click()
    assert begun.value.path().read_text() == "one\ntwo\nthree\n"
    visit.page.unroute("**/log/lines*")
    let_go = visit.hold("**/log/lines*")
    visit.button("Download").click()
    visit.button("Stop").click()
    visit.says("Stopped. No file was written.")
    let_go()
    visit.page.get_by_label("Until").fill("2001-01-02T00:00")
    visit.button("Download").click()
    assert "later than" in visit.error_of("Until")
