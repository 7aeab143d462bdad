"""An evaluation over a log that is there, from the wish to the policy applied."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from tests.browser.axe import findings
from tests.browser.visits import PHONE
from tests.http.building import QUERY_VERSION, path
from tests.running import RunningApp
from tests.services.analysis.logs import drawn
from tests.services.analysis.seeding import seed
from tests.stores import NewStorage, opened

pytestmark = pytest.mark.slow

EVENTS = 1_000
OVER_MS = 90_000


async def fill(storage: str) -> None:
    """Log so many joined events on a day of May 2026."""
    account, events = opened(storage), drawn(EVENTS, every=57.0)
    await seed(account, [events[first : first + 200] for first in range(0, EVENTS, 200)])
    await account.close()


@pytest.fixture(scope="module")
def app(new_store: NewStorage) -> Iterator[RunningApp]:
    """An app with a log, whose queue is served."""
    storage = new_store()
    with ThreadPoolExecutor(1) as beside_the_browser:  # whose own loop runs in this thread
        beside_the_browser.submit(asyncio.run, fill(storage)).result()
    with RunningApp(storage, settings={"PERSONALIZER_TRAINER_SCHEDULE": "0 0 0 1 1 *"}, queues=True) as running:
        yield running


@pytest.fixture(scope="module")
def evaluated(app: RunningApp) -> str:
    """The name of an evaluation that is over, or soon will be."""
    asked = {"name": "Nothing to add", "startTime": "2026-05-17T00:00:00Z", "endTime": "2026-05-19T00:00:00Z", "policies": []}
    assert app.request("PUT", path("evaluations/evaluated", version=QUERY_VERSION), asked).status == 200
    return "Nothing to add"


def test_an_evaluation_is_followed_to_its_results_and_a_policy_of_it_applied(visit, app):
    visit.sign_in()
    visit.go("Evaluations")
    visit.page.get_by_role("link", name="New evaluation").first.click()
    visit.page.get_by_label("Name", exact=True).first.fill("Blind or not")
    visit.button("All that is logged").click()
    visit.button("Add a policy").click()
    visit.page.get_by_label("Name", exact=True).nth(1).fill("greedy")
    visit.page.get_by_label("Arguments").fill("--cb_explore_adf --first 1")
    visit.button("Start the evaluation").click()
    visit.heading("Blind or not")
    results = visit.page.get_by_role("table", name="Results, highest first")
    expect(results).to_be_visible(timeout=OVER_MS)
    expect(results.get_by_role("rowheader")).to_contain_text(["greedy", "What was shown"])
    visit.says(re.compile("sure at 95%|Not known yet whether|Keep the present policy"))
    for name in ("greedy", "What was shown", "The present policy", "The baseline", "Chance"):
        row = results.get_by_role("row").filter(has_text=name)
        expect(row.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"^−?\d\.\d{3}, between −?\d\.\d{3} to −?\d\.\d{3}$"))
    assert results.get_by_role("button", name=re.compile("^Apply")).count() == 2, "what was shown is no policy"
    expect(results.get_by_role("row").filter(has_text="What was shown")).to_contain_text(re.compile(r"[−+]\d\.\d{3} \([−+]\d+\.\d%\)"))
    lift = re.compile(r"[−+]\d\.\d{3} \([−+]\d+\.\d%\)[−+]?\d\.\d{3} to [−+]?\d\.\d{3}")
    expect(results.get_by_role("row").filter(has_text="greedy")).to_contain_text(lift)
    chart = visit.page.get_by_role("region", name="Expected reward over time", exact=True)
    expect(chart.get_by_role("img")).to_have_attribute("aria-label", re.compile("greedy: last"))
    with visit.page.expect_response(re.compile("window=Rolling&intervalInMinutes=60")):
        visit.button("Hours").click()
    visit.button("Apply greedy").click()
    visit.confirm("Apply")
    visit.says("“greedy” is the loop's policy now.")
    stored = app.request("GET", path("configurations/policy", version=QUERY_VERSION)).json
    assert stored == {"name": "greedy", "arguments": "--cb_explore_adf --first 1"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_policy_that_has_to_be_surely_better_and_is_not_stays_unused_and_each_rule_is_shown(visiting, app, evaluated, axe, scheme):
    """The present policy is the same as itself, so it does not surely earn more."""
    before = app.request("GET", path("configurations/policy", version=QUERY_VERSION)).json
    with visiting(size=PHONE, color_scheme=scheme, bypass_csp=True) as visit:
        visit.refusals.add(409)
        visit.sign_in()
        visit.go("Evaluations")
        visit.page.get_by_role("link", name=evaluated).click()
        expect(visit.button("Apply The present policy")).to_be_visible(timeout=OVER_MS)
        visit.button("Apply The present policy").click()
        wish = visit.page.get_by_role("dialog").get_by_role("checkbox", name="Only if it surely earns more")
        expect(wish).not_to_be_checked()
        wish.check()
        assert visit.is_as_wide_as_the_screen()
        assert findings(visit, axe) == []
        visit.confirm("Apply")
        told = visit.page.get_by_role("alert").filter(has_text="“The present policy” was not applied.")
        expect(told.get_by_role("listitem").filter(has_text=re.compile("^Not kept – lift: it has to earn more than"))).to_be_visible()
        expect(told.get_by_role("listitem").filter(has_text=re.compile("^Kept – mean weight: it has to be 1"))).to_be_visible()
        assert visit.is_as_wide_as_the_screen()
        assert findings(visit, axe) == []
    assert app.request("GET", path("configurations/policy", version=QUERY_VERSION)).json == before


def test_results_are_shown_before_their_course_and_a_slow_one_is_not_waited_for(visit, evaluated):
    visit.sign_in()
    visit.go("Evaluations")
    let_go = visit.hold(re.compile("window=Expanding"))
    visit.page.get_by_role("link", name=evaluated).click()
    expect(visit.page.get_by_role("table", name="Results, highest first")).to_be_visible(timeout=OVER_MS)
    expect(visit.page.locator(".card[aria-busy=true]")).to_be_visible()
    visit.button("Days").click()
    chart = visit.page.get_by_role("region", name="Expected reward over time", exact=True)
    expect(chart.get_by_role("img")).to_have_attribute("aria-label", re.compile("What was shown: last"))
    let_go()
    expect(visit.page.locator(".card[aria-busy]")).to_have_count(0)
    expect(visit.button("Days")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_results_are_for_everyone_and_fit_a_phone(visiting, evaluated, axe, scheme):
    with visiting(size=PHONE, color_scheme=scheme, bypass_csp=True) as visit:
        visit.sign_in()
        visit.go("Evaluations")
        visit.page.get_by_role("link", name=evaluated).click()
        expect(visit.page.get_by_role("table", name="Results, highest first")).to_be_visible(timeout=OVER_MS)
        assert visit.is_as_wide_as_the_screen()
        assert findings(visit, axe) == []


def test_a_feature_importance_is_followed_to_its_scores_and_their_intervals(visit):
    visit.sign_in()
    visit.go("Features")
    visit.page.get_by_role("link", name="New feature importance").or_(
        visit.page.get_by_role("button", name="New feature importance")
    ).first.click()
    visit.page.get_by_label("Name", exact=True).fill("What matters")
    visit.button("All that is logged").click()
    visit.page.get_by_role("button", name=re.compile("^Start")).click()
    visit.heading("What matters")
    first = visit.page.get_by_role("listitem").filter(has_text="user.kind")
    expect(first).to_have_text(re.compile(r"^user\.kind[01]\.\d{3}$"), timeout=OVER_MS)
    expect(first.get_by_title(re.compile(r"^95% interval: \d\.\d{3} to \d\.\d{3}$"))).to_be_visible()
    assert first.locator("svg line").count() == 1


def test_a_schedule_is_made_shows_its_series_and_is_deleted(visit, app):
    visit.sign_in()
    visit.go("Evaluations")
    visit.page.get_by_role("link", name="New schedule").click()
    visit.page.get_by_label("Name", exact=True).fill("Each week")
    visit.page.get_by_label("Over so many days of the log").fill("365")
    visit.page.get_by_label("Alert if the lift of the present policy is lower").fill("5")
    visit.button("Make the schedule").click()
    visit.heading("Each week")
    runs = visit.page.get_by_role("table", name="Runs, newest first")
    present = runs.get_by_role("row").filter(has_text="The present policy")
    expect(present).to_contain_text("below the alert", timeout=OVER_MS)
    expect(present).to_contain_text(re.compile(r"[−+]\d\.\d{3}−?\d\.\d{3} to −?\d\.\d{3}"))
    chart = visit.page.get_by_role("region", name="Lift of each run", exact=True)
    expect(chart.get_by_role("img")).to_have_attribute("aria-label", re.compile("The present policy: last"))
    visit.says("every 7 days, over 365 days")
    visit.page.get_by_role("link", name="All evaluations").click()
    listed = visit.page.get_by_role("table", name="Schedules, oldest first")
    expect(listed.get_by_role("row").filter(has_text="Each week")).to_contain_text("lift is low")
    visit.button("Delete the schedule Each week").click()
    visit.confirm("Delete")
    expect(listed).to_have_count(0)
    assert app.request("GET", "/evaluations/schedules").json == {"value": []}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_series_is_for_everyone_and_fits_a_phone(visiting, app, axe, scheme):
    plan = {"name": "Of a year", "everyDays": 7, "overDays": 365, "leastLifts": {"online": 5}}
    assert app.request("PUT", "/evaluations/schedules/year", plan).status == 200
    with visiting(size=PHONE, color_scheme=scheme, bypass_csp=True) as visit:
        visit.sign_in()
        visit.go("Evaluations")
        visit.page.get_by_role("link", name="Of a year", exact=True).click()
        expect(visit.page.get_by_role("table", name="Runs, newest first")).to_contain_text("below the alert", timeout=OVER_MS)
        assert visit.is_as_wide_as_the_screen()
        assert findings(visit, axe) == []
        visit.page.get_by_role("link", name="All evaluations").click()
        expect(visit.page.get_by_role("table", name="Schedules, oldest first")).to_be_visible()
        assert visit.is_as_wide_as_the_screen()
        assert findings(visit, axe) == []
        visit.page.get_by_role("link", name="New schedule").click()
        visit.heading("New schedule")
        assert visit.is_as_wide_as_the_screen()
        assert findings(visit, axe) == []
