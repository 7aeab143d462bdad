"""What a page shows while answers are on their way, and what becomes of a section that is left meanwhile."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.traffic import ADMIN_KEY, learned, ranked
from tests.http.building import KEY, path

SECTIONS = ["Overview", "Events", "Evaluations", "Features", "Policy", "Configuration", "Models", "Log", "Loops"]
ASKED = re.compile(r"/(personalizer|status|figures|loops)\b(?!.*dashboard)")


@pytest.fixture(scope="module", autouse=True)
def taught(app) -> None:
    ranked(app, 3)
    learned(app, 3)


@pytest.mark.parametrize("section", [each for each in SECTIONS if each not in ("Events", "Loops")])
def test_while_a_section_is_on_its_way_nothing_of_the_last_one_can_be_used(visit, section):
    visit.sign_in()
    visit.go("Models" if section != "Models" else "Log")
    let_go = visit.hold(ASKED)
    visit.page.locator("nav").get_by_role("link", name=section, exact=True).click()
    main = visit.page.locator("main[aria-busy=true]")
    expect(main.locator(".loading")).to_have_text("Loading…")
    expect(main.locator("h1")).to_have_text(section)
    expect(main.get_by_role("button")).to_have_count(0)
    expect(main).not_to_contain_text("Nothing has been ranked")
    let_go()
    visit.page.locator("main:not([aria-busy])").wait_for()
    expect(visit.page.locator(".loading")).to_have_count(0)


def test_signing_in_by_a_link_says_that_it_waits(visit, app):
    let_go = visit.hold(ASKED)
    visit.open(f"#key={app.key}&loop={app.name}")
    expect(visit.page.locator("main[aria-busy=true]")).to_contain_text("Loading…")
    let_go()
    visit.heading("Overview")


def test_a_service_that_does_not_answer_at_first_is_waited_for_and_that_is_said(visit):
    visit.sign_in()
    visit.refusals |= {503}
    visit.page.route(re.compile("/versions"), lambda route: route.fulfill(status=503, json={"error": {"code": "x", "message": "later"}}))
    visit.page.locator("nav").get_by_role("link", name="Models", exact=True).click()
    visit.says("No answer yet. Trying again.")
    visit.page.unroute_all()
    visit.heading("Models")


def test_a_question_ends_with_its_section(visit, app):
    visit.sign_in()
    visit.go("Log")
    visit.go("Models")
    visit.button("Reset…").click()
    expect(visit.page.get_by_role("dialog", name="Reset the model?")).to_be_visible()
    visit.page.go_back()
    visit.heading("Log")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    assert app.request("GET", path("model/versions", version="2022-09-01-preview")).json["value"][0]["isServed"]


def test_a_question_that_was_on_its_way_is_not_asked_of_another_section(visit):
    visit.sign_in()
    visit.go("Log")
    let_go = visit.hold(re.compile("/preview"))
    visit.button("Delete the log…").click()
    visit.go("Models")
    with visit.page.expect_response(re.compile("/preview")):
        let_go()
    visit.go("Events")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)


def test_a_question_does_not_stay_over_the_page_to_sign_in(visit, service):
    made = service.request("PUT", "/loops/asking", {}, headers={KEY: ADMIN_KEY}).json
    visit.sign_in(key=made["keys"][0], loop="asking")
    visit.go("Models")
    visit.button("Reset…").click()
    expect(visit.page.get_by_role("dialog")).to_be_visible()
    visit.refusals |= {401}
    service.request("POST", "/loops/asking/keys/1/regenerate", headers={KEY: ADMIN_KEY})
    visit.heading("Sign in")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)


def test_a_section_that_was_left_does_not_write_over_the_next_one(visit):
    visit.sign_in()
    visit.go("Configuration")
    let_go = visit.hold(re.compile("/configurations/service"), method="GET")
    visit.page.get_by_label("Exploration", exact=True).fill("0.3")
    visit.button("Save").click()
    visit.page.locator("nav").get_by_role("link", name="Events", exact=True).click()
    visit.confirm("Leave")
    visit.heading("Events")
    let_go()
    visit.page.wait_for_load_state("networkidle")
    visit.heading("Events")


def test_the_answer_of_a_proxy_is_told_in_plain_words(visit):
    visit.sign_in()
    visit.page.route(re.compile("/configurations/policy"), lambda route: route.fulfill(body="<html>Please log in</html>"))
    visit.page.locator("nav").get_by_role("link", name="Policy", exact=True).click()
    visit.says("The answer is not this service's.")
    visit.page.unroute_all()
    visit.button("Try again").click()
    visit.heading("Policy")
