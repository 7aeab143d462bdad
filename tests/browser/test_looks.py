"""For everyone: no serious finding of axe, in light and dark, on a phone, with larger and with no movement."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.axe import findings
from tests.browser.traffic import ADMIN_KEY, learned, ranked
from tests.browser.visits import PHONE, Visit

EMPTY = ".empty"
SECTIONS = {
    "Overview": ".figure",
    "Events": "form",
    "Changes": "table",
    "Evaluations": EMPTY,
    "Features": EMPTY,
    "Policy": "form",
    "Configuration": "form",
    "Models": "table",
    "Log": ".facts",
    "Loops": "form",
}
"""And what is there once it is filled."""


@pytest.fixture(scope="module")
def busy(app) -> None:
    """A loop with something to show."""
    ids = ranked(app, 8)
    learned(app, len(ids))


@pytest.fixture(params=["light", "dark"])
def coloured(request, visiting, busy) -> Iterator[Visit]:
    with visiting(color_scheme=request.param, bypass_csp=True) as visit:
        yield visit


def test_axe_finds_nothing_serious_in_sections_that_are_empty(coloured, axe):
    """Those that are full are in `test_everyone.py`."""
    coloured.sign_in()
    for section in [each for each, content in SECTIONS.items() if content == EMPTY]:
        coloured.go(section)
        coloured.page.locator(f"main {EMPTY}").first.wait_for()
        assert findings(coloured, axe) == [], section


def test_axe_finds_nothing_serious_in_forms_dialogs_refusals_and_tables(coloured, axe):
    coloured.sign_in()
    coloured.refusals |= {400}
    coloured.page.get_by_text("Numbers").first.click()
    assert findings(coloured, axe) == []
    coloured.page.evaluate("location.hash = '#/evaluations/new'")
    coloured.heading("New evaluation")
    coloured.button("Add a policy").click()
    coloured.page.get_by_label("Arguments").fill("--nonsense")
    coloured.button("Start the evaluation").click()
    expect(coloured.page.locator("[aria-invalid=true]").first).to_be_visible()
    assert findings(coloured, axe) == []
    coloured.page.locator("nav").get_by_role("link", name="Models", exact=True).click()
    coloured.page.get_by_role("dialog").wait_for()  # what was typed would be lost
    assert findings(coloured, axe) == []
    coloured.confirm("Leave")
    coloured.heading("Models")
    coloured.button("Reset…").click()
    coloured.page.get_by_role("dialog").wait_for()
    assert findings(coloured, axe) == []
    coloured.page.keyboard.press("Escape")
    coloured.go("Loops")
    coloured.page.get_by_label("Administrator's key").fill(ADMIN_KEY)
    coloured.button("Show the loops").click()
    expect(coloured.page.get_by_role("table", name="Loops")).to_be_visible()
    assert findings(coloured, axe) == []


def test_on_a_phone_every_section_fits_and_is_reached_by_the_menu(visiting, busy):
    with visiting(size=PHONE, has_touch=True, is_mobile=True) as visit:
        visit.open()
        visit.heading("Sign in")
        assert visit.is_as_wide_as_the_screen()
        visit.sign_in()
        expect(visit.page.locator("nav")).to_be_hidden()
        for section, content in SECTIONS.items():
            visit.go(section)
            visit.page.locator(f"main {content}").first.wait_for()
            expect(visit.page.locator("nav")).to_be_hidden()
            assert visit.is_as_wide_as_the_screen(), section


def test_what_is_touched_is_large_enough_on_a_phone(visiting, busy):
    with visiting(size=PHONE, has_touch=True, is_mobile=True) as visit:
        visit.sign_in()
        visit.go("Models")
        expect(visit.page.get_by_role("table")).to_be_visible()
        for each in visit.page.locator("button:visible").all():
            box = each.bounding_box()
            assert box
            assert box["height"] >= 24
            assert box["width"] >= 24


def luminance(visit: Visit) -> float:
    """How light the page's paper is, from 0 to 1."""
    found: float = visit.page.evaluate("""() => {
        const canvas = document.createElement("canvas").getContext("2d");
        canvas.fillStyle = getComputedStyle(document.body).backgroundColor;
        canvas.fillRect(0, 0, 1, 1);
        return Math.max(...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)) / 255;
    }""")
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_as_the_system_wishes_until_the_button_says_otherwise(visiting, busy, scheme):
    with visiting(color_scheme=scheme) as visit:
        visit.sign_in()
        button = visit.page.get_by_role("button", name="Dark")
        expect(button).to_have_attribute("aria-pressed", str(scheme == "dark").lower())
        assert (luminance(visit) < 0.5) == (scheme == "dark")
        button.click()
        expect(button).to_have_attribute("aria-pressed", str(scheme == "light").lower())
        assert (luminance(visit) < 0.5) == (scheme == "light")


def test_nothing_moves_for_who_wishes_so(visiting, busy):
    with visiting(reduced_motion="reduce") as visit:
        visit.open()
        visit.heading("Sign in")
        assert float(visit.page.evaluate("parseFloat(getComputedStyle(document.querySelector('button')).transitionDuration)")) == 0
