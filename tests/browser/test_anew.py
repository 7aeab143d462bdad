"""A model that is begun anew, in the overview: due, on its way, and gone when it is there."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from shared.domain.checkpoint import AnewProgress
from tests.browser.axe import findings
from tests.browser.traffic import learned, loop_of, ranked, until
from tests.browser.visits import PHONE, WITHIN_MS
from tests.checkpointing import leave_behind
from tests.http.building import path
from tests.running import RunningApp

TITLE = "The model is learned again"


@pytest.fixture(scope="module")
def app(own_app: RunningApp) -> RunningApp:
    return own_app


@pytest.fixture(scope="module")
def due(app) -> None:
    """A loop that has learned something, and whose settings have changed since."""
    learned(app, len(ranked(app, 8)))
    settings = app.request("GET", path("configurations/service")).json
    assert app.request("PUT", path("configurations/service"), {**settings, "defaultReward": 0.25}).status == 200
    until(app, lambda: loop_of(app)["anew"])


def under_way(app) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=5, seconds=1)
    far = AnewProgress(1, begun, chunks=1200, done=300, learned=123_456, left_out=2)
    with ThreadPoolExecutor(1) as thread:  # playwright's loop runs in this one
        thread.submit(leave_behind, app.storage, far).result()


def test_it_is_due_then_under_way_and_then_there(visit, visiting, app, due, axe):
    visit.sign_in()
    bar = visit.page.get_by_role("progressbar", name="Learned again")
    visit.says("It starts with the trainer's next run.")
    assert bar.get_attribute("value") is None
    under_way(app)
    visit.says("25%: 300 of 1,200 parts of the log, with 123,456 events. Started 5 min")
    visit.says("2 could not be read and are left out.")
    expect(bar).to_have_attribute("value", "300")
    for options in ({"color_scheme": "dark"}, {"color_scheme": "light"}, {"size": PHONE, "has_touch": True, "is_mobile": True}):
        with visiting(bypass_csp=True, **options) as other:
            other.sign_in()
            expect(other.page.get_by_role("heading", name=TITLE)).to_be_visible(timeout=WITHIN_MS)
            other.says("New events are still stored")
            assert other.is_as_wide_as_the_screen()
            assert findings(other, axe) == []
    learned(app, 8)
    until(app, lambda: loop_of(app)["anew"] is None)
    expect(visit.page.get_by_role("heading", name=TITLE)).to_be_hidden(timeout=WITHIN_MS)
    assert loop_of(app)["counters"]["learned"] == 8
