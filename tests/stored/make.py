"""``python -m tests.stored.make RELEASE`` in a checkout of that release: what it writes into storage, and what it says of it, as files."""

import asyncio
import json
import shutil
import sys
import tempfile
from pathlib import Path

from local.azurite import running_azurite
from shared.storage.azure.storage import AzureStorage
from shared.storage.opening import open_storage
from shared.storage.settings import FolderSettings
from tests.stored.account import dump, load, pack
from tests.stored.asking import answers, go_on, rank_once_more
from tests.stored.kinds import KINDS
from tests.stored.releases import Release
from tests.stored.story import ADMIN, SETTINGS, Story

WAITED = 300.0
"""Seconds between what was written last and when what is waiting is learned."""


async def make(connection: str, release: Release) -> None:
    """Tell the story, write down what is stored and what is said of it, and then go on with it and write down what comes of it."""
    story = Story(connection)
    try:
        await story.tell()
        release.write("said", await answers(story.deployment, story.app, story.keys, story.events))
        assert isinstance(story.deployment.storage, AzureStorage)
        await dump(story.deployment.storage, release.folder)
        _write_known(release, story)
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


def _write_known(release: Release, story: Story) -> None:
    known = {
        "at": story.clock.at.isoformat(),
        "later": WAITED,
        "settings": SETTINGS,
        "admin": ADMIN,
        "keys": story.keys,
        "refused": story.refused,
        "events": story.events,
    }
    (release.folder / "known.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")


def main(name: str) -> None:
    release = Release(name)
    shutil.rmtree(release.folder, ignore_errors=True)
    release.folder.mkdir()
    with tempfile.TemporaryDirectory() as data, running_azurite(Path(data) / "data") as azurite:
        asyncio.run(make(azurite.connection_string(), release))


if __name__ == "__main__":
    main(sys.argv[1])
