"""The breakdown by action and feature."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.runtime.loop_services import LoopServices
    from shared.services.breakdowns.reading import LiveBreakdown


def build_breakdown(loop: "LoopServices") -> "LiveBreakdown":
    """Give the breakdown."""
    from shared.services.breakdowns.reading import LiveBreakdown

    return LiveBreakdown(loop.store)
