"""The overview: empty at first, then moving with what is ranked, rewarded and learned; through restarts."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.traffic import learned, loop_of, ranked
from tests.browser.visits import WITHIN_MS
from tests.running import RunningApp


@pytest.fixture(scope="module")
def app(own_app: RunningApp) -> RunningApp:
    return own_app


def test_before_the_first_call_the_page_says_what_to_do(visit, app):
    assert loop_of(app)["counters"]["ranked"] == 0
    visit.sign_in()
    visit.says("Nothing has been ranked yet")
    example = visit.page.get_by_role("region", name="A Rank call").inner_text()
    assert f"curl -s {app.base_url}/personalizer/v1.0/rank" in example
    assert app.key not in example
    expect(visit.page.get_by_text("Send the first Rank call")).to_be_visible()
    visit.go("Changes")
    visit.says("Nothing was changed yet")


def test_the_figures_move_while_events_are_ranked_rewarded_and_learned(visit, app):
    visit.sign_in()
    expect(visit.page.locator(".figure").first).to_be_visible()
    before = loop_of(app)["counters"]
    ranked(app, 20)
    expect(visit.page.locator(".figure").filter(has_text=re.compile(f"^Events{before['ranked'] + 20}"))).to_be_visible(timeout=WITHIN_MS)
    learned(app, before["learned"] + 20)
    visit.says(f"{before['learned'] + 20} learned")
    expect(visit.page.locator(".checks .bad")).to_have_count(0, timeout=WITHIN_MS)
    assert visit.tile("Average reward") == "1.000"


def test_every_chart_has_its_numbers_as_a_table_and_in_words(visit, app):
    ranked(app, 3)
    learned(app, 3)
    visit.sign_in()
    chart = visit.page.get_by_role("region", name="Average reward", exact=True)
    drawing = chart.get_by_role("img")
    expect(drawing).to_have_attribute("aria-label", re.compile(r"^From .* What was shown: last 1\.000"), timeout=WITHIN_MS)
    chart.get_by_text("Numbers").click()
    expect(chart.get_by_role("table").get_by_role("columnheader")).to_contain_text(
        ["Time", "What was shown", "What was shown, from", "What was shown, to"]
    )
    expect(chart.get_by_role("table").locator("tbody tr").first).to_contain_text("1.000")


def test_how_often_the_apprentice_agrees_is_a_chart_over_time_where_there_is_one(visit, app):
    ranked(app, 3)
    learned(app, 3)
    chart = visit.page.get_by_role("region", name="Apprentice: agrees with your own choice")
    visit.sign_in()
    expect(visit.page.locator(".chart canvas").first).to_be_visible(timeout=WITHIN_MS)
    expect(chart).to_have_count(0)

    def of_an_apprentice(route):
        answer = route.fetch().json()
        for number, point in enumerate(answer["timeseries"]):
            point["matchRate"] = 0.25 if number == 0 else 0.5
            point["proposedReward"] = [0.2, 0.6]
        answer["timeseries"] = [{**answer["timeseries"][0], "timeStamp": "2026-01-01T00:00:00Z", "matchRate": 0.75}, *answer["timeseries"]]
        route.fulfill(json=answer)

    visit.page.route("**/figures*", of_an_apprentice)
    expect(chart.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"Same choice: last \d+%, between 25% and 75%"), timeout=WITHIN_MS
    )
    earned = visit.page.get_by_role("region", name="Apprentice: what the policy's choices can have earned")
    expect(earned.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"Policy, at least: last 0\.200.*Policy, at most: last 0\.600"), timeout=WITHIN_MS
    )
    visit.page.unroute_all(behavior="ignoreErrors")


def test_the_time_shown_can_be_changed(visit):
    visit.sign_in()
    for name in ("Hour", "Week", "30 days", "Day"):
        with visit.page.expect_request(re.compile("/figures")) as asked:
            visit.button(name).click()
        assert {"Hour": "interval=5", "Day": "interval=5", "Week": "interval=60", "30 days": "interval=1440"}[name] in asked.value.url
        expect(visit.button(name)).to_have_attribute("aria-pressed", "true")


def test_a_page_that_nobody_sees_asks_for_nothing(visit):
    visit.sign_in()
    visit.page.evaluate("""() => {
        Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    expect(visit.page.locator("#connection")).to_have_text("Paused", timeout=WITHIN_MS)
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.page.wait_for_timeout(4_500)
    assert asked == []
    with visit.page.expect_request(re.compile("/status")):
        visit.page.evaluate("""() => {
            Object.defineProperty(document, "hidden", { value: false, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""")


def test_a_restart_of_the_service_is_told_and_survived(visit, app):
    visit.sign_in()
    expect(visit.page.locator("#connection")).to_contain_text("Updated")
    visit.is_cut_off = True
    app.stop()
    try:
        expect(visit.page.locator("#connection")).to_have_text("Connection lost, trying again", timeout=WITHIN_MS)
        visit.heading("Overview")
    finally:
        app.start()
    expect(visit.page.locator("#connection")).to_contain_text("Updated", timeout=WITHIN_MS)
    visit.says("Connected again.")
    visit.is_cut_off = False
    ranked(app, 1)
    visit.go("Models")
    visit.heading("Models")


def lift_shown(visit, **lift: object) -> str:
    """Give what stands under Lift where the figures say this."""
    nothing = dict.fromkeys(("value", "confidenceInterval", "difference", "differenceInterval", "moreEvents"))

    def answered(route: Route) -> None:
        found = route.fetch().json()
        route.fulfill(json={**found, "totals": {**found["totals"], "lift": {**nothing, **lift}}})

    visit.page.route(re.compile("/figures"), answered)
    visit.sign_in()
    shown = visit.page.locator(".figure", has=visit.page.locator("dt:text-is('Lift')")).inner_text()
    return " ".join(shown.split())


@pytest.mark.parametrize(
    ("lift", "said"),
    [
        ({"moreEvents": 1200}, "Lift – over the baseline, since the start: not known yet, about 1,200 more events"),
        ({}, "Lift – over the baseline, since the start: not known yet"),
        (
            {"value": 1.4, "confidenceInterval": [0.9, 2.15], "difference": 0.35, "moreEvents": 200_000},
            "Lift +140% over the baseline, since the start: between +90% and +215%; ±10% after about 200,000 more events",
        ),
        (
            {"value": 0.2, "confidenceInterval": [-0.1, None], "difference": 0.1},
            "Lift +20% over the baseline, since the start: −10% or more",
        ),
        (
            {"difference": -0.25, "differenceInterval": [-0.3, -0.2]},
            "Lift −0.250 over the baseline, since the start: between −0.300 and −0.200",
        ),
        (
            {"value": 0.05, "confidenceInterval": [0.01, 0.09], "difference": 0.1, "moreEvents": 0},
            "Lift +5.0% over the baseline, since the start: between +1.0% and +9.0%",
        ),
    ],
)
def test_a_lift_is_told_with_how_sure_it_is_and_what_is_needed_to_know_more(visit, lift, said):
    assert lift_shown(visit, **lift) == said


def test_the_figures_of_a_time_are_not_mixed_with_those_of_another_one(visit, app):
    visit.sign_in()
    let_go = visit.hold(re.compile("/figures"))
    visit.button("Week").click()
    expect(visit.page.locator(".parts[aria-busy=true]")).to_be_visible()
    visit.button("Hour").click()
    let_go()
    expect(visit.page.locator(".parts[aria-busy]")).to_have_count(0)
    expect(visit.page.locator(".figure", has=visit.page.locator("dt:text-is('Average reward')"))).to_contain_text("in the last hour")


def test_a_charts_table_has_every_row_of_it(visit):
    def answered(route: Route) -> None:
        found = route.fetch().json()
        point = {"events": 1, "rewards": 1, "averageReward": 0.5, "explorationShare": 0.1, "entropy": 0.2, "lagSeconds": 1, "policies": []}
        rows = [{**point, "timeStamp": f"2026-05-{1 + n // 24:02}T{n % 24:02}:00:00Z"} for n in range(700)]
        route.fulfill(json={**found, "timeseries": rows})

    visit.page.route(re.compile("/figures"), answered)
    visit.sign_in()
    chart = visit.page.get_by_role("region", name="Exploration", exact=True)
    chart.get_by_text("Numbers").click()
    expect(chart.locator("tbody tr")).to_have_count(700)
