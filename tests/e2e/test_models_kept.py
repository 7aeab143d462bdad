"""However models come about, no more of them stay than the setting says: by the parts as the deployment puts them together."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from shared.domain.ledger import ModelKind
from shared.domain.loop import LearningPolicy
from shared.runtime.loop_services import LoopServices
from shared.services.importing.importer import Importer, Pace
from shared.services.models.keeper import ModelKeeper
from shared.services.models.pruning import MOST_AFTER_A_COMMIT
from shared.storage.model_store import FileModelStore
from shared.storage.signing_keys import FileModelSigner
from tests.e2e.test_learning import CLOCK, built, serve, settled
from tests.services.importing.reading_files import MemoryFile
from tests.services.importing.test_importer import log_of

pytestmark = pytest.mark.slow

KEPT = 3
MODELS = 50
DIED = 120


@pytest.fixture
async def services(storage) -> AsyncIterator[LoopServices]:
    services = built(storage, PERSONALIZER_MODELS_KEPT=str(KEPT))
    yield services
    await services.close()


class Making:
    """Makes models in every way there is, and counts those that are stored after each."""

    def __init__(self, services: LoopServices) -> None:
        self.services, self.chance = services, random.Random(5)
        self.made: set[str] = set()
        self.rounds = 0

    async def stored(self) -> int:
        """Count what is stored of models, and note the one that is published."""
        pointer = await self.services.store.pointer()
        assert pointer is not None
        self.made.add(pointer[0].version)
        models = [*await self.services.store.replaced()]
        return max(len(models), len([version async for version in self.services.store.states()]))

    async def by_an_import_of_a_log(self) -> None:
        await self.services.configurator.configure({"log_retention_days": -1})
        importer = Importer(
            self.services.log,
            self.services.joined,
            self.services.store,
            self.services.configuration,
            clock=CLOCK,
            pace=Pace(first=5, events=5, commit=5),
        )

        async def count(until: asyncio.Event) -> int:
            most = 0
            while not until.is_set():
                most = max(most, await self.stored()) if await self.services.store.pointer() else most
                await asyncio.sleep(0)
            return most

        over = asyncio.Event()
        counting = asyncio.ensure_future(count(over))
        done = await importer.run([MemoryFile("a", log_of(60))])
        over.set()
        assert done.chunks >= 12
        assert await counting <= KEPT + 1

    async def by_training(self) -> None:
        self.rounds += 1
        for number in range(5):
            await serve(self.services, self.chance, number, self.rounds)
        await settled(self.services)

    async def by_bringing_one_back(self) -> None:
        package, _ = await self.services.keeper.export_signed()
        await self.services.keeper.delete()
        await self.services.keeper.import_(package)

    async def by_going_back(self, keeper: ModelKeeper | None = None) -> None:
        """To one that is another model: of the published one no copy is made."""
        keeper = keeper or self.services.keeper
        published, *others = [each.version for each in await keeper.versions()]
        other = next((each for each in others if each[-12:] != published[-12:]), None)
        if other is not None:
            await keeper.restore(other)

    async def by_other_rewards(self) -> None:
        await self.services.configurator.configure({"default_reward": self.chance.random()})
        await self.services.trainer.run()

    async def by_a_policy_of_other_features(self) -> None:
        policy = (await self.services.configurator.read()).policy
        ignored = "" if "--ignore" in policy.arguments else " --ignore x"
        await self.services.configurator.set_policy(LearningPolicy("other", f"--cb_explore_adf{ignored}"))
        await self.services.trainer.run()

    async def by_a_process_that_dies_after_its_commit(self) -> None:
        """Or by a release that removed nothing then."""
        services = self.services
        store = FileModelStore(services.storage, loop=services.place)
        signer = FileModelSigner(services.storage, clock=CLOCK)
        await self.by_going_back(ModelKeeper(services.log, services.joined, store, services.configuration, signer, clock=CLOCK))


async def test_fifty_models_leave_no_more_behind_than_the_setting_says_and_the_one_that_is_written(services):
    making = Making(services)
    await making.by_an_import_of_a_log()
    ways = [
        making.by_training,
        making.by_bringing_one_back,
        making.by_going_back,
        making.by_other_rewards,
        making.by_a_process_that_dies_after_its_commit,
        making.by_a_policy_of_other_features,
    ]
    while len(making.made) < MODELS:
        for way in ways:
            await way()
            assert await making.stored() <= KEPT + 1, way
            assert len(await services.keeper.versions()) <= KEPT + 1, way
    await making.by_training()
    assert await making.stored() == KEPT
    assert {each.kind for each in await services.keeper.versions()} <= set(ModelKind)


async def test_commits_in_a_row_leave_no_file_that_they_wrote_and_that_a_later_one_made_needless(services):
    """The process that makes them lists nothing after the first, and so has to know what it wrote since."""
    making, store = Making(services), services.store
    for _ in range(KEPT + 3):
        await making.by_training()
    kept = (store.figures_kept, store.lookbacks_kept, store.breakdowns_kept)
    assert max([len([name async for name in names()]) for names in kept]) == 1
    assert await making.stored() == len([version async for version in store.states()]) == KEPT


async def test_what_others_left_behind_goes_with_the_next_commits_and_all_of_it_with_retention(services):
    making = Making(services)
    for _ in range(2):
        await making.by_training()
    for _ in range(DIED):
        await making.by_a_process_that_dies_after_its_commit()
    before = await making.stored()
    assert before > DIED
    await making.by_training()
    assert await making.stored() <= before + 2 - MOST_AFTER_A_COMMIT
    await services.retention.run()
    assert await making.stored() == KEPT
