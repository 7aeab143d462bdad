"""The trainer, and what learns a model anew."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.runtime.loop_services import LoopServices
    from shared.services.training.retraining import Retrainer
    from shared.services.training.trainer import Trainer


def build_trainer(loop: "LoopServices") -> "Trainer":
    """Give the trainer, which goes by the earlier one of two clocks: nothing is learned before its time."""
    from shared.services.training.trainer import Trainer
    from shared.services.training.windows import Limits
    from shared.storage.clocks import EarlierClock

    limits = Limits(grace=loop.settings.grace, lookback=loop.settings.lookback)
    clock = EarlierClock(loop.common.clock, loop.storage.time)
    return Trainer(loop.log, loop.joined, loop.store, loop.configuration, clock=clock, limits=limits).sharing(loop.common.shared)


def build_retrainer(loop: "LoopServices") -> "Retrainer":
    """Give what learns a model anew from the joined log."""
    from shared.services.training.retraining import Retrainer

    retrainer = Retrainer(loop.joined, loop.store, clock=loop.clock)
    retrainer.sharing(loop.common.shared)
    return retrainer
