"""The live figures."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.runtime.loop_services import LoopServices
    from shared.services.figures.reading import LiveFigures


def build_figures(loop: "LoopServices") -> "LiveFigures":
    """Give the live figures."""
    from shared.services.figures.reading import LiveFigures

    return LiveFigures(loop.store, loop.common.shared.logs)
