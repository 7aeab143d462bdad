"""HTTP: the dashboard, a page for a browser. It shows what the other operations answer to a loop's key, and can do nothing they cannot."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import azure.functions as func

from shared.runtime.http import dispatcher
from shared.runtime.pages import page_operations
from shared.runtime.wiring import Deployment

STATIC: Final = Path(__file__).with_name("static")


def dashboard_blueprint(deployment: Callable[[], Deployment]) -> func.Blueprint:
    """Give the one function that hands out the page and its files."""
    return dispatcher("dashboard", "dashboard/", page_operations("dashboard", STATIC), deployment)
