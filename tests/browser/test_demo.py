"""The demo in a browser: a reader, a story and its reasons, rewards, a crowd and the curve, against the app with its timers on Azurite."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Route, expect

from dashboard_function import DEMO, STATIC
from local.demo_loop import QUICK, demo_key
from local.listening import LOOPBACK, Place
from local.node import find_node
from tests.browser.axe import findings
from tests.browser.packages import installed
from tests.browser.test_modules import COMPILER
from tests.browser.visits import PHONE, Visit, visited
from tests.http.building import KEY
from tests.running import RunningApp
from tests.stores import NewStorage

pytestmark = [pytest.mark.slow, pytest.mark.long]

ADMIN_KEY = "the-administrators-key"
EQUAL = "13%"
"""The chance of each of eight stories before anything is learned."""
LEARNS_WITHIN_MS = 60_000
CROWD_WITHIN = 180.0
FIRST_MODEL_BY = 100
FIRST_VISITORS, ENOUGH_VISITORS, GAINED, WON = 400, 700, 0.15, 25
"""After so many visitors: how far the reward is above picking blindly at least, and how many per cent of what there is to win are won."""
Playing = Callable[..., AbstractContextManager["Demo"]]


class Demo:
    """A visit to the demo's page, and the loop behind it."""

    def __init__(self, visit: Visit, key: str) -> None:
        self.visit, self.page, self.app, self.key = visit, visit.page, visit.app, key

    def open(self, *, key: str | None = None, loop: str = "demo") -> None:
        self.page.goto(f"{self.app.base_url}/demo#{urlencode({'key': key or self.key, 'loop': loop})}")

    def play(self, *, key: str | None = None, loop: str = "demo") -> None:
        """Come in by a link, and wait for the first story."""
        self.open(key=key, loop=loop)
        expect(self.page.locator(".story h3")).not_to_be_empty()

    def loop(self) -> Any:
        return self.app.request("GET", "/loops/demo/status", headers={KEY: self.key}).json["loop"]

    def until(self, found: Callable[[], Any], *, seconds: float = LEARNS_WITHIN_MS / 1000) -> Any:
        deadline = time.monotonic() + seconds
        while not (it := found()):
            assert time.monotonic() < deadline, self.app.logs[-3000:]
            time.sleep(0.1)
        return it

    def chances(self) -> list[str]:
        return self.page.locator(".chance .number").all_inner_texts()

    def figure(self, name: str) -> float:
        value = self.page.locator(".figure", has=self.page.locator(f"dt:text-is('{name}')")).locator("dd").inner_text()
        return float(value.replace("%", "").replace(",", ""))

    def pick(self, *, reader: str, hour: str, device: str) -> None:
        self.page.get_by_role("radio", name=reader).check(force=True)
        self.visit.button(hour).click()
        self.visit.button(device).click()

    def forget(self) -> None:
        """Delete the model, through the page, when nothing is left to be learned from before."""
        self.until(lambda: self.loop()["counters"]["pending"] == 0)
        self.visit.button("Forget all").click()
        expect(self.page.get_by_role("dialog")).to_contain_text("The next model learns from visits that are still under way.")
        self.visit.confirm("Forget all")
        expect(self.page.locator(".chance .number").first).to_have_text(EQUAL, timeout=LEARNS_WITHIN_MS)


@pytest.fixture(scope="module")
def app(new_store: NewStorage) -> Iterator[RunningApp]:
    """The app as `make run` sets it, with its timers in the same process."""
    settings = {**QUICK, "PERSONALIZER_ADMIN_KEY": ADMIN_KEY}
    with RunningApp(new_store(), settings=settings, timers=True) as running:
        yield running


