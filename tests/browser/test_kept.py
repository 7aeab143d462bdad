"""Nothing is done by accident, and nothing is lost: input, keys that are told once, what was refused, and where one was."""

import re

import pytest
from playwright.sync_api import Dialog, expect

from tests.browser.traffic import ADMIN_KEY
from tests.http.building import KEY, path
from tests.running import RunningApp


@pytest.fixture(scope="module")
def app(own_app: RunningApp) -> RunningApp:
    return own_app


@pytest.fixture
def administrator(visit):
    """A visit that sees all loops."""
    visit.sign_in()
    visit.go("Loops")
    visit.page.get_by_label("Administrator's key").fill(ADMIN_KEY)
    visit.button("Show the loops").click()
    visit.page.get_by_role("table").wait_for()
    return visit


def test_what_did_not_work_stays_to_be_read_until_it_is_put_away(visit):
    visit.sign_in()
    visit.go("Models")
    visit.refusals |= {503}
    refused = {"error": {"code": "OperationNotAllowed", "message": "storage does not answer"}}
    visit.page.route(re.compile("/model\\?"), lambda route: route.fulfill(status=503, json=refused, headers={"Retry-After": "7"}))
    visit.page.clock.install()
    visit.button("Export, signed").click()
    said = visit.failure("Export, signed")
    expect(said).to_contain_text("Storage does not answer.")
    expect(said).to_contain_text("Wait 7 s, then try again.")
    visit.page.clock.run_for(60_000)
    expect(said).to_be_visible()
    visit.page.unroute_all()
    visit.page.locator("nav").get_by_role("link", name="Events", exact=True).click()
    expect(said).to_be_visible()
    said.get_by_role("button", name="Put away").click()
    expect(said).to_have_count(0)


def test_a_change_without_an_answer_says_that_it_may_have_been_done(visit):
    visit.sign_in()
    visit.go("Policy")
    visit.is_cut_off = True
    visit.page.route(re.compile("/configurations/policy"), lambda route: route.abort())
    visit.page.get_by_label("Name").fill("another")
    visit.button("Save").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("It is not known whether it was done.")


@pytest.mark.parametrize("section", ["Configuration", "Policy"])
@pytest.mark.parametrize("way", ["link", "back", "hand"])
def test_settings_that_are_not_saved_ask_before_they_go(visit, section, way):
    visit.sign_in()
    visit.go("Events")
    visit.go(section)
    field = visit.page.get_by_label("Exploration" if section == "Configuration" else "Name", exact=True)
    field.fill("0.77")
    leave = {
        "link": lambda: visit.page.locator("nav").get_by_role("link", name="Events", exact=True).click(),
        "back": visit.page.go_back,
        "hand": lambda: visit.page.evaluate("() => { location.hash = '#/events'; }"),
    }[way]
    leave()
    visit.confirm("Stay")
    expect(field).to_have_value("0.77")
    expect(visit.page).to_have_url(re.compile(f"#/{section.lower()}$"))  # the browser puts it back after a moment
    leave()
    visit.confirm("Leave")
    visit.heading("Events")
    visit.go(section)
    expect(field).not_to_have_value("0.77")


def configuration(app):
    return app.request("GET", path("configurations/service", version="2022-09-01-preview")).json


def test_input_that_comes_while_settings_are_saved_stays_and_is_saved_next(visit, app):
    visit.sign_in()
    visit.go("Configuration")
    visit.page.get_by_label("Exploration", exact=True).fill("0.25")
    let_go = visit.hold(re.compile("/configurations/"))
    visit.button("Save").click()
    holdout, explained = (visit.page.get_by_label(each) for each in ("Holdout", "Explain decisions"))
    holdout.fill("0.05")
    explained.check()
    drawn = str(holdout.get_attribute("id"))
    let_go()
    visit.says("Saved.")
    expect(holdout).not_to_have_attribute("id", drawn)
    expect(holdout).to_have_value("0.05")
    expect(explained).to_be_checked()
    drawn = str(holdout.get_attribute("id"))
    visit.button("Save").click()
    expect(holdout).not_to_have_attribute("id", drawn)
    found = configuration(app)
    assert (found["explorationPercentage"], found["holdoutPercentage"], found["isInferenceExplainabilityEnabled"]) == (0.25, 0.05, True)


