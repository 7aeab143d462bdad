"""The latest events, and why an event was decided so."""

import csv
import io
import re

import pytest
from playwright.sync_api import expect

from tests.browser.traffic import learned, loop_of, ranked
from tests.browser.visits import PHONE
from tests.http.building import path, rank_body


@pytest.fixture(scope="module", autouse=True)
def busy(app) -> None:
    """Learned events with and without rewards."""
    ranked(app, 3, reward=1.0)
    ranked(app, 2, reward=None)
    learned(app, 5)


def rows(visit):
    return visit.page.get_by_role("table", name="Latest events, newest first").locator("tbody tr")


def test_the_latest_events_are_listed_and_chosen_by_what_became_of_them(visit):
    visit.sign_in()
    visit.go("Events")
    expect(rows(visit)).to_have_count(5)
    visit.page.get_by_label("Reward", exact=True).select_option("false")
    visit.button("Show").click()
    expect(rows(visit)).to_have_count(2)
    expect(visit.page).to_have_url(re.compile(r"#/events\?rewarded=false$"))
    link = visit.page.url
    visit.go("Overview")
    visit.page.evaluate("link => location.hash = new URL(link).hash", link)
    expect(rows(visit)).to_have_count(2)
    expect(visit.page.get_by_label("Reward", exact=True)).to_have_value("false")


def test_the_spread_of_rewards_and_of_their_delay_says_what_it_is_of(visit):
    visit.sign_in()
    visit.go("Events")
    rewards = visit.page.locator(".card", has=visit.page.get_by_role("heading", name="Rewards", exact=True))
    expect(rewards.locator(".bars li")).to_have_count(2)
    expect(rewards).to_contain_text("events that were looked at")
    expect(visit.page.get_by_role("heading", name="Time to the first reward")).to_be_visible()


def test_the_list_is_handed_out_as_a_file_in_which_no_id_is_a_formula(visit, app):
    assert app.request("POST", path("rank"), rank_body("a", eventId="=1+1")).status == 201
    visit.sign_in()
    visit.go("Events")
    with visit.page.expect_download() as handed:
        visit.page.get_by_role("button", name="Events as CSV").click()
    listed = list(csv.DictReader(io.StringIO(handed.value.path().read_text("utf-8"), newline="")))
    assert listed[0]["eventId"] == "'=1+1"
    assert {each["fate"] for each in listed} <= {"pending", "learned"}


def test_a_receipt_shows_the_context_all_actions_their_chances_and_the_reasons(visit, app):
    (event_id,) = ranked(app, 1)
    learned(app, loop_of(app)["counters"]["ranked"])
    visit.sign_in()
    visit.go("Events")
    visit.page.get_by_role("link", name=event_id).click()
    actions = visit.page.get_by_role("table", name="All actions, the likeliest first")
    expect(actions.locator("tbody tr")).to_have_count(2)
    expect(actions).to_contain_text("shown")
    expect(actions.get_by_role("columnheader", name="Reasons")).to_be_visible()
    expect(actions.locator(".reasons li").first).to_contain_text(re.compile(r"[+−]0\.\d{3}"))
    visit.says(re.compile('"segment": "s1"'))


def test_on_a_phone_lists_and_receipts_fit(visiting, app):
    (event_id,) = ranked(app, 1)
    with visiting(size=PHONE, has_touch=True, is_mobile=True) as visit:
        visit.sign_in()
        visit.go("Events")
        visit.page.get_by_role("link", name=event_id).click()
        expect(visit.page.get_by_role("heading", name="Why this decision")).to_be_visible()
        assert visit.is_as_wide_as_the_screen()
