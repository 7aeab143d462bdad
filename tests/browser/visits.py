"""A visit to the dashboard: a browser's page that notes what it should not have seen."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode
from weakref import WeakKeyDictionary

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Playwright, Request, Route, expect

from tests.http.own_loops import OwnLoop
from tests.running import RunningApp

UNUSED = [
    # popups of the address bar: each page of a test would start two processes for them, which take more time than the page
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "SpareRendererForSitePerProcess",
    # as Playwright has them: a second list takes the place of its own
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]
"""Features of Chromium that are off."""
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",
    f"--disable-features={','.join(UNUSED)}",
]
PROGRAMS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""Names that a Chromium has, the best first: the one without windows takes about three fifths of the processor time for a page."""
DESKTOP = (1280, 900)
PHONE = (390, 844)
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")
WITHIN_MS = 60_000
HEADINGS = {"Features": "Feature importances"}
"""Of sections that are called otherwise in the menu."""


def program() -> str | None:
    """Find the machine's Chromium."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Chromium:
    """One Chromium for many files. When it has died, the next file gets another."""

    def __init__(self, playwright: Playwright, path: str) -> None:
        self._playwright, self._path = playwright, path
        self._running: Browser | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._running:
            self._running.close()

    def running(self) -> Browser:
        """Give the one that is open, or open it."""
        if self._running is None or not self._running.is_connected():
            self._running = self._playwright.chromium.launch(executable_path=self._path, args=FLAGS)
        return self._running


@dataclass
class Visit:
    """A page of its own, and what it complained about. ``refusals`` are the statuses that the test brings about on purpose."""

    page: Page
    app: RunningApp | OwnLoop
    refusals: set[int] = field(default_factory=set)
    is_cut_off: bool = False
    complaints: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    others: list[Page] = field(init=False)
    """Pages that were there before."""

    def __post_init__(self) -> None:
        self.others = [each for each in self.page.context.pages if each != self.page]

    def watch(self) -> None:
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{error}\n{error.stack}"))
        self.page.context.on("request", self._see)

    def leave(self) -> None:
        """Close the page and those that it has opened; what is left of its context is for other visits."""
        context = self.page.context
        context.remove_listener("request", self._see)
        for page in context.pages:
            if page not in self.others:
                page.close()

    def _note(self, said: ConsoleMessage) -> None:
        refused = REFUSED.match(said.text)
        if refused and int(refused[1]) in self.refusals:
            return
        if self.is_cut_off and "net::ERR_" in said.text:
            return
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def _see(self, request: Request) -> None:
        if not request.url.startswith((f"{self.app.base_url}/", "blob:", "data:")):
            self.outside.append(request.url)

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"{self.app.base_url}/dashboard{fragment}")

    @property
    def loop(self) -> str:
        """The loop that is looked at."""
        return self.app.name if isinstance(self.app, OwnLoop) else "default"

    def sign_in(self, *, key: str | None = None, loop: str | None = None) -> None:
        """Come in by a link, as `make run` prints it."""
        self.open(f"#{urlencode({'key': key or self.app.key, 'loop': loop or self.loop})}")
        self.heading("Overview")

    def go(self, section: str) -> None:
        """Choose a section, from the menu where there is one."""
        if not self.page.locator("nav").is_visible():
            self.page.get_by_role("button", name="Menu").click()
        self.page.locator("nav").get_by_role("link", name=section, exact=True).click()
        self.page.locator(f"nav a[aria-current=page]:text-is('{section}')").wait_for(state="attached")
        self.heading(HEADINGS.get(section, section))

    def heading(self, name: str) -> Locator:
        """Wait for a section, until what it shows is there."""
        expect(self.page.locator("main[aria-busy]")).to_have_count(0, timeout=WITHIN_MS)
        found = self.page.get_by_role("heading", level=1, name=name, exact=True)
        expect(found).to_be_visible(timeout=WITHIN_MS)
        return found

    def says(self, text: str | re.Pattern[str]) -> None:
        """Wait until it is to be read in the page's main part, or in a note."""
        expect(self.page.locator("main, #notes").filter(has_text=text).first).to_be_visible(timeout=WITHIN_MS)

    def hold(self, pattern: str | re.Pattern[str], *, method: str | None = None) -> Callable[[], None]:
        """Hold back the answers to what is asked at these addresses, until the function that this gives is called."""
        held: list[Route] = []
        is_over = False

        def take(route: Route) -> None:
            if is_over or (method and route.request.method != method):
                route.continue_()
            else:
                held.append(route)

        def let_go() -> None:
            nonlocal is_over
            is_over = True
            for route in held:
                route.continue_()

        self.page.route(pattern, take)
        return let_go

    def failure(self, action: str) -> Locator:
        """Wait for what is said of an action that did not work."""
        found = self.page.locator(".failure").filter(has_text=f"“{action}” did not work")
        expect(found).to_be_visible(timeout=WITHIN_MS)
        return found

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def confirm(self, action: str) -> None:
        self.page.get_by_role("dialog").get_by_role("button", name=action, exact=True).click()
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def error_of(self, label: str) -> str:
        """Wait until a field is refused, and give what is said about it."""
        control = self.page.get_by_label(label, exact=True)
        expect(control).to_have_attribute("aria-invalid", "true", timeout=WITHIN_MS)
        ids = (control.get_attribute("aria-describedby") or "").split()
        return self.page.locator(f"#{ids[-1]}").inner_text()

    def tile(self, name: str) -> str:
        """Give the figure of this name in the overview."""
        return self.page.locator(".figure", has=self.page.locator(f"dt:text-is('{name}')")).locator("dd").first.inner_text()

    def is_as_wide_as_the_screen(self) -> bool:
        width: bool = self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        return width


@contextmanager
def visited(
    browser: Browser, app: RunningApp | OwnLoop, *, size: tuple[int, int] = DESKTOP, is_first: bool = False, **options: Any
) -> Iterator[Visit]:
    """Visit; at the end there was nothing to complain about and no request to anybody else.

    The browser has the page's files from earlier visits, unless it is the first one, or has another size or other options.
    """
    is_usual = not (is_first or options or size != DESKTOP)
    context = usual_context(browser, app) if is_usual else new_context(browser, size, **options)
    visit = Visit(context.new_page(), app)
    visit.watch()
    try:
        yield visit
        assert visit.complaints == []
        assert visit.outside == []
    finally:
        if is_usual:
            visit.leave()
        else:
            context.close()


def new_context(browser: Browser, size: tuple[int, int], **options: Any) -> BrowserContext:
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, timezone_id="Europe/Berlin", **options)
    context.set_default_timeout(WITHIN_MS)
    return context


_USUAL: WeakKeyDictionary[Browser, BrowserContext] = WeakKeyDictionary()


def usual_context(browser: Browser, app: RunningApp | OwnLoop) -> BrowserContext:
    """Give the context of usual visits. A page stays open in it: so one process shows them all, and has read the scripts."""
    found = _USUAL.get(browser)
    if found is None:
        found = _USUAL[browser] = new_context(browser, DESKTOP)
        found.new_page().goto(f"{app.base_url}/dashboard/favicon.svg")
    return found
