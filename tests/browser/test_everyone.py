"""For everyone: every section in both themes at several widths with long names, in colours of one's own, and by keyboard."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import findings
from tests.browser.traffic import ADMIN_KEY, learned, loop_of, ranked
from tests.browser.visits import Visit
from tests.http.building import KEY, path
from tests.running import RunningApp

SECTIONS = {
    "Overview": ".figure",
    "Events": "table",
    "Changes": ".empty",
    "Evaluations": "table",
    "Features": "table",
    "Policy": "form",
    "Configuration": "form",
    "Models": "table",
    "Log": ".facts",
    "Loops": "form",
}
"""And what is there once it is filled."""
WIDTHS = (1280, 768, 390)
TWICE_THE_LETTERS = 640
"""The width that is left of the first one where letters are twice as large."""
LONG_LOOP = "l" * 31
LONG_NAME = "Ein" + "wort" * 40
RANGE = {"startTime": "2026-05-17T00:00:00Z", "endTime": "2026-05-19T00:00:00Z"}
NEWEST = "2022-09-01-preview"
CONTRAST = """([one, other]) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    for (const layer of [getComputedStyle(document.body).backgroundColor, colour]) {
      canvas.fillStyle = layer;
      canvas.fillRect(0, 0, 1, 1);
    }
    const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((each) => each / 255);
    const [r, g, b] = parts.map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const [dark, bright] = [light(one), light(other)].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}"""
BACKGROUND = "(element) => getComputedStyle(element).backgroundColor"
TOO_WIDE = """() => [document.documentElement, document.body, document.querySelector("main"), ...document.querySelectorAll("main .card")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1).map((each) => `${each.tagName}.${each.className} ${each.scrollWidth}`)"""
OUT_OF_SIGHT = """() => [
  ...[...document.querySelectorAll("main select, main input:not([type=checkbox])")]
    .filter((each) => each.getClientRects().length && each.getBoundingClientRect().width < 60),
  ...[...document.querySelectorAll("main td button, main td select")]
    .filter((each) => each.getBoundingClientRect().right > each.closest(".scroll").getBoundingClientRect().right + 1),
].map((each) => each.outerHTML.slice(0, 80))"""
"""Controls that are too small to be used, or that one would have to scroll to."""
STRETCHED = """() => [...document.querySelectorAll("main td .pill")].filter((pill) => {
  const words = document.createRange();
  words.selectNodeContents(pill);
  return pill.clientWidth > words.getBoundingClientRect().width + 40;
}).map((pill) => pill.textContent)"""
"""Marks in a table that are much wider than their words."""


@pytest.fixture(scope="module")
def app(own_app: RunningApp) -> RunningApp:
    return own_app


@pytest.fixture(scope="module")
def crowded(app: RunningApp) -> None:
    """A loop, and a deployment, whose names are as long as they may be."""
    for _ in range(6):
        body = {"actions": [{"id": "x" * 200, "features": [{"f" * 60: "v"}]}, {"id": "y" * 200, "features": [{"f" * 60: "w"}]}]}
        event = str(app.request("POST", path("rank"), body).json["eventId"])
        assert app.request("POST", path(f"events/{event}/reward"), {"value": 1}).status == 204
    learned(app, 6)
    for loop in (LONG_LOOP, LONG_LOOP[:-1] + "m"):
        assert app.request("PUT", f"/loops/{loop}", {}, headers={KEY: ADMIN_KEY}).status in (200, 201)
    evaluate(app)
    assert app.request("PUT", path("featureImportances/long", version=NEWEST), {"name": LONG_NAME, **RANGE}).status == 200


def evaluate(app: RunningApp) -> None:
    assert app.request("PUT", path("evaluations/long", version=NEWEST), {"name": LONG_NAME, **RANGE, "policies": []}).status == 200


@pytest.fixture(params=["light", "dark"])
def themed(request, visiting, crowded) -> Iterator[Visit]:
    with visiting(color_scheme=request.param, bypass_csp=True) as visit:
        yield visit


@pytest.mark.long
def test_axe_finds_nothing_in_any_section_and_none_is_wider_than_the_screen(themed: Visit, axe: str) -> None:
    themed.open()
    themed.heading("Sign in")
    assert findings(themed, axe) == []
    themed.sign_in()
    for section, content in SECTIONS.items():
        themed.go(section)
        if section == "Loops":
            administer(themed)
        else:
            themed.page.locator(f"main {content}").first.wait_for()
        for summary in themed.page.locator("main summary:visible").all():
            summary.click()
        for width in (*WIDTHS, TWICE_THE_LETTERS):
            themed.page.set_viewport_size({"width": width, "height": 900})
            assert themed.page.evaluate(TOO_WIDE) == [], (section, width)
            assert themed.page.evaluate(OUT_OF_SIGHT) == [], (section, width)
            assert themed.page.evaluate(STRETCHED) == [], (section, width)
            if width in (1280, 390):
                assert findings(themed, axe) == [], (section, width)
        themed.page.set_viewport_size({"width": WIDTHS[0], "height": 900})


def test_the_services_own_address_leads_everywhere_and_is_for_everyone(themed: Visit, axe: str) -> None:
    page = themed.page
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(themed.app.base_url)
        themed.heading("The service is running")
        assert page.evaluate(TOO_WIDE) == []
        assert findings(themed, axe) == []
    expect(page.get_by_role("region", name="Endpoint")).to_have_text(themed.app.base_url)
    page.get_by_role("link", name=re.compile("^Dashboard")).click()
    themed.heading("Sign in")


BROKEN = """() => [...document.querySelectorAll(".bar button, .bar .button, .where, .brand")]
  .filter((each) => each.getClientRects().length && each.getBoundingClientRect().height > 40).map((each) => each.textContent)"""


def test_the_headers_words_are_not_broken(themed: Visit, app: RunningApp) -> None:
    keys = app.request("POST", f"/loops/{LONG_LOOP}/keys/1/regenerate", headers={KEY: ADMIN_KEY}).json
    for key, loop in ((app.key, "default"), (keys["key"], LONG_LOOP)):
        themed.sign_in(key=key, loop=loop)
        expect(themed.page.locator("#connection")).to_contain_text("Updated")
        for width in (*WIDTHS, 1024, 600, 320):
            themed.page.set_viewport_size({"width": width, "height": 900})
            assert themed.page.evaluate(BROKEN) == [], (loop, width)
            assert themed.page.evaluate(TOO_WIDE) == [], (loop, width)
    themed.page.goto(f"{app.base_url}/demo")
    themed.heading("See it learn")
    for width in (*WIDTHS, 320):
        themed.page.set_viewport_size({"width": width, "height": 900})
        assert themed.page.evaluate(BROKEN) == [], width


def administer(visit: Visit) -> None:
    if visit.page.get_by_label("Administrator's key").is_visible():
        visit.page.get_by_label("Administrator's key").fill(ADMIN_KEY)
        visit.button("Show the loops").click()
    expect(visit.page.get_by_role("table", name="Loops")).to_be_visible()


def contrast(page: Page, one: str, other: str) -> float:
    found: float = page.evaluate(CONTRAST, [one, other])
    return found


def test_a_pressed_button_differs_from_the_others_by_three_to_one(themed: Visit) -> None:
    themed.sign_in()
    pressed = themed.page.locator(".segments [aria-pressed=true]").first
    around = themed.page.locator(".segments").first.evaluate(BACKGROUND)
    assert contrast(themed.page, pressed.evaluate(BACKGROUND), around) >= 3
    assert contrast(themed.page, pressed.evaluate(BACKGROUND), pressed.evaluate("(each) => getComputedStyle(each).color")) >= 4.5


def test_in_colours_of_ones_own_what_is_pressed_and_drawn_can_be_told_apart(visiting, crowded) -> None:
    for scheme in ("light", "dark"):
        with visiting(forced_colors="active", color_scheme=scheme) as visit:
            visit.sign_in()
            expect(visit.page.locator(".chart canvas").first).to_be_visible()
            page = visit.page
            paper = page.locator("body").evaluate(BACKGROUND)
            for pressed in (".segments [aria-pressed=true]", "nav [aria-current=page]"):
                assert contrast(page, page.locator(pressed).first.evaluate(BACKGROUND), paper) >= 3, (scheme, pressed)
            visit.go("Policy")
            save = visit.button("Save")
            assert (
                contrast(page, *[save.evaluate(f"(each) => getComputedStyle(each).{name}") for name in ("color", "backgroundColor")]) >= 4.5
            )
            assert save.evaluate("(each) => getComputedStyle(each).forcedColorAdjust") == "none"  # else a plate of paper covers the colour
            visit.go("Overview")
            page.locator(".swatch").first.wait_for()
            swatches = page.locator(".swatch").evaluate_all("(all) => all.map((each) => getComputedStyle(each).borderTopColor)")
            assert len(swatches) >= 3
            assert all(contrast(page, each, paper) >= 3 for each in swatches), (scheme, swatches)
            drawn = page.evaluate(
                "import('/dashboard/lib/theme.js').then(({ colour }) => ['online', 'baseline', 'third', 'fourth', 'faint'].map(colour))"
            )
            assert all(contrast(page, each, paper) >= 3 for each in drawn), (scheme, drawn)
            assert len(set(drawn[:2])) == 2, drawn


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_colours_of_ones_own_the_demo_shows_who_is_chosen_and_how_likely_a_story_is(visiting, scheme) -> None:
    with visiting(forced_colors="active", color_scheme=scheme) as visit:
        page = visit.page
        page.goto(f"{visit.app.base_url}/demo#key={visit.app.key}&loop=default")
        expect(page.locator(".story h3")).not_to_be_empty()
        paper = page.locator("body").evaluate(BACKGROUND)
        for chosen in (".reader:has(:checked)", ".picker [aria-pressed=true]", ".chance:not([aria-pressed=true]) .track i"):
            assert contrast(page, page.locator(chosen).first.evaluate(BACKGROUND), paper) >= 3, chosen
        other = page.locator(".reader:not(:has(:checked))").first.evaluate(BACKGROUND)
        assert contrast(page, page.locator(".reader:has(:checked)").evaluate(BACKGROUND), other) >= 3


# --- live updates ----------------------------------------------------------------------------------------------------


def select(page: Page, text: str) -> None:
    page.get_by_text(text, exact=True).first.evaluate("(each) => getSelection().selectAllChildren(each)")
    assert page.evaluate("getSelection().toString()").strip() == text


def test_an_update_keeps_what_is_selected_and_writes_only_what_changed(visit: Visit, app: RunningApp, crowded) -> None:
    visit.sign_in()
    visit.page.locator(".figure").first.wait_for()
    visit.page.evaluate("""() => {
        window.written = [];
        new MutationObserver((records) => window.written.push(...records.map((each) => each.target.textContent)))
          .observe(document.querySelector("main"), { childList: true, characterData: true, subtree: true });
    }""")
    select(visit.page, "Average reward")
    ranked_before = loop_of(app)["counters"]["ranked"]
    ranked(app, 1, reward=None)
    expect(visit.page.locator(".figure").filter(has_text=re.compile(f"^Events{ranked_before + 1}"))).to_be_visible()
    with visit.page.expect_response(re.compile("/figures")):
        pass
    assert visit.page.evaluate("getSelection().toString()").strip() == "Average reward"
    assert visit.page.evaluate("window.written.filter((each) => each.includes('Average reward'))") == []


def test_live_updates_pause_until_they_are_wanted_again(visit: Visit, app: RunningApp, crowded) -> None:
    visit.sign_in()
    visit.page.locator(".figure").first.wait_for()
    hold = visit.page.get_by_role("button", name="Pause live updates")
    hold.click()
    expect(visit.page.locator("#connection")).to_have_text("Paused")
    asked: list[str] = []
    visit.page.on("request", lambda request: asked.append(request.url))
    visit.page.wait_for_timeout(5_000)
    assert asked == []
    with visit.page.expect_request(re.compile("/figures")):
        visit.button("Week").click()
    visit.page.wait_for_timeout(500)
    expect(visit.page.locator("#connection")).to_have_text("Paused")
    with visit.page.expect_request(re.compile("/figures")):
        visit.page.get_by_role("button", name="Go on with live updates").click()
    expect(visit.page.locator("#connection")).to_contain_text("Updated")
    visit.go("Policy")
    expect(visit.page.locator("#hold")).to_be_hidden()


# --- by keyboard -----------------------------------------------------------------------------------------------------

FOCUSED = "document.activeElement === document.body ? 'body' : document.activeElement.textContent || document.activeElement.id"


def focused_on(visit: Visit, *names: str) -> None:
    visit.page.wait_for_function(f"(names) => names.includes({FOCUSED})", arg=list(names))


def test_the_focus_is_never_lost_after_what_somebody_did(visit: Visit, app: RunningApp, crowded) -> None:
    visit.open()
    visit.heading("Sign in")
    visit.page.keyboard.type(app.key)
    visit.page.keyboard.press("Enter")
    visit.heading("Overview")
    focused_on(visit, "Overview")
    visit.go("Configuration")
    visit.page.get_by_label("Exploration", exact=True).fill("0.3")
    visit.page.keyboard.press("Enter")
    visit.says("Saved.")
    expect(visit.page.get_by_label("Exploration", exact=True)).to_be_focused()
    visit.go("Evaluations")
    visit.page.get_by_role("button", name=f"Delete {LONG_NAME}").focus()
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).focus()
    visit.page.keyboard.press("Enter")
    visit.says("No evaluation yet")
    focused_on(visit, "Evaluations")
    evaluate(app)
    visit.go("Loops")
    visit.page.get_by_label("Administrator's key").fill(ADMIN_KEY)
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("table", name="Loops")).to_be_visible()
    focused_on(visit, "Loops")
    visit.page.get_by_label("Name", exact=True).fill("madebykeyboard")
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_text("Copy them now")).to_be_visible()
    assert visit.page.evaluate(FOCUSED) != "body"


def test_a_dialogs_text_is_tied_to_it(visit: Visit, crowded) -> None:
    visit.sign_in()
    visit.go("Models")
    visit.button("Reset…").click()
    dialog = visit.page.get_by_role("dialog", name="Reset the model?")
    described = dialog.get_attribute("aria-describedby")
    expect(visit.page.locator(f"#{described}")).to_contain_text("The next one begins with 0.")
    visit.page.keyboard.press("Escape")


# --- names and numbers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("place", "section"), [("evaluations", "Evaluations"), ("features", "Features")])
def test_the_windows_title_names_what_is_shown(visit: Visit, crowded, place: str, section: str) -> None:
    visit.sign_in()
    visit.page.evaluate("place => { location.hash = place; }", f"#/{place}/long")
    visit.heading(LONG_NAME)
    expect(visit.page).to_have_title(f"{LONG_NAME} · {section} · default · Open Personalizer")


def test_a_number_with_a_comma_is_refused_in_plain_words(visit: Visit, crowded) -> None:
    visit.sign_in()
    visit.go("Configuration")
    visit.page.get_by_label("Exploration", exact=True).fill("0,2")
    visit.button("Save").click()
    assert visit.error_of("Exploration") == "Write a decimal with a point, and thousands without a mark: 0.2 or 1000."


@pytest.mark.parametrize("wanted", ["constructor", "nowhere", "__proto__"])
def test_a_section_that_is_not_there_is_said_so(visit: Visit, crowded, wanted: str) -> None:
    visit.sign_in()
    visit.go("Models")
    visit.page.evaluate("place => { location.hash = place; }", f"#/{wanted}")
    visit.heading("Overview")
    visit.says(f"There is no section “{wanted}”. This is Overview.")
