"""HTTP: two pages for a browser, the dashboard and the demo. They use the other operations with a loop's key, and can do nothing else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import azure.functions as func

from dashboard_function.joining import joined_modules, joined_styles
from shared.runtime.http import Operation, dispatcher
from shared.runtime.pages import page_operations
from shared.runtime.wiring import Deployment

STATIC: Final = Path(__file__).with_name("static")
DEMO: Final = Path(__file__).with_name("demo")
"""The demo's own files; what it shares with the dashboard is among the dashboard's."""
_FOLDERS: Final = {"dashboard": STATIC, "demo": DEMO}

JOINED_DASHBOARD: Final = {
    "joined/dashboard.js": lambda: joined_modules("/dashboard/dashboard.js", read),
    "joined/dashboard.css": lambda: joined_styles(
        ("/dashboard/vendor/uplot/uPlot.min.css", "/dashboard/base.css", "/dashboard/dashboard.css"), read
    ),
}
JOINED_DEMO: Final = {
    "joined/demo.js": lambda: joined_modules("/demo/demo.js", read),
    "joined/demo.css": lambda: joined_styles(("/dashboard/base.css", "/demo/demo.css"), read),
}
"""What the pages load is joined of many files, so that a browser need not ask for each; the files themselves are handed out as well."""


def read(address: str) -> str:
    """Read a file of the pages by its address on the service."""
    _, page, path = address.split("/", 2)
    return (_FOLDERS[page] / path).read_text("utf-8")


def dashboard_operations() -> Sequence[Operation]:
    """Give what the dashboard's function does."""
    return page_operations("dashboard", STATIC, JOINED_DASHBOARD)


def demo_operations() -> Sequence[Operation]:
    """Give what the demo's function does."""
    return page_operations("demo", DEMO, JOINED_DEMO)


def dashboard_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the one function that hands out the page and its files."""
    return dispatcher("dashboard", "dashboard/", dashboard_operations, deployment)


def demo_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the one function that hands out the demo and its files."""
    return dispatcher("demo", "demo/", demo_operations, deployment)
