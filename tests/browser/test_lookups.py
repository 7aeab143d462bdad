"""Looking things up and asking for them: receipts, loops, evaluations, feature importances."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from tests.browser.traffic import ADMIN_KEY, learned, loop_of, ranked
from tests.browser.visits import Visit
from tests.http.building import KEY, path
from tests.http.own_loops import OwnLoop

ODD_NAMES = ["constructor", "__proto__", "toString"]


def test_an_event_is_looked_up_with_its_rewards_and_what_became_of_them(visit, app):
    (event_id,) = ranked(app, 1, reward=0.5)
    app.request("POST", path(f"events/{event_id}/reward"), {"value": 1})
    learned(app, loop_of(app)["counters"]["ranked"])
    visit.sign_in()
    visit.go("Events")
    visit.page.get_by_label("Event id").fill(event_id)
    visit.page.keyboard.press("Enter")
    rewards = visit.page.get_by_role("table", name="Its rewards")
    expect(rewards.get_by_role("row")).to_have_count(3)
    expect(rewards).to_contain_text(re.compile("0.500.*counted.*1.000.*not used", re.DOTALL))
    visit.says(re.compile("showed [ab]"))
    visit.says("learned")
    expect(visit.page).to_have_url(re.compile(event_id))


def test_an_event_that_is_not_there_is_said_not_to_be(visit):
    visit.sign_in()
    visit.go("Events")
    visit.refusals |= {404}
    visit.button("Look up").click()
    assert visit.error_of("Event id") == "An event id is needed."
    visit.page.get_by_label("Event id").fill("nobody / knows")
    visit.button("Look up").click()
    visit.says("event 'nobody / knows' was not found")


def test_the_administrator_makes_a_loop_takes_its_keys_and_deletes_it(visit, service):
    visit.sign_in()
    visit.go("Loops")
    visit.refusals |= {400, 401}
    visit.page.get_by_label("Administrator's key").fill(service.key)
    visit.button("Show the loops").click()
    assert "administrator's key" in visit.error_of("Administrator's key")
    visit.page.get_by_label("Administrator's key").fill(ADMIN_KEY)
    visit.button("Show the loops").click()
    visit.page.get_by_label("Name").fill("Not A Name")
    visit.button("Make it").click()
    assert "lower-case letter" in visit.error_of("Name")
    visit.page.get_by_label("Name").fill("fresh")
    visit.page.get_by_label("Tier", exact=True).select_option("E0")
    visit.button("Make it").click()
    key = visit.page.get_by_role("region", name="Key 1 of fresh").inner_text()
    assert service.request("GET", "/loops/fresh/status", headers={KEY: key}).json["loop"]["learningMode"] == "Apprentice"
    visit.button("New key 1 of fresh").click()
    visit.confirm("Regenerate")
    expect(visit.page.get_by_role("heading", name="The new key 1 of fresh")).to_be_visible()
    assert service.request("GET", "/loops/fresh/status", headers={KEY: key}).status == 401
    visit.button("Delete fresh").click()
    visit.page.get_by_label("Type “fresh” to confirm").fill("fresh")
    visit.confirm("Delete")
    visit.says("The loop fresh is deleted.")
    assert service.request("GET", "/loops/fresh", headers={KEY: ADMIN_KEY}).status == 404


def test_the_administrators_key_is_forgotten_with_the_loops(visit, app):
    visit.sign_in()
    visit.go("Loops")
    visit.page.get_by_label("Administrator's key").fill(ADMIN_KEY)
    visit.button("Show the loops").click()
    expect(visit.page.get_by_role("table", name="Loops")).to_be_visible()
    visit.button("Sign out").click()
    visit.sign_in()
    visit.go("Loops")
    expect(visit.page.get_by_label("Administrator's key")).to_be_visible()


def test_an_evaluation_is_asked_for_with_refusals_at_the_policy_that_they_are_about(visit, app):
    ranked(app, 1)
    visit.sign_in()
    visit.go("Evaluations")
    visit.says("No evaluation yet")
    visit.page.get_by_role("link", name="New evaluation").first.click()
    visit.heading("New evaluation")
    visit.refusals |= {400}
    visit.button("Add a policy").click()
    visit.button("Add a policy").click()
    names, written = visit.page.get_by_label("Name", exact=True), visit.page.get_by_label("Arguments")
    names.nth(1).fill("mine")
    names.nth(2).fill("mine")
    visit.button("Start the evaluation").click()
    expect(names.nth(2)).to_have_attribute("aria-invalid", "true")
    names.nth(2).fill("other")
    written.nth(1).fill("--nonsense")
    visit.button("Start the evaluation").click()
    expect(written.nth(1)).to_have_attribute("aria-invalid", "true")
    written.nth(1).fill("--cb_explore_adf --softmax")
    visit.button("Start the evaluation").click()
    visit.page.get_by_role("heading", level=1, name=re.compile("^Evaluation of ")).wait_for()
    (kept,) = app.request("GET", path("evaluations", version="2022-09-01-preview")).json["value"]
    expect(visit.page).to_have_url(re.compile(f"#/evaluations/{kept['id']}$"))
    visit.button("Delete").click()
    visit.confirm("Delete")
    visit.says("No evaluation yet")


def test_an_evaluation_of_nothing_is_over_at_once_and_says_why(visit):
    visit.sign_in()
    visit.go("Evaluations")
    visit.page.get_by_role("link", name="New evaluation").first.click()
    visit.page.get_by_label("From").fill("2001-01-01T00:00")
    visit.page.get_by_label("Until").fill("2001-01-02T00:00")
    visit.button("Start the evaluation").click()
    expect(visit.page.locator(".pill", has_text="done")).to_be_visible()
    visit.says("No event was logged in this range")


def test_a_feature_importance_is_asked_for_listed_and_deleted(visit, app):
    visit.sign_in()
    visit.go("Features")
    visit.says("No feature importance yet")
    visit.page.get_by_role("link", name="New feature importance").first.click()
    visit.heading("New feature importance")
    visit.page.get_by_label("From").fill("2001-01-01T00:00")
    visit.page.get_by_label("Until").fill("2001-01-02T00:00")
    visit.page.get_by_label("Name").fill("what matters")
    visit.button("Start").click()
    visit.heading("what matters")
    expect(visit.page.locator(".pill", has_text="done")).to_be_visible()
    visit.go("Features")
    visit.button("Delete what matters").click()
    visit.confirm("Delete")
    visit.says("No feature importance yet")


@pytest.fixture(scope="module")
def oddly_named(app: OwnLoop) -> None:
    """Events and actions with the names, all learned: they are waited for once."""
    for name in ODD_NAMES:
        body = {"eventId": name, "actions": [{"id": name, "features": [{name: {name: name}}]}], "contextFeatures": [{name: 1}]}
        assert app.request("POST", path("rank"), body).status == 201
        assert app.request("POST", path(f"events/{quote(name)}/reward"), {"value": 1}).status == 204
    learned(app, loop_of(app)["counters"]["ranked"])


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_event_and_an_action_may_be_called_so(visit: Visit, oddly_named: None, name: str) -> None:
    visit.sign_in()
    visit.go("Events")
    visit.page.get_by_label("Event id").fill(name)
    visit.page.keyboard.press("Enter")
    visit.says(f"showed {name}")
