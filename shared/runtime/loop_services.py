"""What serves one loop: at once what Rank, Reward and Activate use, and everything else when it is first asked for.

The modules of the others are imported in their properties, so that a process which never trains or evaluates never loads them.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from shared.api.rank import ActionReader
from shared.domain.clock import Clock
from shared.domain.loop import DEFAULT_LOOP, LoopRecord, LoopSettings
from shared.domain.ports import JobQueue, LoopStore, ModelSigner
from shared.runtime.settings import AppSettings
from shared.services.process.sharing import Shared
from shared.services.serving.allowance import Allowance
from shared.services.serving.model_server import ModelServer, Polling
from shared.services.serving.multislot import MultiSlotRanker
from shared.services.serving.ranking import Ranker
from shared.services.serving.rewarding import Rewarder
from shared.storage.event_log import RowEventLog
from shared.storage.polling import StoredConfiguration
from shared.storage.ports import Storage

if TYPE_CHECKING:
    from shared.runtime.pruning_store import PruningModelStore
    from shared.services.analysis.applying import Applier
    from shared.services.analysis.evaluations import Evaluations, FeatureImportances
    from shared.services.analysis.optimizing import Optimizer
    from shared.services.analysis.running import Runner
    from shared.services.figures.reading import LiveFigures
    from shared.services.log.logs import Logs
    from shared.services.log.mirroring import Mirroring
    from shared.services.log.receipts import Receipts
    from shared.services.log.retention import Retention
    from shared.services.loops.advising import Adviser
    from shared.services.loops.configuring import Configurator
    from shared.services.loops.previewing import Previewer
    from shared.services.loops.progress import ProgressReport
    from shared.services.models.keeper import ModelKeeper
    from shared.services.serving.uploads import Uploads
    from shared.services.training.trainer import Trainer
    from shared.storage.cold_log import FileColdLog


@dataclass(frozen=True, slots=True)
class Common:
    """What all loops of a process have in common: ``turn`` is held by the analysis that computes."""

    settings: AppSettings
    storage: Storage
    clock: Clock
    polling: Polling
    store: LoopStore
    jobs: JobQueue
    actions: ActionReader
    turn: asyncio.Semaphore
    shared: Shared
    signer: Callable[[], ModelSigner]
    check_mirror: Callable[[str], None]


@dataclass(frozen=True)
class LoopServices:
    """The use cases of one loop, on real storage; ``place`` is the name that the tables and blobs of this life carry.

    ``clock`` is the one by which the log is written, and ``defaults`` are the settings that hold where the loop has none of its own.
    """

    common: Common
    place: str
    defaults: LoopSettings
    clock: Clock
    configuration: StoredConfiguration
    log: RowEventLog
    models: ModelServer
    allowance: Allowance
    ranker: Ranker
    slots: MultiSlotRanker
    rewarder: Rewarder

    @property
    def settings(self) -> AppSettings:
        """The settings of the app."""
        return self.common.settings

    @property
    def storage(self) -> Storage:
        """Where the loop's data are."""
        return self.common.storage

    @property
    def actions(self) -> ActionReader:
        """What reads the actions of a call, and remembers those that it has read."""
        return self.common.actions

    @property
    def record(self) -> LoopRecord:
        """What this process last read of the loop."""
        return self.configuration.record

    @property
    def is_current(self) -> bool:
        """Whether the loop is still there, and in the same life."""
        return self.record.is_there and self.record.place == self.place

    @property
    def key_digests(self) -> Sequence[str]:
        """The digests of the keys that open the loop: for the default one the app's own, until one was regenerated."""
        own = self.settings.key_digests if self.record.name == DEFAULT_LOOP else ()
        return self.record.keys or own

    @property
    def client_digests(self) -> Sequence[str]:
        """The digests of the client keys, which rank, reward and activate only: for the default loop the app's own, until one was made."""
        own = self.settings.client_digests if self.record.name == DEFAULT_LOOP else ()
        return self.record.client_keys or own

    def let_go(self) -> None:
        """Keep nothing at hand of this loop any more, and poll for it no more: it is gone, or nobody asks for it. Any thread may say so."""
        self.models.stop()
        self.log.close()
        trainer = vars(self).get("trainer")  # if it was ever asked for
        if trainer is not None:
            trainer.close()

    async def close(self) -> None:
        """Stop the polling threads and close the connections; all loops of a process share them."""
        self.common.polling.stop()
        await self.storage.close()

    # --- the joined log and the models -------------------------------------------------------------------------------------

    @cached_property
    def joined(self) -> "FileColdLog":
        """The joined log."""
        from shared.storage.cold_log import FileColdLog

        return FileColdLog(self.storage, loop=self.place)

    @cached_property
    def store(self) -> "PruningModelStore":
        """The models, and what belongs to them."""
        from shared.runtime.pruning_store import PruningModelStore

        return PruningModelStore(self.storage, loop=self.place, models_kept=self.settings.models_kept)

    @cached_property
    def keeper(self) -> "ModelKeeper":
        """Models handed out, brought back and deleted."""
        from shared.services.models.keeper import ModelKeeper

        return ModelKeeper(self.log, self.joined, self.store, self.configuration, self.common.signer(), clock=self.clock)

    # --- what timers do ----------------------------------------------------------------------------------------------------

    @cached_property
    def trainer(self) -> "Trainer":
        """Learning, by the earlier one of two clocks: nothing is learned before its time."""
        from shared.services.training.trainer import Trainer
        from shared.services.training.windows import Limits
        from shared.storage.clocks import EarlierClock

        limits = Limits(grace=self.settings.grace, lookback=self.settings.lookback)
        clock = EarlierClock(self.common.clock, self.storage.time)
        return Trainer(self.log, self.joined, self.store, self.configuration, clock=clock, limits=limits).sharing(self.common.shared)

    @cached_property
    def retention(self) -> "Retention":
        """The removal of what is no longer needed."""
        from shared.services.log.retention import Retention, Terms

        terms = Terms(self.settings.models_kept, settled_for=self.settings.settled_for)
        return Retention(self.log, self.joined, self.store, self.configuration, clock=self.clock, terms=terms)

    @cached_property
    def mirroring(self) -> "Mirroring":
        """The copy of the joined log in its owner's container."""
        from shared.services.log.mirroring import Mirroring
        from shared.storage.mirror import ContainerMirror

        copy = ContainerMirror(self.storage, loop=self.place)
        return Mirroring(self.joined, self.store, copy, self.configuration, clock=self.clock)

    # --- what operators ask for and change ---------------------------------------------------------------------------------

    @cached_property
    def configurator(self) -> "Configurator":
        """The settings, read and changed."""
        from shared.services.loops.configuring import Configurator

        common = self.common
        return Configurator(common.store, self.models, defaults=self.defaults, clock=self.clock, check_mirror=common.check_mirror)

    @cached_property
    def previewer(self) -> "Previewer":
        """What a change of the settings would do."""
        from shared.services.loops.previewing import Previewer

        return Previewer(self.configurator, self.joined, self.store, clock=self.clock)

    @cached_property
    def progress(self) -> "ProgressReport":
        """How far the loop has come."""
        from shared.services.loops.progress import ProgressReport

        settings = self.settings
        return ProgressReport(self.log, self.store, self.models, clock=self.clock, grace=settings.grace, lookback=settings.lookback)

    @cached_property
    def figures(self) -> "LiveFigures":
        """The live figures."""
        from shared.services.figures.reading import LiveFigures

        return LiveFigures(self.store)

    @cached_property
    def adviser(self) -> "Adviser":
        """What keeps the loop from learning."""
        from shared.services.loops.advising import Adviser

        return Adviser(self.joined, self.figures, clock_ahead=self.storage.time.ahead)

    @cached_property
    def receipts(self) -> "Receipts":
        """What became of an event."""
        from shared.services.log.receipts import Receipts
        from shared.services.training.windows import Limits

        limits = Limits(grace=self.settings.grace, lookback=self.settings.lookback)
        return Receipts(self.log, self.joined, self.store, self.configuration, clock=self.clock, limits=limits)

    @cached_property
    def logs(self) -> "Logs":
        """The log's extent and its deletion."""
        from shared.services.log.logs import Logs

        settings = self.settings
        return Logs(self.log, self.joined, self.store, clock=self.clock, lookback=settings.lookback, settled_for=settings.settled_for)

    @cached_property
    def uploads(self) -> "Uploads":
        """Batches of decisions and rewards."""
        from shared.services.serving.uploads import Uploads

        grace, encoders = self.settings.upload_grace, self.common.shared.encoders
        return Uploads(self.log, self.models, clock=self.clock, grace=grace, encoders=encoders)

    # --- analyses ----------------------------------------------------------------------------------------------------------

    @cached_property
    def evaluations(self) -> "Evaluations":
        """Evaluations, asked for and read."""
        from shared.services.analysis.evaluations import Evaluations
        from shared.storage.evaluation_store import evaluation_store

        return Evaluations(evaluation_store(self.storage, loop=self.place), self.logs, self.analyses, clock=self.clock)

    @cached_property
    def importances(self) -> "FeatureImportances":
        """Feature importances, asked for and read."""
        from shared.services.analysis.evaluations import FeatureImportances
        from shared.storage.evaluation_store import importance_store

        return FeatureImportances(importance_store(self.storage, loop=self.place), self.logs, self.analyses, clock=self.clock)

    @cached_property
    def analyses(self) -> "Runner":
        """The steps of evaluations and feature importances."""
        from shared.domain.evaluation import JobKind
        from shared.services.analysis.evaluating import Evaluating
        from shared.services.analysis.running import Means, Runner
        from shared.services.analysis.weighing import Weighing
        from shared.storage.evaluation_store import evaluation_store, importance_store
        from shared.storage.work_files import StoredWorkFiles

        common, place = self.common, self.place
        files = StoredWorkFiles(self.storage, loop=place)
        means = Means(self.record.name, self.joined, files, common.jobs, self.configuration, self.clock, common.turn)
        evaluating = Evaluating(evaluation_store(self.storage, loop=place), lambda analysis, name: self.applier.promote(analysis, name))
        weighing = Weighing(importance_store(self.storage, loop=place))
        return Runner(means, {JobKind.EVALUATION: evaluating, JobKind.IMPORTANCE: weighing})

    @cached_property
    def applier(self) -> "Applier":
        """Policies of evaluations, put to use."""
        from shared.services.analysis.applying import Applier
        from shared.services.training.retraining import Retrainer

        retrainer = Retrainer(self.joined, self.store, clock=self.clock)
        retrainer.sharing(self.common.shared)
        return Applier(self.evaluations, self.analyses, self.configurator, self.store, retrainer, self.models)

    @cached_property
    def optimizer(self) -> "Optimizer":
        """Automatic optimisation."""
        from shared.services.analysis.optimizing import Optimizer

        return Optimizer(self.evaluations, self.configurator, self.store, clock=self.clock)