@pytest.fixture(scope="module")
def key(app: RunningApp, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The key of the loop that `make run` makes."""
    made = demo_key(Place(LOOPBACK, app.port), ADMIN_KEY, tmp_path_factory.mktemp("home"))
    assert made is not None
    return made


@pytest.fixture
def playing(browser: Browser, app: RunningApp, key: str) -> Playing:
    @contextmanager
    def begun(**options: Any) -> Iterator[Demo]:
        with visited(browser, app, **options) as visit:
            yield Demo(visit, key)

    return begun


@pytest.fixture
def demo(playing: Playing) -> Iterator[Demo]:
    with playing() as demo:
        yield demo


# --- coming in -------------------------------------------------------------------------------------------------------


def test_a_link_signs_in_and_leaves_no_key_in_the_address(demo):
    demo.play()
    assert demo.page.url == f"{demo.app.base_url}/demo"
    demo.visit.heading("Which story does this reader want?")


def test_without_a_link_the_loop_and_its_key_are_asked_for(demo):
    demo.visit.refusals |= {401}
    demo.page.goto(f"{demo.app.base_url}/demo")
    demo.visit.heading("See it learn")
    expect(demo.page.get_by_label("Loop", exact=True)).to_have_value("demo")
    demo.page.get_by_label("Key", exact=True).fill("another")
    demo.visit.button("Sign in").click()
    assert "does not open the loop “demo”" in demo.visit.error_of("Key")
    demo.page.get_by_label("Key", exact=True).fill(demo.key)
    demo.page.keyboard.press("Enter")
    demo.visit.heading("Which story does this reader want?")


def test_a_link_with_a_wrong_key_says_so(demo):
    demo.visit.refusals |= {401}
    demo.open(key="wrong")
    demo.visit.says("The key of this link does not open the loop.")


# --- a reader and a story --------------------------------------------------------------------------------------------


def test_before_anything_is_learned_all_stories_are_as_likely_and_that_is_said(demo):
    demo.play()
    assert demo.chances() == [EQUAL] * 8
    demo.visit.says("all are equally likely, because nothing is known yet")
    demo.visit.says("Nothing is learned yet, so all stories are equally likely.")


def test_a_model_that_knows_other_things_is_not_said_to_know_nothing(demo):
    """As one of an imported log, whose stories are others: it gives no reasons, and does not find all as likely."""
    demo.play()
    said = demo.visit.page.evaluate(
        "rows => import('/demo/pieces.js').then(m => rows.map(row => m.withoutReasons(row.map(probability => ({ probability })))))",
        [[0.5, 0.5], [0.8, 0.2]],
    )
    assert ["equally likely" in each for each in said] == [True, False]


def test_looking_at_readers_teaches_nothing(demo):
    demo.play()
    before = demo.loop()["counters"]
    for reader, hour, device in (("Ben", "Evening", "Desktop"), ("Chloe", "Morning", "Phone"), ("Dan", "Evening", "Phone")):
        demo.pick(reader=reader, hour=hour, device=device)
    expect(demo.page.locator(".story")).to_contain_text("Shown to Dan")
    demo.until(lambda: demo.loop()["counters"]["skipped"].get("notActivated", 0) >= before["skipped"].get("notActivated", 0) + 10)
    assert demo.loop()["counters"]["learned"] == before["learned"]
    assert demo.chances() == [EQUAL] * 8


def test_a_click_is_learned_whether_it_comes_at_once_or_after_the_reward_wait_time(demo):
    demo.play()
    before = demo.loop()["counters"]
    demo.visit.button("Ask again").click()
    demo.visit.button("Click it").click()
    demo.visit.says("Clicked: reward 1.")
    demo.page.wait_for_timeout(2_500)
    demo.visit.button("Skip it").click()
    demo.visit.says("Skipped: reward 0.")
    demo.until(lambda: demo.loop()["counters"]["learned"] == before["learned"] + 2)
    after = demo.loop()["counters"]
    assert (after["rewards"], after["lateRewards"]) == (before["rewards"] + 2, before["lateRewards"])
    assert demo.figure("Visitors") == 2
    expect(demo.page.locator("#pulse")).to_contain_text(re.compile(r"Model \d+: learned from \d+ visits"), timeout=LEARNS_WITHIN_MS)


def test_after_a_few_visits_the_likeliest_story_is_said_to_be_a_guess(demo):
    demo.play()
    demo.visit.button("Click it").click()
    expect(demo.page.locator("#pulse")).to_contain_text("learned from", timeout=LEARNS_WITHIN_MS)
    said = set[str]()
    for _ in range(10):
        with demo.page.expect_response("**/rank*"):
            demo.visit.button("Ask again").click()
        expect(demo.visit.button("Ask again")).to_be_enabled()
        said.add(demo.page.locator(".story .small").inner_text().partition(": ")[2])
    assert any(re.fullmatch(r"only a guess, because \d+ visits? says? little\.", each) for each in said), said
    assert "the best story that the loop knows." not in said


@pytest.mark.parametrize("buttons", [["Click it", "Skip it"], ["Skip it", "Click it"], ["Click it", "Click it", "Ask again"]], ids="+".join)
def test_buttons_that_are_used_at_once_reward_one_event_once(demo, buttons):
    demo.until(lambda: demo.loop()["counters"]["pending"] == 0)
    before = demo.loop()["counters"]
    demo.play()
    demo.page.evaluate(
        "names => names.forEach(name => [...document.querySelectorAll('button')].find(e => e.innerText === name).click())", buttons
    )
    demo.visit.says("Clicked: reward 1." if buttons[0] == "Click it" else "Skipped: reward 0.")
    demo.until(lambda: demo.loop()["counters"]["learned"] > before["learned"] and demo.loop()["counters"]["pending"] == 0)
    after = demo.loop()["counters"]
    assert (after["learned"], after["rewards"]) == (before["learned"] + 1, before["rewards"] + 1)
    assert demo.figure("Visitors") == 1


@pytest.mark.parametrize("again", ["Click it", "Skip it"])
def test_a_reward_that_is_sent_again_after_a_failure_is_of_the_same_event_and_the_same_reward(demo, again):
    demo.visit.refusals |= {503}
    demo.play()
    before = demo.loop()["counters"]
    demo.page.wait_for_timeout(2_500)  # later than the reward wait time, so that the choice is logged anew
    demo.page.route(
        "**/reward?*", lambda route: route.fulfill(status=503, json={"error": {"message": "Storage does not answer."}}), times=1
    )
    demo.visit.button("Click it").click()
    demo.visit.says("Storage does not answer.")
    demo.visit.button(again).click()
    demo.visit.says("Clicked: reward 1.")
    demo.until(lambda: demo.loop()["counters"]["learned"] > before["learned"] and demo.loop()["counters"]["pending"] == 0)
    assert demo.loop()["counters"]["learned"] == before["learned"] + 1


def test_the_header_speaks_of_the_model_that_is_there_now(demo):
    demo.play()
    demo.visit.button("Click it").click()
    expect(demo.page.locator("#pulse")).to_contain_text("learned from", timeout=LEARNS_WITHIN_MS)
    demo.forget()
    expect(demo.page.locator("#pulse")).to_have_text("No model yet")
    demo.visit.button("Click it").click()
    expect(demo.page.locator("#pulse")).to_have_text(re.compile(r"^Model \d+: learned from 1 visit$"), timeout=LEARNS_WITHIN_MS)
    assert demo.loop()["counters"]["learned"] > 1


def test_what_the_service_cannot_tell_is_said_in_words(demo):
    def degraded(route: Route) -> None:
        answer = route.fetch().json()
        unknown = dict.fromkeys(("counters", "publishedModelVersion", "publishedModelLearned", "watermark", "lagSeconds", "advice"))
        reason = {"apiStatus": "Degraded", "apiStatusMessage": "The loop's progress cannot be read: storage does not answer"}
        route.fulfill(json={**answer, **reason, "loop": {**answer["loop"], **unknown}})

    demo.play()
    demo.page.route("**/status", degraded)
    expect(demo.page.locator("#pulse")).to_have_text("Not known how far it has learned, trying again")
    demo.visit.says("The loop's progress cannot be read: storage does not answer")
    demo.visit.button("Click it").click()
    demo.visit.says("Clicked: reward 1.")
    assert not re.search("NaN|null|undefined|Infinity", demo.page.locator("body").inner_text())
    demo.page.unroute("**/status")
    expect(demo.page.locator("#pulse")).to_have_text(re.compile("^(Model|No model)"))
    expect(demo.page.locator(".notice")).to_be_empty()


def test_a_page_that_is_left_alone_asks_nothing_more(demo):
    demo.play()
    demo.visit.button("Click it").click()
    demo.visit.says("Clicked: reward 1.")
    demo.until(lambda: demo.loop()["counters"]["pending"] == 0)
    demo.page.wait_for_timeout(3_000)  # the new model is asked once
    asked = demo.loop()["counters"]["ranked"]
    demo.page.wait_for_timeout(6_000)
    assert demo.loop()["counters"]["ranked"] == asked


def test_everything_can_be_done_with_the_keyboard(demo):
    demo.play()
    demo.page.get_by_role("radio", name="Ada").focus()
    demo.page.keyboard.press("ArrowDown")
    expect(demo.page.locator(".story")).to_contain_text("Shown to Ben")
    for expected in ("Morning", "Evening"):
        demo.page.keyboard.press("Tab")
        assert demo.page.evaluate("document.activeElement.textContent") == expected
    demo.page.keyboard.press("Enter")
    expect(demo.visit.button("Evening")).to_have_attribute("aria-pressed", "true")
    demo.visit.button("Click it").focus()
    demo.page.keyboard.press("Space")
    demo.visit.says("Clicked: reward 1.")


# --- a crowd ---------------------------------------------------------------------------------------------------------


def have_come(demo: Demo, visitors: int) -> None:
    """Have a crowd come, and stop it when so many visitors have been counted in all."""
    demo.visit.button("Simulate 1,000 visitors").click()
    expect(demo.visit.button("Stop")).to_be_visible()
    demo.until(lambda: demo.figure("Visitors") >= visitors, seconds=CROWD_WITHIN)
    demo.visit.button("Stop").click()
    expect(demo.visit.button("Simulate 1,000 visitors")).to_be_visible()


def test_a_crowd_teaches_it_what_each_reader_wants_and_new_tastes_are_marked(demo):
    demo.play()
    demo.forget()
    before = demo.loop()["counters"]["learned"]
    have_come(demo, FIRST_VISITORS)
    enough = before + 0.9 * FIRST_VISITORS  # who come second meet a loop that has learned from nearly all who came first
    demo.until(lambda: demo.loop()["counters"]["learned"] >= enough)
    demo.until(lambda: demo.loop()["modelVersion"] == demo.loop()["publishedModelVersion"])
    have_come(demo, ENOUGH_VISITORS)
    assert demo.figure("Average reward of the latest 80") >= demo.figure("Picking blindly") + GAINED
    assert demo.figure("Share of the possible gain") >= WON
    expect(demo.page.get_by_role("img", name=re.compile("Average reward of the latest visitors, after"))).to_be_visible()

    demo.page.get_by_text("What do they like?").click()
    favourite = demo.page.locator(".likes tr", has_text="Ada").locator("td").first.inner_text().split(",")[0]
    demo.visit.button("Ask again").click()
    row = demo.page.locator(f".chance[data-topic='{favourite}']")
    expect(row.locator(".number")).to_have_text(re.compile(r"^[5-9]\d%|^100%"), timeout=LEARNS_WITHIN_MS)
    row.click()
    demo.visit.says(re.compile("The loop expects a reward of 0.[3-9]"))
    assert demo.page.locator(".reasons li").count() >= 2

    demo.visit.button("Change everybody’s tastes").click()
    expect(demo.page.locator(".curve .change")).to_have_count(1)
    changed = demo.page.locator(".likes tr", has_text="Ada").locator("td").first.inner_text().split(",")[0]
    assert changed != favourite


def test_a_crowd_is_stopped_by_the_same_button(demo):
    demo.play()
    demo.visit.button("Simulate 1,000 visitors").click()
    expect(demo.page.locator(".curve .line").first).to_be_visible()
    demo.visit.button("Stop").click()
    expect(demo.visit.button("Simulate 1,000 visitors")).to_be_visible()
    assert 0 < demo.figure("Visitors") < 1000


DRAWINGS = """async () => {
  const { LearningCurve } = await import("/demo/curve.js");
  const curve = new LearningCurve(new AbortController().signal);
  document.body.append(curve.element);
  let drawn = 0;
  new MutationObserver(() => drawn++).observe(curve.picture, { childList: true });
  const begun = performance.now();
  while (performance.now() < begun + 1_000) {
    curve.add({ reward: 1, expected: 1, random: 0, best: 1 });
    await new Promise(requestAnimationFrame);
  }
  const [visitors, seconds] = [curve.visitors, (performance.now() - begun) / 1_000];
  const drawnMeanwhile = drawn;
  while (Number(curve.figures.visitors.textContent) < visitors) await new Promise(requestAnimationFrame);
  return [drawnMeanwhile, seconds];
}"""


def test_the_curve_is_drawn_a_few_times_a_second_however_many_come_and_the_last_one_is_on_it(demo):
    demo.open()
    drawn, seconds = demo.page.evaluate(DRAWINGS)
    assert 1 <= drawn <= 5 * seconds + 2


def test_the_first_model_is_there_before_a_hundred_have_come(demo):
    demo.play()
    demo.forget()
    demo.visit.button("Simulate 1,000 visitors").click()
    expect(demo.page.locator("#pulse")).to_contain_text("learned from", timeout=LEARNS_WITHIN_MS)
    assert demo.figure("Visitors") < FIRST_MODEL_BY
    demo.visit.button("Stop").click()


def test_a_crowd_that_a_reload_interrupted_goes_on_with_the_same_people(demo):
    demo.play()
    demo.visit.button("Change everybody’s tastes").click()
    demo.visit.button("Simulate 1,000 visitors").click()
    demo.until(lambda: demo.figure("Visitors") >= 20)
    likes = demo.page.locator(".likes table").text_content()
    demo.page.reload()
    stored = demo.page.evaluate("JSON.stringify(sessionStorage)")
    assert "demo-play" in stored
    assert demo.key not in stored
    demo.play()
    come = demo.figure("Visitors")
    assert come >= 20
    assert demo.page.locator(".likes table").text_content() == likes
    expect(demo.page.locator(".curve .change")).to_have_count(1)
    demo.visit.says(re.compile("The other [0-9]+ visitors come now."))
    demo.until(lambda: demo.figure("Visitors") > come + 5)
    demo.visit.button("Stop").click()
    expect(demo.visit.button("Simulate 1,000 visitors")).to_be_visible()
    demo.page.reload()
    demo.play()
    expect(demo.visit.button("Simulate 1,000 visitors")).to_be_visible()


HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_page_that_nobody_sees_asks_nothing_and_its_crowd_goes_on_when_it_is_seen(demo):
    demo.play()
    demo.visit.button("Simulate 1,000 visitors").click()
    demo.until(lambda: demo.figure("Visitors") >= 10)
    demo.page.evaluate(HIDE, True)
    demo.page.wait_for_timeout(2_500)  # what was on its way arrives
    asked: list[str] = []
    demo.page.on("request", lambda request: asked.append(request.url))
    demo.page.wait_for_timeout(3_000)
    assert asked == []
    come = demo.figure("Visitors")
    demo.page.evaluate(HIDE, False)
    demo.until(lambda: demo.figure("Visitors") > come)
    demo.visit.button("Stop").click()


def test_after_the_app_was_restarted_the_page_goes_on(demo):
    demo.play()
    demo.visit.button("Simulate 1,000 visitors").click()
    expect(demo.page.locator(".curve .line").first).to_be_visible()
    demo.visit.is_cut_off = True
    demo.app.stop()
    expect(demo.page.locator("#pulse")).to_contain_text("No connection", timeout=LEARNS_WITHIN_MS)
    demo.app.start()
    expect(demo.page.locator("#pulse")).to_contain_text("learned from", timeout=LEARNS_WITHIN_MS)
    before = demo.figure("Visitors")
    demo.until(lambda: demo.figure("Visitors") > before)
    demo.visit.button("Stop").click()
    expect(demo.visit.button("Simulate 1,000 visitors")).to_be_visible()
    demo.visit.button("Click it").click()
    demo.visit.says("Clicked: reward 1.")


# --- other loops -----------------------------------------------------------------------------------------------------


def test_a_loop_with_long_waits_and_no_reasons_is_told_of_both(demo):
    demo.play(key=demo.app.key, loop="default")
    demo.visit.says("This loop waits 10 min for rewards before it learns from a visit")
    demo.visit.button("Show the reasons").click()
    demo.visit.says("Nothing is learned yet, so all stories are equally likely.")


# --- for everyone ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious_and_the_page_fits_the_screen(playing, axe, scheme, size):
    with playing(size=size, color_scheme=scheme, bypass_csp=True) as demo:
        demo.play()
        demo.visit.button("Click it").click()
        demo.visit.says("Clicked: reward 1.")
        for hidden in demo.page.locator("details:visible > summary").all():
            hidden.click()
        assert demo.visit.is_as_wide_as_the_screen()
        assert findings(demo.visit, axe) == []


def test_what_is_touched_is_large_enough_on_a_phone(playing):
    with playing(size=PHONE, has_touch=True, is_mobile=True) as demo:
        demo.play()
        for each in demo.page.locator("button:visible, label.reader:visible").all():
            box = each.bounding_box()
            assert box
            assert min(box["height"], box["width"]) >= 24


# --- the modules -----------------------------------------------------------------------------------------------------


def test_the_types_of_the_modules_hold_together(tmp_path: Path):
    shutil.copytree(STATIC, tmp_path / "dashboard")
    shutil.copytree(DEMO, tmp_path / "demo")
    shutil.copy(installed("uplot", "dist/uPlot.d.ts"), tmp_path / "dashboard" / "vendor" / "uplot" / "uPlot.esm.d.ts")
    options = {**COMPILER, "paths": {"/dashboard/*": ["./dashboard/*"]}}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": ["demo/*.js"]}))
    command = [find_node().node, str(installed("typescript", "bin/tsc")), "--project", str(tmp_path)]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
