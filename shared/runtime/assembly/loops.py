"""The loops as a whole; and one loop's settings, progress and advice."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.runtime.assembly.process import Common
    from shared.runtime.loop_services import LoopServices
    from shared.services.loops.advising import Adviser
    from shared.services.loops.configuring import Configurator
    from shared.services.loops.loops import Loops
    from shared.services.loops.previewing import Previewer
    from shared.services.loops.progress import ProgressReport


def build_loops(common: "Common") -> "Loops":
    """Give what makes, changes and deletes loops."""
    from shared.services.loops.loops import Loops

    return Loops(common.store, defaults=common.settings.loop, clock=common.clock, check_mirror=common.check_mirror)


def build_configurator(loop: "LoopServices") -> "Configurator":
    """Give what reads and changes the settings."""
    from shared.services.loops.configuring import Configurator

    common = loop.common
    return Configurator(common.store, loop.models, defaults=loop.defaults, clock=loop.clock, check_mirror=common.check_mirror)


def build_previewer(loop: "LoopServices") -> "Previewer":
    """Give what tells what a change of the settings would do."""
    from shared.services.loops.previewing import Previewer

    return Previewer(loop.configurator, loop.joined, loop.store, clock=loop.clock)


def build_progress(loop: "LoopServices") -> "ProgressReport":
    """Give what tells how far the loop has come."""
    from shared.services.loops.progress import ProgressReport

    settings = loop.settings
    return ProgressReport(loop.log, loop.store, loop.models, clock=loop.clock, grace=settings.grace, lookback=settings.lookback)


def build_adviser(loop: "LoopServices") -> "Adviser":
    """Give what tells what keeps the loop from learning."""
    from shared.services.loops.advising import Adviser

    return Adviser(loop.joined, loop.figures, clock_ahead=loop.storage.time.ahead)
