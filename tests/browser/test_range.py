"""The time that the overview shows: picked, typed, dragged over and linked to; what was changed in it; and the period before."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.traffic import learned, ranked
from tests.browser.visits import PHONE, WITHIN_MS

BEGIN, END = "2026-05-17T10:00", "2026-05-17T11:00"
RANGE = re.compile(r"since=.*until=")


@pytest.fixture(scope="module", autouse=True)
def busy(app) -> None:
    """A loop with something to show."""
    ids = ranked(app, 6)
    learned(app, len(ids))


def chart(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def asked_times(url: str) -> tuple[datetime, datetime]:
    since, until = (re.search(f"{name}=([^&]+)", url) for name in ("since", "until"))
    assert since
    assert until
    first, last = (datetime.fromisoformat(each[1].replace("%3A", ":").replace("Z", "+00:00")) for each in (since, until))
    return first, last


def test_any_time_can_be_typed_and_is_then_a_link(visit):
    visit.sign_in()
    visit.button("Other…").click()
    visit.page.get_by_label("From", exact=True).fill(BEGIN)
    visit.page.get_by_label("Until", exact=True).fill(END)
    with visit.page.expect_request(re.compile("/figures")) as asked:
        visit.button("Show this time").click()
    since, until = asked_times(asked.value.url)
    assert (since, until) == (datetime(2026, 5, 17, 8, tzinfo=UTC), datetime(2026, 5, 17, 9, tzinfo=UTC)), "the browser is in Berlin"
    expect(visit.button("Other…")).to_have_attribute("aria-pressed", "true")
    visit.says("17 May 2026, 10:00 to 17 May 2026, 11:00")
    link = visit.page.url
    visit.page.go_back()
    expect(visit.button("Day")).to_have_attribute("aria-pressed", "true")
    with visit.page.expect_request(re.compile("/figures")) as again:
        visit.page.evaluate("link => location.hash = new URL(link).hash", link)
    assert asked_times(again.value.url) == (since, until)


def test_a_time_that_ends_before_it_begins_is_refused_at_its_field(visit):
    visit.sign_in()
    visit.button("Other…").click()
    visit.page.get_by_label("From", exact=True).fill(END)
    visit.page.get_by_label("Until", exact=True).fill(BEGIN)
    visit.button("Show this time").click()
    assert visit.error_of("Until") == "It must be later than the beginning."


def test_who_drags_over_a_chart_sees_that_time(visit):
    visit.sign_in()
    plot = chart(visit.page, "Traffic per minute").locator(".u-over")
    expect(plot).to_be_visible(timeout=WITHIN_MS)
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    visit.page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 40)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40, steps=5)
    with visit.page.expect_request(lambda request: "/figures" in request.url and "interval=5" in request.url) as asked:
        visit.page.mouse.up()
    since, until = asked_times(asked.value.url)
    assert timedelta(minutes=4) < until - since < timedelta(hours=1)
    expect(visit.page).to_have_url(re.compile(RANGE))


@pytest.mark.parametrize(
    "address", ["#/overview?range=constructor", "#/overview?since=x&until=y", "#/overview?since=2026-01-02&until=2026-01-01"]
)
def test_an_address_that_says_no_time_shows_the_usual_one(visit, address):
    visit.sign_in()
    visit.page.evaluate("address => location.hash = address", address)
    expect(visit.button("Day")).to_have_attribute("aria-pressed", "true")
    expect(visit.page.locator(".figure").first).to_be_visible()


def test_the_period_before_is_asked_for_and_is_as_long(visit):
    visit.sign_in()
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url) if "/figures" in request.url else None)
    visit.button("Period before").click()
    expect(visit.button("Period before")).to_have_attribute("aria-pressed", "true")
    expect(visit.button("Each interval")).to_have_attribute("aria-pressed", "true")
    visit.page.wait_for_function("() => location.hash.includes('before=1')")
    while len(asked) < 2:
        visit.page.wait_for_event("response")
    (since, until), (earlier, its_end) = map(asked_times, asked[-2:])
    assert its_end <= since + timedelta(minutes=5)
    assert abs((until - since) - (its_end - earlier)) < timedelta(seconds=1)


def test_models_are_marked_on_every_chart_and_told_in_words(visit):
    visit.sign_in()
    for name in ("Average reward", "Traffic per minute", "Exploration", "Lag"):
        changes = chart(visit.page, name).locator(".changes")
        expect(changes).to_be_visible(timeout=WITHIN_MS)
        changes.locator("summary").click()
        expect(changes).to_contain_text(re.compile(r"Model \d published"))  # it may take several to learn all


@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_the_numbers_of_a_chart_are_handed_out_as_a_file(visit, kind):
    visit.sign_in()
    traffic = chart(visit.page, "Traffic per minute")
    traffic.get_by_text("Numbers").click()
    with visit.page.expect_download() as handed:
        traffic.get_by_role("button", name=f"Traffic per minute as {kind}").click()
    assert handed.value.suggested_filename == f"traffic-per-minute.{kind.lower()}"
    text = handed.value.path().read_text("utf-8")
    rows = json.loads(text) if kind == "JSON" else list(csv.DictReader(io.StringIO(text, newline="")))
    assert set(rows[0]) == {"time", "Events", "Rewards"}
    assert sum(float(row["Events"] or 0) for row in rows) > 0
    assert datetime.fromisoformat(rows[0]["time"])


def test_on_a_phone_the_range_and_the_changes_fit(visiting):
    with visiting(size=PHONE, has_touch=True, is_mobile=True) as visit:
        visit.sign_in()
        visit.button("Other…").click()
        expect(visit.page.get_by_label("From", exact=True)).to_be_visible()
        assert visit.is_as_wide_as_the_screen()


CELLS = [
    ("=1+1", "'=1+1"),
    ("+1", "'+1"),
    ("-1", "'-1"),
    ("@x", "'@x"),
    ("\tx", "'\tx"),
    ('a "b"', '"a ""b"""'),
    ("a,b", '"a,b"'),
    ("a\nb", '"a\nb"'),
    ("=a,b", '"\'=a,b"'),
    (-1.5, "-1.5"),
    (None, ""),
]


def test_what_a_spreadsheet_would_run_is_text_in_a_file(visit):
    visit.sign_in()
    written = visit.page.evaluate(
        "async rows => (await import('/dashboard/lib/export.js')).csv({ heads: ['x'], rows })", [[given] for given, _ in CELLS]
    )
    assert written == "x\r\n" + "".join(f"{cell}\r\n" for _, cell in CELLS)
