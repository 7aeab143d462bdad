"""What all loops of a process have in common, and what a process is given before its first call."""

import asyncio
import gc
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Final, TypeVar

from shared.api.rank import ActionReader
from shared.domain.budget import Budget
from shared.domain.clock import Clock, SystemClock
from shared.domain.ports import JobQueue
from shared.runtime.assembly.analysis import build_chunk_memory
from shared.runtime.assembly.log import check_mirror
from shared.runtime.assembly.loops import build_loops
from shared.runtime.assembly.models import build_signer, build_tickets
from shared.runtime.settings import AppSettings
from shared.services.process.concurrency import FewAtATime, collector_at_rest, keep_memory_together
from shared.services.process.sharing import Shared
from shared.services.serving.model_server import Polling
from shared.storage.job_queue import QueuedJobs
from shared.storage.loop_store import FileLoopStore
from shared.storage.opening import open_storage
from shared.storage.ports import Storage

_TRAINED_EVERY: Final = timedelta(minutes=10)
"""What was used within this time is in use for the trainer, which comes to a loop every few minutes."""

SEARCHES: Final = "searches"
REPORTS: Final = "reports"
MODELS_IN_HAND: Final = "models"
BATCHES: Final = "batches"
ROOMS: Final[Mapping[str, int]] = MappingProxyType({SEARCHES: 2, REPORTS: 4, MODELS_IN_HAND: 2, BATCHES: 4})
"""How many calls of a kind that reads much a process answers at a time."""


@dataclass(frozen=True)
class Common:
    """What all loops of a process have in common: ``turn`` is held by the analysis that computes."""

    settings: AppSettings
    storage: Storage
    host_storage: Storage
    clock: Clock
    polling: Polling
    store: FileLoopStore
    jobs: JobQueue
    actions: ActionReader
    turn: asyncio.Semaphore
    shared: Shared

    loops = cached_property(build_loops)
    signer = cached_property(build_signer)
    tickets = cached_property(build_tickets)
    chunks = cached_property(build_chunk_memory)

    def check_mirror(self, uri: str) -> None:
        """Refuse a container that the log cannot be copied to; raises `InvalidRequestError`."""
        check_mirror(self, uri)


def build_common(settings: AppSettings, *, storage: Storage | None, clock: Clock | None, polling: Polling | None = None) -> Common:
    """Open storage and divide memory; ``storage``, ``clock`` and ``polling`` take the place of the real ones."""
    storage = storage or open_storage(settings.storage)
    host_storage = storage if settings.host_storage == settings.storage else open_storage(settings.host_storage)
    return Common(
        settings=settings,
        storage=storage,
        host_storage=host_storage,
        clock=clock or SystemClock(),
        polling=polling or Polling(settings.model_poll_interval),
        store=FileLoopStore(storage),
        jobs=QueuedJobs(host_storage),
        actions=ActionReader(),
        turn=asyncio.Semaphore(),
        shared=_build_shared(settings),
    )


def build_rooms() -> Mapping[str, FewAtATime]:
    """Give the places for calls that read much."""
    return {name: FewAtATime(places=places) for name, places in ROOMS.items()}


def _build_shared(settings: AppSettings) -> Shared:
    """Divide what a process may keep at hand; the rest of its memory is for itself, and for what is under way."""
    part = settings.memory // 16
    return Shared(
        learners=Budget(3 * part, in_use=_TRAINED_EVERY),
        models=Budget(2 * part),
        logs=Budget(2 * part, in_use=_TRAINED_EVERY),
    )


Built = TypeVar("Built")


def once_per_process(make: Callable[[], Built]) -> Callable[[], Built]:
    """Give a function that builds at its first call in each process."""
    lock = threading.Lock()
    built: dict[int, Built] = {}

    def get() -> Built:
        present = built.get(os.getpid())
        if present is None:
            with lock, collector_at_rest():  # what is imported and built here is there to stay
                present = built.get(os.getpid()) or make()
                built[os.getpid()] = present
                _settle()
        return present

    return get


def _settle() -> None:
    """Keep out of calls what they need not pay for: the SDK's log, collections of what is there to stay."""
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
    keep_memory_together()
    gc.freeze()
