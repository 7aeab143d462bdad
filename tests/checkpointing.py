"""A model that is begun anew, put where a run of the trainer would have left it."""

import asyncio

from shared.domain.checkpoint import AnewProgress, Checkpoint
from shared.learning import artifact
from shared.learning.learner import Learner
from shared.storage.checkpoints import FileCheckpoints
from tests.stores import opened


def leave_behind(connection_string: str, progress: AnewProgress, *, loop: str = "default") -> None:
    """Write a checkpoint as far as this; of nothing that a trainer would go on with."""

    async def written() -> None:
        account = opened(connection_string)
        kept = Checkpoint(progress, "of no use", "", "", (), artifact.dump_state(Learner.cold()))
        await FileCheckpoints(account, loop=loop).write(kept, expected=None)
        await account.close()

    asyncio.run(written())
