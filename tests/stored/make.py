"""``python -m tests.stored.make RELEASE [PART]`` in a checkout of it: what it writes into storage, and what it says of that, as files.

Without a part it is the whole story. The part ``holdout`` is small: one loop with a holdout and a schedule.
"""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from local.azurite import running_azurite
from shared.storage.azure.storage import AzureStorage
from shared.storage.opening import open_storage
from shared.storage.settings import FolderSettings
from tests.stored.account import dump, load, pack
from tests.stored.asking import answers, go_on, rank_once_more
from tests.stored.kinds import KINDS
from tests.stored.releases import WHOLE, Release
from tests.stored.story import ADMIN, SETTINGS, Story

WAITED = 300.0
"""Seconds between what was written last and when what is waiting is learned."""


TELLING: Final = {WHOLE: Story.tell, "holdout": Story.tell_of_a_holdout}


async def make(connection: str, release: Release, part: str) -> None:
    """Tell the story, write down what is stored and what is said of it, and then go on with it and write down what comes of it."""
    story = Story(connection)
    try:
        await TELLING[part](story)
        release.write("said", await answers(story.deployment, story.app, story.keys, story.events))
        assert isinstance(story.deployment.storage, AzureStorage)
        await dump(story.deployment.storage, release.folder)
        _write_known(release, story, part)
        if part == WHOLE:
            await _write_store(release)
        story.clock.pass_(WAITED)
        await go_on(story.deployment, story.app)
        release.write("said-later", await answers(story.deployment, story.app, story.keys, story.events))
        release.write("ranked-later", {loop: await rank_once_more(story.app, loop, keys[0]) for loop, keys in story.keys.items()})
    finally:
        await story.close()
    release.write("read", {kind: read(release.folder) for kind, read in KINDS.items()})


async def _write_store(release: Release) -> None:
    with tempfile.TemporaryDirectory() as made:
        storage = open_storage(FolderSettings(Path(made) / "store", make=True))
        await load(storage, release.folder)
        await storage.close()
        pack(Path(made) / "store", release.store)


def _write_known(release: Release, story: Story, part: str) -> None:
    known = {
        "at": story.clock.at.isoformat(),
        "later": WAITED,
        "settings": SETTINGS,
        "admin": ADMIN,
        "keys": story.keys,
        "refused": story.refused,
        "events": story.events,
        "part": part,
    }
    (release.folder / "known.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")


def main(name: str, part: str = WHOLE) -> None:
    release = Release(name)
    shutil.rmtree(release.folder, ignore_errors=True)
    release.folder.mkdir()
    with tempfile.TemporaryDirectory() as data, running_azurite(Path(data) / "data") as azurite:
        asyncio.run(make(azurite.connection_string(), release, part))


if __name__ == "__main__":
    main(*sys.argv[1:])
