"""The dashboard open for long with a live loop: do memory, listeners and requests stay flat? ``python -m tests.browser.soak MINUTES``.

It begins to count after `SETTLED`, when all that is loaded once is there, and ends with 1 where something grew.
"""

import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.browser.traffic import SETTINGS, ranked
from tests.browser.visits import FLAGS, program, visited
from tests.running import RunningApp

SETTLED = 1.0
"""Minutes after which nothing more should be loaded."""
EVERY = 0.5
MOST_GROWTH = {"heap kB": 1_500.0, "listeners": 20.0, "nodes": 300.0}
"""By how much the last third may be above the first, at most: figures come with more buckets and points as time goes by."""
MOST_REQUESTS = 1.3
"""How many times as many requests a minute there may be in the last third."""
NAMES = {"heap kB": "JSHeapUsedSize", "listeners": "JSEventListeners", "nodes": "Nodes"}


@dataclass
class Sample:
    """What was counted at a minute."""

    minute: float
    counted: dict[str, float]


def counted(session: CDPSession, requests: list[float]) -> dict[str, float]:
    """Count what is left after everything is thrown away that can be."""
    session.send("HeapProfiler.collectGarbage")
    metrics: dict[str, Any] = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    found = {name: float(metrics[metric]) for name, metric in NAMES.items()}
    found["heap kB"] /= 1_000
    found["requests a minute"] = len([at for at in requests if at > time.monotonic() - 60 * EVERY]) / EVERY
    return found


def soaked(page: Page, *, minutes: float, requests: list[float]) -> list[Sample]:
    """Watch the page so long."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    begin, samples = time.monotonic(), []
    while (minute := (time.monotonic() - begin) / 60) < minutes:
        page.wait_for_timeout(60_000 * EVERY)
        if minute + EVERY < SETTLED:
            continue
        samples.append(Sample(minute + EVERY, counted(session, requests)))
        facts = "   ".join(f"{name} {value:,.0f}" for name, value in samples[-1].counted.items())
        sys.stdout.write(f"{samples[-1].minute:6.1f} min   {facts}\n")
        sys.stdout.flush()
    return samples


def grown(samples: list[Sample]) -> list[str]:
    """Tell what is more in the last third than in the first, by more than it may be."""
    third = max(1, len(samples) // 3)

    def mean(part: list[Sample], name: str) -> float:
        return sum(each.counted[name] for each in part) / len(part)

    first, last = samples[:third], samples[-third:]
    found = [name for name, most in MOST_GROWTH.items() if mean(last, name) > mean(first, name) + most]
    rate = "requests a minute"
    return [*found, rate] if mean(last, rate) > mean(first, rate) * MOST_REQUESTS else found


def main(minutes: float) -> int:
    """Soak the overview in a loop that is ranked, rewarded and trained all the while."""
    path = program()
    over = threading.Event()
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningApp(str(Path(folder)), settings={**SETTINGS, "PERSONALIZER_TRAINER_SCHEDULE": "*/5 * * * * *"}, timers=True) as app,
        sync_playwright() as playwright,
    ):
        ranked(app, 10)

        def work() -> None:
            while not over.wait(2.0):
                ranked(app, 3)

        traffic = threading.Thread(target=work)
        traffic.start()
        try:
            browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
            with visited(browser, app) as visit:
                requests: list[float] = []
                visit.page.on("request", lambda _: requests.append(time.monotonic()))
                visit.sign_in()
                samples = soaked(visit.page, minutes=minutes, requests=requests)
            browser.close()
        finally:
            over.set()
            traffic.join()
    more = grown(samples)
    sys.stdout.write("flat\n" if not more else f"grew: {', '.join(more)}\n")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0))
