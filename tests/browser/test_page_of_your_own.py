"""The page and the backend that the documentation has its reader make, in a browser: a click there is a reward here."""

import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from local.processes import free_port
from tests.browser.traffic import SETTINGS
from tests.docs.snippets import snippets
from tests.running import RunningApp
from tests.stores import NewStorage

PAGE = "docs/how-to/personalise-a-page-of-your-own.md"
FILE = re.compile(r"^cat > (\S+) <<'END'\n(.*?)^END$", re.DOTALL | re.MULTILINE)
SECONDS = 20.0


@pytest.fixture
def service(new_store: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_store(), settings=SETTINGS) as running:
        yield running


@pytest.fixture
def address(service: RunningApp, tmp_path: Path) -> Iterator[str]:
    """Where the backend of the documentation serves its page."""
    port = free_port()
    for snippet in snippets():
        if snippet.page == PAGE:
            for name, text in FILE.findall(snippet.text):
                (tmp_path / name).write_text(text.replace("8123", str(port)))
    (tmp_path / "shop.json").write_text(json.dumps({"endpoint": service.base_url, "keys": [service.key]}))
    with (tmp_path / "backend.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "backend.py"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError("the backend does not answer")


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        yield context.new_page()


def test_a_click_is_a_reward_even_if_the_visitor_leaves_at_once(page: Page, service: RunningApp, address: str):
    with page.expect_response(re.compile(r"/choice\?device=phone$")) as choice:
        page.goto(address)
    shown = choice.value.json()
    expect(page.get_by_role("button")).to_have_text(shown["action"])
    page.get_by_role("button").click()
    page.goto("about:blank")
    until = time.monotonic() + SECONDS
    while not (found := receipt(service, shown["eventId"]))["decisions"][0]["rewards"]:
        assert time.monotonic() < until, found
        time.sleep(0.1)
    assert found["decisions"][0]["rewardActionId"] == shown["action"]
    assert [each["value"] for each in found["decisions"][0]["rewards"]] == [1.0]


def test_without_a_service_the_first_offer_is_shown(page: Page, service: RunningApp, address: str):
    service.stop()
    page.goto(address)
    expect(page.get_by_role("button")).to_have_text("bicycle")


def receipt(service: RunningApp, event_id: str) -> Any:
    answer = service.request("GET", f"/personalizer/events/{event_id}?api-version=2022-09-01-preview")
    assert answer.status == 200, answer.body
    return answer.json
