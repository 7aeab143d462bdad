"""One browser and one app for all files of tests that follow each other, a loop for each file, and a visit for each test."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.packages import installed
from tests.browser.traffic import SETTINGS
from tests.browser.visits import WITHIN_MS, Chromium, Visit, program, visited
from tests.http.own_loops import OwnLoop, own_loop
from tests.running import RunningApp
from tests.stores import NewStorage

Visiting = Callable[..., AbstractContextManager[Visit]]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Chromium]:
    """The machine's Chromium. Its loop runs while it is open, and no other in this process: it is closed before tests of other folders."""
    path = program()
    if path is None:
        pytest.skip("there is no Chromium on this machine: the pages were not tried in a browser")
    expect.set_options(timeout=WITHIN_MS)
    with sync_playwright() as playwright, Chromium(playwright, path) as chromium:
        yield chromium


@pytest.fixture(scope="module")
def browser(chromium: Chromium) -> Browser:
    return chromium.running()


@pytest.fixture(scope="package")
def service(new_store: NewStorage) -> Iterator[RunningApp]:
    """The app that files share: quick to learn, trained by hand."""
    with RunningApp(new_store(), settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def own_app(new_store: NewStorage) -> Iterator[RunningApp]:
    """The same app for one file, whose tests stop it, or speak of its default loop or of its storage."""
    with RunningApp(new_store(), settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def app(service: RunningApp) -> Iterator[RunningApp | OwnLoop]:
    """What a file looks at: a loop of its own, which is asked as an app is."""
    with own_loop(service) as loop:
        yield loop


@pytest.fixture
def visiting(browser: Browser, app: RunningApp | OwnLoop) -> Visiting:
    """Visits of other sizes and colours."""
    return partial(visited, browser, app)


@pytest.fixture
def visit(visiting: Visiting) -> Iterator[Visit]:
    with visiting() as visit:
        yield visit


@pytest.fixture(scope="session")
def axe() -> str:
    return installed("axe-core", "axe.min.js").read_text("utf-8")
