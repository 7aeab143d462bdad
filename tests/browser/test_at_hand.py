"""What is at hand: a sign-in that a tab keeps on request, other loops, the other page with the same loop."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import findings
from tests.browser.test_sign_in import KEPT
from tests.browser.traffic import ADMIN_KEY, ranked
from tests.browser.visits import Visit
from tests.http.building import KEY
from tests.running import RunningApp

KEEP = "Keep me signed in in this tab"


@pytest.fixture(scope="module")
def app(own_app: RunningApp) -> RunningApp:
    return own_app


@pytest.fixture(scope="module")
def news_key(app: RunningApp) -> str:
    ranked(app, 1)
    return str(app.request("PUT", "/loops/news", {}, headers={KEY: ADMIN_KEY}).json["keys"][0])


def sign_in(visit: Visit, key: str, *, loop: str = "default", keeps: bool = False) -> None:
    visit.page.get_by_label("Key", exact=True).fill(key)
    visit.page.get_by_label("Loop", exact=True).fill(loop)
    visit.page.get_by_label(KEEP).set_checked(keeps)
    visit.page.keyboard.press("Enter")


def test_a_tab_keeps_a_sign_in_only_if_that_is_wanted_and_until_one_signs_out(visit: Visit, app: RunningApp) -> None:
    visit.open("#/models")
    expect(visit.page.get_by_label(KEEP)).not_to_be_checked()
    sign_in(visit, app.key, keeps=True)
    visit.heading("Models")
    visit.page.reload()
    visit.heading("Models")
    assert app.key not in visit.page.evaluate("[location.href, document.cookie, ...Object.values(localStorage)]")
    visit.button("Sign out").click()
    visit.heading("Sign in")
    assert not [each for each in visit.page.evaluate(KEPT) if app.key in each]
    visit.page.reload()
    visit.heading("Sign in")


def test_another_tab_knows_nothing_of_what_one_keeps(visit: Visit, app: RunningApp) -> None:
    visit.open()
    sign_in(visit, app.key, keeps=True)
    visit.heading("Overview")
    other = visit.page.context.new_page()
    other.goto(f"{app.base_url}/dashboard")
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_key_that_a_tab_kept_and_that_opens_no_more_is_said_and_forgotten(visit: Visit, app: RunningApp) -> None:
    made = app.request("PUT", "/loops/shortlived", {}, headers={KEY: ADMIN_KEY}).json
    visit.open()
    sign_in(visit, made["keys"][0], loop="shortlived", keeps=True)
    visit.heading("Overview")
    visit.refusals |= {401}
    assert app.request("POST", "/loops/shortlived/keys/1/regenerate", headers={KEY: ADMIN_KEY}).status == 200
    visit.page.reload()
    visit.heading("Sign in")
    expect(visit.page.get_by_label("Loop", exact=True)).to_have_value("shortlived")


def test_one_goes_to_another_loop_and_back_in_the_same_section_with_its_key_once(visit: Visit, app: RunningApp, news_key: str) -> None:
    visit.sign_in()
    visit.go("Configuration")
    visit.button("Switch to another loop").click()
    dialog = visit.page.get_by_role("dialog", name="Another loop")
    dialog.get_by_label("Loop", exact=True).fill("news")
    dialog.get_by_label("Key", exact=True).fill("wrong")
    visit.refusals |= {401}
    dialog.get_by_role("button", name="Go there").click()
    expect(dialog).to_contain_text("This key does not open the loop “news”.")
    dialog.get_by_label("Key", exact=True).fill(news_key)
    dialog.get_by_role("button", name="Go there").click()
    expect(visit.page.locator("#where")).to_have_text("Loop news")
    visit.heading("Configuration")
    expect(visit.page).to_have_title("Configuration · news · Open Personalizer")
    visit.button("Switch to another loop").click()
    visit.page.get_by_role("dialog").get_by_role("button", name="default", exact=True).click()
    expect(visit.page.locator("#where")).to_have_text("Loop default")
    visit.button("Switch to another loop").click()
    visit.page.keyboard.press("Escape")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    expect(visit.button("Switch to another loop")).to_be_focused()


def test_the_links_between_the_pages_take_loop_and_key_along(visit: Visit, app: RunningApp, news_key: str) -> None:
    visit.sign_in(key=news_key, loop="news")
    visit.page.get_by_role("link", name="Demo").click()
    expect(visit.page.locator(".story h3")).not_to_be_empty()
    assert news_key not in visit.page.url
    visit.page.get_by_role("link", name="Dashboard").click()
    visit.heading("Overview")
    expect(visit.page.locator("#where")).to_have_text("Loop news")
    assert news_key not in visit.page.url
    assert not [each for each in visit.page.evaluate(KEPT) if news_key in each]
    visit.button("Sign out").click()
    visit.page.get_by_role("link", name="Demo").click()
    visit.heading("See it learn")


def test_help_leads_to_the_page_that_explains_the_section(visit: Visit, app: RunningApp) -> None:
    visit.sign_in()
    for section, page in (
        ("Overview", "how-to/read-the-status"),
        ("Evaluations", "concepts/evaluations"),
        ("Loops", "how-to/serve-many-loops"),
    ):
        visit.go(section)
        link = visit.page.get_by_role("link", name="Help", exact=True)
        expect(link).to_have_attribute("href", f"/documentation/{page}")
    with visit.page.context.expect_page() as opened:
        visit.page.get_by_role("link", name="Help", exact=True).click()
    expect(opened.value.get_by_role("heading", level=1)).to_be_visible()
    expect(opened.value.get_by_role("link", name="Dashboard", exact=True)).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_documentation_is_for_everyone(visiting, axe, scheme: str) -> None:
    with visiting(color_scheme=scheme, bypass_csp=True) as visit:
        for page in ("", "/concepts/evaluations", "/reference", "/quickstart"):
            visit.page.goto(f"{visit.app.base_url}/documentation{page}")
            for width in (1280, 390):
                visit.page.set_viewport_size({"width": width, "height": 900})
                assert visit.is_as_wide_as_the_screen(), (page, width)
                assert findings(visit, axe) == [], (page, width)
