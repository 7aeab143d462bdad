"""A page of another origin in a real browser: it ranks and rewards with a client key if its origin is listed, and is kept out if not."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.traffic import SETTINGS
from tests.http.building import event_path, path, rank_body
from tests.running import RunningApp
from tests.stores import NewStorage

SEEN = "seen-by-everybody"
CALL = """async ([url, key, body]) => {
  const headers = { "Content-Type": "application/json", "Ocp-Apim-Subscription-Key": key };
  try {
    const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, id: answer.headers.get("x-ms-request-id"), json: text ? JSON.parse(text) : null };
  } catch (error) {
    return { status: 0, id: null, json: String(error) };
  }
}"""


class Shop(BaseHTTPRequestHandler):
    """A page without content, of whatever origin its port makes."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A shop</title>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def shop() -> Iterator[str]:
    """Serve the page, and give its origin."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def listed() -> Iterator[str]:
    with shop() as origin:
        yield origin


@pytest.fixture
def another() -> Iterator[str]:
    with shop() as origin:
        yield origin


@pytest.fixture(scope="module")
def app(new_store: NewStorage, listed: str) -> Iterator[RunningApp]:
    """An app that pages of one origin may call."""
    settings = {**SETTINGS, "PERSONALIZER_CORS_ORIGINS": listed, "PERSONALIZER_CLIENT_KEYS": SEEN}
    with RunningApp(new_store(), settings=settings) as running:
        yield running


def opened(browser: Browser, origin: str) -> Page:
    page = browser.new_page()
    page.goto(f"{origin}/")
    return page


def call(page: Page, app: RunningApp, place: str, body: Any) -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(CALL, [f"{app.base_url}{place}", SEEN, body])
    return found


def test_a_page_whose_origin_is_listed_ranks_and_rewards_and_reads_why_it_is_refused(browser, app, listed):
    page = opened(browser, listed)
    ranked = call(page, app, path("rank"), rank_body("a", "b"))
    assert (ranked["status"], ranked["json"]["rewardActionId"] in "ab") == (201, True)
    assert ranked["id"]
    assert call(page, app, event_path(ranked["json"]["eventId"], "reward"), {"value": 1})["status"] == 204
    refused = call(page, app, path("evaluations"), {})
    assert (refused["status"], "client key" in refused["json"]["error"]["message"]) == (401, True)
    page.close()


def test_a_page_of_another_origin_reads_nothing_and_its_calls_are_not_sent(browser, app, another):
    page = opened(browser, another)
    before = app.request("GET", "/status").json["loop"]["counters"]
    assert call(page, app, path("rank"), rank_body("a", "b"))["json"] == "TypeError: Failed to fetch"
    assert app.request("GET", "/status").json["loop"]["counters"] == before
    page.close()
