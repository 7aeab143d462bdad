"""Changing a loop: what is refused is said at its field, and what cannot be undone is asked for first."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.traffic import learned, loop_of, ranked
from tests.http.building import path


@pytest.fixture(scope="module")
def taught(app) -> str:
    """The version of a second model, the first of which is kept."""
    for _ in range(2):
        ranked(app, 4)
        learned(app, loop_of(app)["counters"]["ranked"])
    return str(loop_of(app)["publishedModelVersion"])


def configuration(app):
    return app.request("GET", path("configurations/service", version="2022-09-01-preview")).json


def test_a_setting_out_of_its_range_is_refused_in_the_services_words_at_its_field(visit, app):
    visit.sign_in()
    visit.go("Configuration")
    visit.refusals |= {400}
    visit.page.get_by_label("Log retention, days").fill("1000000000000")
    visit.button("Save").click()
    assert "2147483647" in visit.error_of("Log retention, days")
    visit.page.get_by_label("Log retention, days").fill("30")
    visit.page.get_by_label("Exploration", exact=True).fill("1.5")
    visit.button("Save").click()
    assert visit.error_of("Exploration") == "Must be from 0 to 1."
    expect(visit.page.get_by_label("Exploration", exact=True)).to_be_focused()
    assert configuration(app)["logRetentionDays"] != 30


def test_only_what_is_changed_is_saved_and_read_back(visit, app):
    visit.sign_in()
    visit.go("Configuration")
    visit.page.get_by_label("Exploration", exact=True).fill("0.35")
    visit.page.get_by_label("Explain decisions").check()
    before = configuration(app)
    visit.button("Save").click()
    visit.says("Saved.")
    after = configuration(app)
    assert after.pop("lastConfigurationEditDate") != before.pop("lastConfigurationEditDate", None)
    changed = {name: value for name, value in after.items() if before.get(name) != value}
    assert changed == {"explorationPercentage": 0.35, "isInferenceExplainabilityEnabled": True}
    expect(visit.page.get_by_label("Exploration", exact=True)).to_have_value("0.35")


def test_a_duration_is_read_back_in_words_while_it_is_written(visit):
    visit.sign_in()
    visit.go("Configuration")
    visit.page.get_by_label("Reward wait time").fill("PT1H30M")
    expect(visit.page.locator(".field", has=visit.page.get_by_label("Reward wait time"))).to_contain_text("1 h 30 min.")


def test_a_change_that_learns_anew_is_asked_for_first_and_escape_takes_it_back(visit, app):
    visit.sign_in()
    visit.go("Configuration")
    visit.page.get_by_label("Default reward").fill("0.25")
    visit.button("Save").click()
    dialog = visit.page.get_by_role("dialog", name="Learn the model again?")
    expect(dialog).to_contain_text("defaultReward")
    for _ in range(4):
        visit.page.keyboard.press("Tab")
        assert visit.page.evaluate("document.activeElement === document.body || Boolean(document.activeElement.closest('dialog'))")
    visit.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(visit.button("Save")).to_be_focused()
    assert configuration(app)["defaultReward"] == 0


def test_a_policy_that_cannot_be_followed_is_refused_by_the_name_of_its_option(visit, app):
    visit.sign_in()
    visit.go("Policy")
    visit.refusals |= {400}
    visit.page.get_by_label("Arguments").fill("--cb_explore_adf --nonsense 3")
    visit.button("Save").click()
    assert visit.error_of("Arguments") == "'--nonsense' is not a known option."
    assert "nonsense" not in app.request("GET", path("configurations/policy")).json["arguments"]


def test_a_policy_is_filled_in_saved_and_reset(visit, app):
    visit.sign_in()
    visit.go("Policy")
    visit.button("Fill in: Epsilon-greedy").click()
    visit.button("Save").click()
    visit.says("Saved.")
    stored = app.request("GET", path("configurations/policy")).json
    assert stored == {"name": "epsilon-greedy", "arguments": "--cb_explore_adf --epsilon 0.2"}
    visit.button("Reset to the app's own…").click()
    visit.confirm("Reset")
    visit.says("The app's own policy is back.")
    expect(visit.page.get_by_label("Arguments")).to_have_value("--cb_explore_adf")


def test_a_model_is_rolled_back_once_that_is_confirmed(visit, app, taught):
    visit.sign_in()
    visit.go("Models")
    oldest = visit.page.get_by_role("button", name=re.compile("^Roll back to ")).last
    oldest.click()
    visit.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert loop_of(app)["publishedModelVersion"] == taught
    oldest.click()
    visit.confirm("Roll back")
    visit.says("Published as")
    restored = loop_of(app)["publishedModelVersion"]
    assert restored > taught
    row = visit.page.get_by_role("row").filter(has_text=restored)
    expect(row).to_contain_text("restored")
    expect(row).to_contain_text("in force")


def test_a_model_is_exported_reset_and_imported(visit, app, taught, tmp_path):
    visit.sign_in()
    visit.go("Models")
    with visit.page.expect_download() as downloading:
        visit.button("Export, signed").click()
    archive = Path(tmp_path / downloading.value.suggested_filename)
    downloading.value.save_as(archive)
    assert archive.name == "model.vw.zip"
    visit.button("Reset…").click()
    visit.confirm("Reset")
    visit.says("There is no model any more.")
    assert loop_of(app)["publishedModelVersion"] is None
    visit.page.get_by_label("Signed archive").set_input_files(archive)
    visit.button("Import").click()
    expect(visit.page.get_by_role("dialog")).to_contain_text("The present model knows 0 events")
    visit.confirm("Import")
    visit.says("The model is published.")
    assert loop_of(app)["publishedModelVersion"] is not None


def test_a_file_that_is_no_model_is_refused_in_the_services_words(visit, tmp_path):
    visit.sign_in()
    visit.go("Models")
    visit.refusals |= {400}
    (tmp_path / "model.vw.zip").write_bytes(b"nonsense")
    visit.page.get_by_label("Signed archive").set_input_files(tmp_path / "model.vw.zip")
    visit.button("Import").click()
    visit.confirm("Import")
    expect(visit.page.get_by_role("alert")).to_contain_text("archive")


def test_the_log_is_deleted_only_by_whoever_types_the_loops_name(visit, app):
    ranked(app, 1)
    visit.sign_in()
    visit.go("Log")
    visit.button("Delete the log…").click()
    remove = visit.page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True)
    expect(remove).to_be_disabled()
    visit.page.get_by_label(f"Type “{app.name}” to confirm").fill(app.name)
    remove.click()
    visit.says("The log is deleted.")
    visit.says("Nothing is logged")
    assert app.request("GET", path("logs/properties")).json == {}
