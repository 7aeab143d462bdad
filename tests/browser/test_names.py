"""Names that every object of the browser's has: as sections, as ids of events and actions, as features and as policies."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from tests.browser.traffic import SETTINGS
from tests.browser.visits import Visit
from tests.http.building import QUERY_VERSION, path
from tests.running import RunningApp
from tests.services.analysis.logs import drawn
from tests.services.analysis.seeding import seed
from tests.stores import NewStorage, opened

NAMES = ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf", "prototype", "__defineGetter__", "isPrototypeOf"]
EVENTS = 400


async def fill(storage: str) -> None:
    """Log events of May 2026 whose context and actions have such features, and such ids."""
    account = opened(storage)
    renamed = [b'"topic"', b'"valueOf"', b'"kind"', b'"constructor"', b'"id":"a"', b'"id":"__proto__"']
    events = []
    for event in drawn(EVENTS, every=57.0):
        text = event.decision.situation
        for old, new in zip(renamed[::2], renamed[1::2], strict=True):
            text = text.replace(old, new)
        events.append(replace(event, decision=replace(event.decision, situation=text)))
    await seed(account, [events[first : first + 100] for first in range(0, EVENTS, 100)])
    await account.close()


@pytest.fixture(scope="module")
def app(new_store: NewStorage) -> Iterator[RunningApp]:
    storage = new_store()
    with ThreadPoolExecutor(1) as beside_the_browser:
        beside_the_browser.submit(asyncio.run, fill(storage)).result()
    with RunningApp(storage, settings=SETTINGS, queues=True) as running:
        yield running


def test_a_section_that_no_page_has_is_the_first(visit: Visit) -> None:
    visit.sign_in()
    for name in NAMES:
        visit.go("Models")
        visit.page.evaluate("name => { location.hash = `#/${name}`; }", name)
        visit.heading("Overview")


@pytest.mark.slow
def test_policies_and_features_of_an_evaluation_may_be_called_so(visit: Visit, app: RunningApp) -> None:
    policies = [{"name": name, "arguments": f"--cb_explore_adf --epsilon 0.{number}"} for number, name in enumerate(NAMES[:4])]
    asked = {"name": "constructor", "startTime": "2026-05-17T00:00:00Z", "endTime": "2026-05-19T00:00:00Z", "policies": policies}
    assert app.request("PUT", path("evaluations/constructor", version=QUERY_VERSION), asked).status == 200
    weighed = {name: asked[name] for name in ("name", "startTime", "endTime")}
    assert app.request("PUT", path("featureImportances/toString", version=QUERY_VERSION), weighed).status == 200
    visit.sign_in()
    visit.open("#/evaluations/constructor")
    visit.heading("constructor")
    results = visit.page.get_by_role("table").filter(has_text="The baseline").first
    for name in NAMES[:4]:
        expect(results).to_contain_text(name, timeout=90_000)
    expect(visit.page.locator(".legend").filter(has_text="__proto__").first).to_be_visible(timeout=90_000)
    visit.open("#/features/toString")
    visit.heading("constructor")
    expect(visit.page.locator("main")).to_contain_text("user.constructor", timeout=90_000)
    expect(visit.page.locator("main")).to_contain_text("item.valueOf")
