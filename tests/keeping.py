"""Keepers of models over the stores that reliability's trainers write."""

from datetime import datetime

from shared.domain.ledger import Pointer, Provenance
from shared.domain.loop import LoopSettings
from shared.services.models import ModelKeeper
from shared.services.replay import Replay
from shared.storage.account import StorageAccount
from shared.storage.cold_log import BlobColdLog
from shared.storage.model_store import BlobModelStore
from shared.storage.polling import StoredConfiguration
from shared.storage.signing_keys import BlobModelSigner
from tests.clocks import SetClock
from tests.reliability.world import LOOP, event_log


def keeper(account: StorageAccount, at: datetime, *, store: str, loop: LoopSettings = LOOP) -> ModelKeeper:
    clock = SetClock(at)
    return ModelKeeper(
        event_log(account, clock),
        BlobColdLog(account, loop=store),
        BlobModelStore(account, loop=store),
        StoredConfiguration(account, defaults=loop),
        BlobModelSigner(account, clock=clock),
        clock=clock,
    )


async def pointer_of(account: StorageAccount, store: str) -> Pointer:
    stored = await BlobModelStore(account, loop=store).pointer()
    assert stored is not None
    return stored[0]


async def provenance_of(account: StorageAccount, store: str, version: str) -> Provenance:
    return (await BlobColdLog(account, loop=store).models())[version]


async def content_of(account: StorageAccount, store: str, version: str) -> tuple[bytes, bytes]:
    """Give what is stored of a model: its state and what Rank loads."""
    kept = BlobModelStore(account, loop=store)
    return await kept.state(version), await kept.artifact(version)


async def replayed(account: StorageAccount, store: str, version: str = "") -> list[str]:
    """Rebuild a model, demanding that nothing comes out different; gives the models that were compared."""
    replay = Replay(BlobColdLog(account, loop=store), BlobModelStore(account, loop=store))
    steps = [step async for step in replay.run(await replay.plan(version))]
    assert steps
    assert not [step for step in steps if step.differing]
    return [step.version for step in steps if step.version]
