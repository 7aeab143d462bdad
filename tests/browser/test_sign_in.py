"""Coming in, and what the browser keeps of it: nothing."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.traffic import ADMIN_KEY
from tests.http.building import KEY
from tests.running import RunningApp

KEPT = "[location.href, document.title, document.cookie, ...Object.values(localStorage), ...Object.values(sessionStorage)]"
"""Everything in which a browser could keep a key."""


@pytest.fixture(scope="module")
def app(own_app: RunningApp) -> RunningApp:
    return own_app


@pytest.fixture(scope="module")
def news_key(app) -> str:
    made = app.request("PUT", "/loops/news", {}, headers={KEY: ADMIN_KEY})
    return str(made.json["keys"][0])


def test_a_first_visit_is_asked_for_a_key_and_told_where_it_is(visit):
    visit.open()
    visit.heading("Sign in")
    expect(visit.page.get_by_label("Key", exact=True)).to_be_focused()
    visit.page.get_by_text("Where is the key?").click()
    visit.says("make run")


def test_a_key_lets_in(visit, app):
    visit.open()
    visit.page.get_by_label("Key", exact=True).fill(app.key)
    visit.button("Sign in").click()
    visit.heading("Overview")
    expect(visit.page.locator("#where")).to_have_text("Loop default")


def test_with_the_keyboard_alone_one_comes_in_and_around(visit, app):
    visit.open()
    visit.heading("Sign in")
    press = visit.page.keyboard.press
    visit.page.keyboard.type(app.key)
    press("Enter")
    visit.heading("Overview")
    expect(visit.heading("Overview")).to_be_focused()
    visit.page.get_by_text("Skip to the content").focus()
    assert visit.page.get_by_text("Skip to the content").bounding_box()["y"] > 0
    press("Enter")
    expect(visit.page.locator("main")).to_be_focused()
    visit.page.locator("nav a", has_text="Models").focus()
    press("Enter")
    expect(visit.heading("Models")).to_be_focused()


@pytest.mark.parametrize(
    ("key", "loop", "field", "said"),
    [
        ("", "default", "Key", "A key is needed."),
        ("wrong", "default", "Key", "This key does not open the loop “default”."),
        ("wrong", "news", "Key", "This key does not open the loop “news”."),
        ("wrong", "nowhere", "Key", "This key does not open the loop “nowhere”."),
        ("the default loop's", "nowhere", "Loop", "There is no loop “nowhere” here."),
    ],
)
def test_a_wrong_key_or_loop_is_refused_at_its_field(visit, app, news_key, key, loop, field, said):
    visit.refusals |= {401, 404}
    visit.open()
    visit.page.get_by_label("Key", exact=True).fill(app.key if key == "the default loop's" else key)
    visit.page.get_by_label("Loop").fill(loop)
    visit.button("Sign in").click()
    assert visit.error_of(field) == said
    expect(visit.page.get_by_label(field, exact=True)).to_be_focused()


def test_the_key_of_one_loop_opens_no_other(visit, app, news_key):
    visit.refusals |= {401}
    visit.open(f"#key={app.key}&loop=news")
    visit.says("The key of this link does not open the loop.")
    visit.sign_in(key=news_key, loop="news")
    expect(visit.page.locator("#where")).to_have_text("Loop news")


def test_a_key_in_a_link_signs_in_and_is_out_of_the_address_at_once(visit, app):
    addresses = []
    visit.page.on("framenavigated", lambda frame: addresses.append(frame.url))
    visit.sign_in()
    assert app.key not in visit.page.url
    assert visit.page.evaluate("history.length") <= 2
    visit.page.go_back()
    assert app.key not in visit.page.url


def test_a_key_in_a_link_that_is_opened_in_the_same_tab_takes_the_place_of_the_other(visit, app, news_key):
    visit.sign_in()
    visit.page.evaluate("fragment => { location.hash = fragment; }", f"#key={news_key}&loop=news")
    expect(visit.page.locator("#where")).to_have_text("Loop news")
    assert news_key not in visit.page.url


def test_the_browser_keeps_no_key_and_a_reload_forgets_it(visit, app):
    visit.sign_in()
    visit.go("Models")
    assert not [each for each in visit.page.evaluate(KEPT) if app.key in each]
    assert visit.page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert visit.page.context.cookies() == []
    visit.page.reload()
    visit.heading("Sign in")


def test_signing_out_forgets_the_key(visit):
    visit.sign_in()
    visit.go("Models")
    visit.button("Sign out").click()
    visit.heading("Sign in")
    expect(visit.page).to_have_url(re.compile("/dashboard$"))
    expect(visit.page.locator("nav")).to_be_hidden()


def test_who_is_in_with_a_key_that_is_regenerated_is_asked_again(visit, app):
    made = app.request("PUT", "/loops/changing", {}, headers={KEY: ADMIN_KEY}).json
    visit.sign_in(key=made["keys"][1], loop="changing")
    visit.refusals |= {401}
    assert app.request("POST", "/loops/changing/keys/2/regenerate", headers={KEY: ADMIN_KEY}).status == 200
    visit.says(re.compile("does not open this loop any more"))
    visit.heading("Sign in")
