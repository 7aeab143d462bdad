"""What the browser tests take from npm, and the library that the dashboard carries: ``python -m tests.browser.packages`` copies it anew."""

import shutil
from pathlib import Path

from dashboard_function import STATIC
from tests.npm import ensure_installed

PINNED = Path(__file__).resolve().parent
VENDOR = STATIC / "vendor" / "uplot"
VENDORED = {"uPlot.esm.js": "dist/uPlot.esm.js", "uPlot.min.css": "dist/uPlot.min.css", "LICENSE": "LICENSE"}
"""Which file here is which of the package."""


def installed(package: str, file: str) -> Path:
    """Give a file of an installed package."""
    return ensure_installed(PINNED) / "node_modules" / package / file


if __name__ == "__main__":
    for name, source in VENDORED.items():
        shutil.copyfile(installed("uplot", source), VENDOR / name)
