"""A loop with a log and a schedule of evaluations, for processes that are killed while they work on it."""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.loop import LearningPolicy, LoopRecord
from shared.domain.schedules import Plan
from shared.runtime.loop_services import LoopServices
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment
from shared.storage.ports import Storage
from tests.builders import T0
from tests.clocks import SetClock
from tests.stores import settings_of

WEEK: Final = timedelta(days=7)
PLAN: Final = Plan("every week", 7, 7, T0, (LearningPolicy("mine", "--cb_explore_adf --softmax"),))
CHANGED: Final = replace(PLAN, name="otherwise", over_days=3)


def deployment_at(place: str, clock: SetClock, *, storage: Storage | None = None) -> Deployment:
    return Deployment(read_settings({**settings_of(place), "PERSONALIZER_KEYS": "first"}), storage=storage, clock=clock)


def loop_at(place: str, clock: SetClock, *, storage: Storage | None = None) -> LoopServices:
    """Give what a process of its own has of the loop."""
    return deployment_at(place, clock, storage=storage).services_of(LoopRecord("default"))
