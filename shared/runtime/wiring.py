"""The one place where parts are put together; nothing is built before it is needed."""

import gc
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from shared.api.rank import ActionReader
from shared.domain.clock import Clock, SystemClock
from shared.runtime.settings import AppSettings
from shared.runtime.telemetry import write_facts
from shared.services.progress import ProgressReport
from shared.services.ranking import Ranker
from shared.services.retention import Retention
from shared.services.rewarding import Rewarder
from shared.services.serving import ModelServer
from shared.services.training import Trainer
from shared.services.windows import Limits
from shared.storage.account import StorageAccount
from shared.storage.event_log import TableEventLog
from shared.storage.hot_log import LogSettings
from shared.storage.model_store import BlobModelStore
from shared.storage.polling import BlobModelFeed, StoredConfiguration


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases of one loop, on real storage."""

    settings: AppSettings
    account: StorageAccount
    log: TableEventLog
    store: BlobModelStore
    models: ModelServer
    actions: ActionReader
    ranker: Ranker
    rewarder: Rewarder
    trainer: Trainer
    retention: Retention
    progress: ProgressReport

    async def close(self) -> None:
        """Stop the polling thread and close the connections."""
        self.models.stop()
        await self.account.close()


def build(settings: AppSettings, *, account: StorageAccount | None = None, clock: Clock | None = None) -> Services:
    """Put the app together; ``account`` and ``clock`` take the place of the real ones, for tests."""
    account = account or StorageAccount(settings.account)
    clock = clock or SystemClock()
    loop = settings.loop
    log = TableEventLog(
        account,
        settings=LogSettings(loop=loop.name, shards=settings.log_shards, append_deadline=settings.append_deadline),
        clock=clock,
        settled=settings.lookback,
    )
    store = BlobModelStore(account, loop=loop.name)
    configuration = StoredConfiguration(account, defaults=loop)
    models = ModelServer(BlobModelFeed(account, loop=loop.name), configuration, defaults=loop, interval=settings.model_poll_interval)
    trainer_configuration = StoredConfiguration(account, defaults=loop)
    return Services(
        settings=settings,
        account=account,
        log=log,
        store=store,
        models=models,
        actions=ActionReader(),
        ranker=Ranker(log, models, clock=clock),
        rewarder=Rewarder(log, clock=clock),
        trainer=Trainer(
            log,
            store,
            trainer_configuration,
            clock=clock,
            limits=Limits(grace=settings.ingest_grace, lookback=settings.lookback),
        ),
        retention=Retention(log, store, trainer_configuration, clock=clock, models_kept=settings.models_kept),
        progress=ProgressReport(log, store, models, clock=clock, grace=settings.ingest_grace, lookback=settings.lookback),
    )


def once_per_process(make: Callable[[], Services]) -> Callable[[], Services]:
    """Give a function that builds the services at its first call in each process."""
    lock = threading.Lock()
    built: dict[int, Services] = {}

    def services() -> Services:
        present = built.get(os.getpid())
        if present is None:
            with lock:
                present = built.get(os.getpid()) or make()
                built[os.getpid()] = present
                _settle()
        return present

    return services


def _settle() -> None:
    """Write the log's facts, and keep out of calls what they need not pay for: the SDK's log, collections of what is there to stay."""
    write_facts(logging.getLogger().handlers)
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
