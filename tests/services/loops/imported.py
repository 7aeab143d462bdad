"""A loop whose log was imported: what of it is changed, told beforehand and learned again."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import cast

from shared.domain.loop import LearningPolicy
from shared.joining.foreign.reader import TERMS
from shared.joining.foreign.terms import Terms
from shared.learning.artifact import dump_state, load_learner
from shared.services.importing.importer import Importer, Pace
from shared.services.log.retention import Retention
from shared.services.log.retention import Terms as RetentionTerms
from shared.services.loops.configuring import Change, Configurator
from shared.services.loops.previewing import Preview, Previewer
from shared.services.serving.model_server import ModelServer
from shared.services.training.trainer import Trainer
from shared.services.training.windows import Limits
from shared.storage import names
from shared.storage.cold_log import FileColdLog
from shared.storage.files import Files
from shared.storage.loop_store import FileLoopStore
from shared.storage.model_store import FileModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.ports import Storage
from tests.builders import after
from tests.clocks import SetClock
from tests.reliability.world import LOOP, SETTLED_FOR, event_log
from tests.services.importing.reading_files import MemoryFile
from tests.services.importing.test_importer import log_of

STORE = "default"
NOW = after(-3600)
YEARS = timedelta(days=1_000)
DEFAULTS = replace(LOOP, log_retention_days=-1)
OF_2023 = 300
BLIND = LearningPolicy("blind", "--cb_explore_adf --ignore u")


class Served:
    def refresh(self) -> None:
        pass


class Loop:
    """A loop with an imported log of 2023, a few hundred days ago."""

    def __init__(self, account: Storage) -> None:
        self.account, self.clock = account, SetClock(NOW)
        self.log, self.store = FileColdLog(account, loop=STORE), FileModelStore(account, loop=STORE)
        self.configuration = StoredConfiguration(account, defaults=DEFAULTS)
        store, served = FileLoopStore(account), cast("ModelServer", Served())
        self.configurator = Configurator(store, served, defaults=DEFAULTS, clock=self.clock, check_mirror=lambda _: None)
        self.previewer = Previewer(self.configurator, self.log, self.store, clock=self.clock)

    def app_keeps(self, days: int) -> None:
        """Have the app keep the log for so many days."""
        defaults, store, served = replace(DEFAULTS, log_retention_days=days), FileLoopStore(self.account), cast("ModelServer", Served())
        self.configurator = Configurator(store, served, defaults=defaults, clock=self.clock, check_mirror=lambda _: None)
        self.previewer = Previewer(self.configurator, self.log, self.store, clock=self.clock)

    async def labels_again(self, counted: Mapping[str, str]) -> None:
        """Have the chunks' metadata tell these counts only, as an earlier release did."""
        logs, chain = Files(self.account, names.LOGS), await self.log.chain()
        for name, parent in zip(chain, ["", *chain], strict=False):
            file = await logs.read(names.chunks_prefix(STORE) + name)
            assert file is not None
            await logs.delete(names.chunks_prefix(STORE) + name)
            await logs.write_once(names.chunks_prefix(STORE) + name, file.data, metadata={"format": "1", "parent": parent, **counted})

    async def imports(self, terms: Terms = TERMS) -> None:
        hot, pace = event_log(self.account, self.clock), Pace(first=30, events=30, commit=60)
        await Importer(hot, self.log, self.store, self.configuration, clock=self.clock, pace=pace).run(
            [MemoryFile("a", log_of(OF_2023))], terms=terms
        )

    async def trains(self) -> None:
        hot, limits = event_log(self.account, self.clock), Limits(grace=timedelta(seconds=5), lookback=timedelta(seconds=30))
        await Trainer(hot, self.log, self.store, self.configuration, clock=self.clock, limits=limits).run()

    async def keeps_what_it_should(self) -> None:
        hot = event_log(self.account, self.clock)
        terms = RetentionTerms(models_kept=20, settled_for=SETTLED_FOR)
        await Retention(hot, self.log, self.store, self.configuration, clock=self.clock, terms=terms).run()

    async def knows(self) -> int:
        pointer = await self.store.pointer()
        assert pointer is not None
        return pointer[0].learned

    async def was_taught(self, events: int, *, by_rewards: int) -> None:
        """Have the loop a model that learned so many events, of which so many taught it by their rewards."""
        found = await self.store.pointer()
        assert found is not None
        learner = load_learner(await self.store.state(found[0].version))
        learner.rewarded = by_rewards
        version = f"{events}-of-{by_rewards}"
        await self.store.write_state(version, dump_state(learner))
        await self.store.commit(replace(found[0], version=version, learned=events), expected=found[1])

    async def loses_its_state(self) -> None:
        """Take away the learner behind the model."""
        found = await self.store.pointer()
        assert found is not None
        await Files(self.account, names.MODELS).delete(names.state_file(STORE, found[0].version))

    async def asked(self, policy: LearningPolicy | None = None, **settings) -> Preview:
        return await self.previewer.preview(Change(settings, policy))


async def with_imported_log(account: Storage) -> None:
    await Loop(account).imports()
