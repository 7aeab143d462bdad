"""What the pages say is so: of an imported log, of many models, of names and numbers that have to stay whole."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import expect

from shared.domain.loop import LoopRecord
from shared.joining.dsjson import line
from shared.storage.loop_store import FileLoopStore
from tests.browser.traffic import SETTINGS, learned, ranked
from tests.browser.visits import PHONE, Visit
from tests.cli.running import run
from tests.http.building import QUERY_VERSION, path
from tests.running import RunningApp
from tests.services.analysis.logs import drawn
from tests.stores import NewStorage, opened, settings_of

IMPORTED = 300
FIRST = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(days=1)
RESTORED = 12
LABEL_ROOM = """async () => {
  const { Chart } = await import("/dashboard/lib/chart.js");
  const { duration } = await import("/dashboard/lib/format.js");
  const format = (value) => duration(Math.round(value));
  const chart = new Chart({ title: "Lag", format, signal: new AbortController().signal, fromZero: true });
  document.querySelector("main").append(chart.element);
  chart.show({ times: [0, 300, 600], series: [{ label: "Behind", colour: "fourth", values: [10, 5000, 8000] }] });
  await new Promise((resolve) => setTimeout(resolve, 200));
  const canvas = document.createElement("canvas").getContext("2d");
  canvas.font = "12px system-ui, sans-serif";
  const [plot, over] = [chart.canvas, chart.canvas.querySelector(".u-over")].map((each) => each.getBoundingClientRect().left);
  return [over - plot, canvas.measureText("1\u00a0h 23\u00a0min").width];
}"""


def filled(storage: str, log: Path) -> None:
    """Import a log into the default loop."""

    async def made() -> None:
        account = opened(storage)
        await FileLoopStore(account).write(LoopRecord("default"), expected=None)
        await account.close()

    asyncio.run(made())
    log.write_bytes(b"".join(map(line, drawn(IMPORTED, every=60.0, first=FIRST))))
    assert run("import", str(log), environment=settings_of(storage)).code == 0


@pytest.fixture(scope="module")
def app(new_store: NewStorage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """A loop that knows an imported log and one event of its own, and has many models."""
    storage = new_store()
    with ThreadPoolExecutor(1) as beside_the_browser:
        beside_the_browser.submit(filled, storage, tmp_path_factory.mktemp("log") / "log.json").result()
    with RunningApp(storage, settings=SETTINGS) as running:
        ranked(running, 1)
        learned(running, 1)
        for _ in range(RESTORED):
            kept = running.request("GET", path("model/versions", version=QUERY_VERSION)).json["value"]
            assert running.request("POST", path(f"model/versions/{kept[1]['version']}/restore", version=QUERY_VERSION)).status == 200
        yield running


@pytest.mark.parametrize("size", [(1280, 900), PHONE])
def test_the_overview_of_an_imported_loop_tells_what_the_model_knows(visiting, size):
    with visiting(size=size) as visit:
        visit.sign_in()
        visit.says("1 learned, 0 waiting; 300 imported")
        visit.says("knows 301 events")
        expect(visit.page.get_by_role("table", name="Latency of all loops of the process that answered")).to_be_visible()
        assert "have been learned" not in visit.page.locator(".checks").inner_text()
        for title in visit.page.locator(".checks .mark + span").all():
            box = title.bounding_box()
            assert box
            assert box["width"] > 100, title.inner_text()


def test_the_log_begins_with_its_first_event(visit):
    visit.sign_in()
    visit.go("Log")
    shown = visit.page.locator(".facts time").first
    assert datetime.fromisoformat(str(shown.get_attribute("datetime"))) == FIRST


def test_of_many_models_the_newest_are_shown_below_what_can_be_done(visit: Visit) -> None:
    visit.sign_in()
    visit.go("Models")
    rows = visit.page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(10)
    table, export = visit.page.get_by_role("table").bounding_box(), visit.button("Export, signed").bounding_box()
    assert table
    assert export
    assert export["y"] < table["y"]
    more, files = (
        visit.button(f"Show all {RESTORED + 2}").bounding_box(),
        visit.page.locator("main button:text-is('CSV')").first.bounding_box(),
    )
    assert more
    assert files
    assert files["y"] > more["y"] + more["height"]
    assert re.search(r"\d\d:\d\d:\d\d$", rows.first.locator("td time").first.inner_text()), "several are published within a minute"
    visit.button(f"Show all {RESTORED + 2}").click()
    expect(rows).to_have_count(RESTORED + 2)


def test_names_stay_in_sight_when_a_table_is_scrolled(visiting):
    with visiting(size=PHONE) as visit:
        visit.sign_in()
        visit.page.get_by_text("Numbers").first.click()
        scrolled = visit.page.locator(".numbers .scroll").first
        name = scrolled.locator("tbody th").first
        before = name.bounding_box()
        assert visit.is_as_wide_as_the_screen()
        assert scrolled.evaluate("each => { each.scrollLeft = 200; return each.scrollLeft; }") > 0
        assert name.bounding_box() == before


def test_no_mark_of_an_axis_is_cut_off(visit):
    visit.sign_in()
    room, needed = visit.page.evaluate(LABEL_ROOM)
    assert room >= needed


def test_what_is_chosen_of_a_loops_tier_is_to_be_read(visit):
    visit.sign_in()
    visit.go("Loops")
    visit.page.get_by_label("Administrator's key").fill(SETTINGS["PERSONALIZER_ADMIN_KEY"])
    visit.button("Show the loops").click()
    tier = visit.page.get_by_label("Tier of default")
    box = tier.bounding_box()
    assert box
    assert box["width"] >= 60
