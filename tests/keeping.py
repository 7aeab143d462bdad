"""Keepers of models over the stores that reliability's trainers write."""

from datetime import datetime

from shared.domain.ledger import Pointer, Provenance
from shared.domain.loop import LoopSettings
from shared.services.models.keeper import ModelKeeper
from shared.services.models.replay import Replay
from shared.storage.cold_log import FileColdLog
from shared.storage.model_store import FileModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.ports import Storage
from shared.storage.signing_keys import FileModelSigner
from tests.clocks import SetClock
from tests.reliability.world import LOOP, event_log


def keeper(account: Storage, at: datetime, *, store: str, loop: LoopSettings = LOOP) -> ModelKeeper:
    clock = SetClock(at)
    return ModelKeeper(
        event_log(account, clock),
        FileColdLog(account, loop=store),
        FileModelStore(account, loop=store),
        StoredConfiguration(account, defaults=loop),
        FileModelSigner(account, clock=clock),
        clock=clock,
    )


async def pointer_of(account: Storage, store: str) -> Pointer:
    stored = await FileModelStore(account, loop=store).pointer()
    assert stored is not None
    return stored[0]


async def provenance_of(account: Storage, store: str, version: str) -> Provenance:
    return (await FileColdLog(account, loop=store).models())[version]


async def content_of(account: Storage, store: str, version: str) -> tuple[bytes, bytes]:
    """Give what is stored of a model: its state and what Rank loads."""
    kept = FileModelStore(account, loop=store)
    return await kept.state(version), await kept.artifact(version)


async def replayed(account: Storage, store: str, version: str = "") -> list[str]:
    """Rebuild a model, demanding that nothing comes out different; gives the models that were compared."""
    replay = Replay(FileColdLog(account, loop=store), FileModelStore(account, loop=store))
    steps = [step async for step in replay.run(await replay.plan(version))]
    assert steps
    assert not [step for step in steps if step.differing]
    return [step.version for step in steps if step.version]