def test_a_reload_and_signing_out_ask_as_well_and_nothing_asks_without_input(visit):
    visit.sign_in()
    visit.go("Configuration")
    visit.page.get_by_label("Exploration", exact=True).fill("0.9")
    visit.button("Sign out").click()
    visit.confirm("Stay")
    asked: list[str] = []

    def leave(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    visit.page.on("dialog", leave)
    visit.page.reload()
    visit.heading("Sign in")
    assert asked == ["beforeunload"]
    visit.sign_in()
    visit.go("Configuration")
    visit.page.reload()
    visit.heading("Sign in")
    assert asked == ["beforeunload"]


def test_what_was_saved_asks_no_more(visit):
    visit.sign_in()
    visit.go("Policy")
    visit.page.get_by_label("Name").fill("saved")
    visit.button("Save").click()
    visit.says("Saved.")
    visit.go("Events")


def test_another_key_in_the_address_asks_first_as_well(visit, app):
    made = app.request("PUT", "/loops/other", {}, headers={KEY: ADMIN_KEY}).json
    visit.sign_in()
    visit.go("Policy")
    visit.page.get_by_label("Name").fill("unsaved")
    visit.page.evaluate("fragment => { location.hash = fragment; }", f"#key={made['keys'][0]}&loop=other")
    visit.confirm("Leave")
    assert made["keys"][0] not in visit.page.url
    expect(visit.page.locator("#where")).to_contain_text("other")


def test_what_another_tab_has_changed_is_shown_before_it_is_written_over(visit, app):
    place = path("configurations/policy")
    app.request("PUT", place, {"name": "first", "arguments": "--cb_explore_adf"})
    visit.sign_in()
    visit.go("Policy")
    app.request("PUT", place, {"name": "theirs", "arguments": "--cb_explore_adf --epsilon 0.3"})
    visit.refusals |= {412}
    visit.page.get_by_label("Name", exact=True).fill("mine")
    visit.button("Save").click()
    differs = visit.page.get_by_role("dialog", name="Changed meanwhile").get_by_role("row")
    expect(differs.filter(has_text="Name")).to_contain_text(re.compile("first.*theirs.*mine"))
    expect(differs.filter(has_text="Arguments")).to_contain_text("--epsilon 0.3")
    visit.confirm("Go back")
    assert app.request("GET", place).json["name"] == "theirs"
    expect(visit.page.get_by_label("Name", exact=True)).to_have_value("mine")
    visit.button("Save").click()
    visit.confirm("Save mine")
    visit.says("Saved.")
    assert app.request("GET", place).json == {"name": "mine", "arguments": "--cb_explore_adf"}
    app.request("PUT", place, {"name": "theirs", "arguments": "--cb_explore_adf --epsilon 0.4"})
    visit.button("Reset to the app's own…").click()
    visit.page.get_by_role("dialog", name="Reset the policy?").get_by_role("button", name="Reset", exact=True).click()
    expect(visit.page.get_by_role("dialog", name="Changed meanwhile")).to_contain_text("--epsilon 0.4")
    visit.confirm("Go back")
    assert app.request("GET", place).json["name"] == "theirs"


def test_settings_that_others_changed_beside_ones_own_stay_as_they_made_them(visit, app):
    place = path("configurations/service", version="2022-09-01-preview")
    visit.sign_in()
    visit.go("Configuration")
    app.request("PUT", place, {**app.request("GET", place).json, "logRetentionDays": 45})
    visit.refusals |= {412}
    visit.page.get_by_label("Exploration", exact=True).fill("0.15")
    visit.button("Save").click()
    expect(visit.page.get_by_role("dialog", name="Changed meanwhile")).to_contain_text("They stay if you save.")
    visit.confirm("Save mine")
    visit.says("Saved.")
    found = app.request("GET", place).json
    assert (found["logRetentionDays"], found["explorationPercentage"]) == (45, 0.15)


def test_making_a_loop_whose_name_is_taken_changes_nothing_of_it(administrator, app):
    visit = administrator
    visit.refusals |= {412}
    app.request("PUT", "/loops/taken", {"tier": "E0"}, headers={KEY: ADMIN_KEY})
    visit.page.get_by_label("Name", exact=True).fill("taken")
    visit.button("Make it").click()
    assert visit.error_of("Name") == "There is a loop “taken” already. Choose another name."
    assert app.request("GET", "/loops/taken", headers={KEY: ADMIN_KEY}).json["tier"] == "E0"


def test_with_a_key_that_was_regenerated_one_signs_in_again_where_one_was(visit, app):
    made = app.request("PUT", "/loops/renewed", {}, headers={KEY: ADMIN_KEY}).json
    visit.sign_in(key=made["keys"][0], loop="renewed")
    visit.go("Policy")
    visit.page.get_by_label("Name").fill("kept")
    key = app.request("POST", "/loops/renewed/keys/1/regenerate", headers={KEY: ADMIN_KEY}).json["key"]
    visit.refusals |= {401}
    visit.button("Save").click()
    visit.heading("Sign in")
    expect(visit.page.get_by_label("Loop", exact=True)).to_have_value("renewed")
    visit.page.get_by_label("Key", exact=True).fill(key)
    visit.button("Sign in").click()
    visit.heading("Policy")
    expect(visit.page.get_by_label("Name")).to_have_value("kept")
    visit.button("Save").click()
    visit.says("Saved.")
    assert app.request("GET", "/loops/renewed/personalizer/v1.0/configurations/policy", headers={KEY: key}).json["name"] == "kept"


def test_keys_are_shown_before_anything_else_is_read_and_stay_until_they_are_put_away(administrator):
    visit = administrator
    let_go = visit.hold(re.compile("/loops$"), method="GET")
    visit.page.get_by_label("Name", exact=True).fill("fresh")
    visit.button("Make it").click()
    keys = visit.page.get_by_role("region", name="The keys of fresh", exact=True)
    expect(keys).to_be_visible()
    visit.go("Events")
    expect(keys).to_be_visible()
    let_go()
    visit.button("Sign out").click()
    visit.confirm("Stay")
    expect(keys).to_be_visible()
    keys.get_by_role("button", name="Put away").click()
    expect(keys).to_have_count(0)


def test_the_keys_of_a_loop_that_was_left_meanwhile_are_shown_all_the_same(administrator):
    visit = administrator
    let_go = visit.hold(re.compile("/loops/slow"), method="PUT")
    visit.page.get_by_label("Name", exact=True).fill("slow")
    visit.button("Make it").click()
    visit.page.locator("nav").get_by_role("link", name="Events", exact=True).click()
    visit.confirm("Leave")
    visit.heading("Events")
    let_go()
    expect(visit.page.get_by_role("region", name="The keys of slow", exact=True)).to_be_visible()


def test_a_tier_is_changed_by_a_button_and_not_by_looking_at_others(administrator, app):
    visit = administrator
    tier = visit.page.get_by_label("Tier of default", exact=True)
    change = visit.button("Change tier: default")
    expect(change).to_be_disabled()
    tier.focus()
    visit.page.keyboard.press("ArrowDown")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    change.click()
    visit.confirm("Cancel")
    assert app.request("GET", "/loops/default", headers={KEY: ADMIN_KEY}).json["tier"] == "S0"
    change.click()
    visit.confirm("Change")
    visit.says("“default” is E0 now.")
    assert app.request("GET", "/loops/default", headers={KEY: ADMIN_KEY}).json["tier"] == "E0"
    app.request("PUT", "/loops/default", {"tier": "S0"}, headers={KEY: ADMIN_KEY})


def test_an_administrators_key_that_is_refused_does_not_sign_the_loop_out(administrator):
    visit = administrator
    visit.refusals |= {401}
    visit.page.route(re.compile("/loops/.+/regenerate"), lambda route: route.fulfill(status=401, json={"error": {"message": "no"}}))
    visit.button("New key 1 of default").click()
    visit.confirm("Regenerate")
    visit.heading("Loops")
    expect(visit.page.get_by_label("Administrator's key")).to_be_visible()
