"""HTTP: two pages for a browser, the dashboard and the demo. They use the other operations with a loop's key, and can do nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import azure.functions as func

from shared.runtime.http import dispatcher
from shared.runtime.pages import page_operations
from shared.runtime.wiring import Deployment

STATIC: Final = Path(__file__).with_name("static")
DEMO: Final = Path(__file__).with_name("demo")
"""The demo's own files; what it shares with the dashboard is among the dashboard's."""


def dashboard_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the one function that hands out the page and its files."""
    return dispatcher("dashboard", "dashboard/", lambda: page_operations("dashboard", STATIC), deployment)


def demo_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the one function that hands out the demo and its files."""
    return dispatcher("demo", "demo/", lambda: page_operations("demo", DEMO), deployment)
