"""What the browser tests take from npm, and the library that the dashboard carries: ``python -m tests.browser.packages`` copies it anew."""

from pathlib import Path

from dashboard_function import STATIC
from tests.npm import ensure_installed

PINNED = Path(__file__).resolve().parent
VENDOR = STATIC / "vendor" / "uplot"
VENDORED = {"uPlot.esm.js": "dist/uPlot.iife.min.js", "uPlot.min.css": "dist/uPlot.min.css", "LICENSE": "LICENSE"}
"""Which file here is which of the package."""
EXPORTED = {"uPlot.esm.js": b"\nexport default uPlot;\n"}
"""What makes a module of the smallest form that the package has."""


def installed(package: str, file: str) -> Path:
    """Give a file of an installed package."""
    return ensure_installed(PINNED) / "node_modules" / package / file


def vendored(name: str) -> bytes:
    """Give what has to be in a file of the charting library."""
    return installed("uplot", VENDORED[name]).read_bytes() + EXPORTED.get(name, b"")


if __name__ == "__main__":
    for name in VENDORED:
        (VENDOR / name).write_bytes(vendored(name))
