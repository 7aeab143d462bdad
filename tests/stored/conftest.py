import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.runtime.wiring import Deployment
from shared.storage.opening import is_connection_string
from tests import stores
from tests.clocks import SetClock
from tests.stored.account import load, unpack
from tests.stored.asking import answers, go_on, rank_once_more
from tests.stored.calls import App
from tests.stored.releases import NEWEST, OLDEST, Release, releases
from tests.stores import new_place


@dataclass
class Opened:
    """Today's app on the storage of a release, at the time when that was written."""

    release: Release
    deployment: Deployment
    app: App
    clock: SetClock


def stands_for_others(release: Release) -> bool:
    """Whether `make test` opens the whole storage of this release: the oldest content, and each older format of the embedded store."""
    return release.name == OLDEST or release.store.is_file()


def engine_of(release: Release) -> str:
    """Give the engine that kept a format of its own, or else the one that is read most quickly."""
    return "embedded" if release.store.is_file() else "memory"


PAIRS = [
    *(pytest.param((each, engine_of(each)), marks=() if stands_for_others(each) else pytest.mark.exhaustive) for each in releases()),
    pytest.param((Release(NEWEST), "azurite"), marks=[pytest.mark.azurite, pytest.mark.exhaustive]),
]
"""Storage of the newest release is read on Azurite, and what each format of the embedded store was kept as by that engine.

To what is read besides, the engine makes no difference.
"""


def filled(place: str, release: Release) -> str:
    """Put what the release wrote into a storage that is empty: its own store's folder, if it had that engine, or else its account."""
    if release.store.is_file() and not is_connection_string(place):
        unpack(release.store, Path(place))
        return place

    async def fill() -> None:
        storage = stores.opened(place)
        await load(storage, release.folder)
        await storage.close()

    asyncio.run(fill())
    return place


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[0].name}-{pair[1]}")
def pair(request: pytest.FixtureRequest) -> tuple[Release, str]:
    found: tuple[Release, str] = request.param
    return found


@pytest.fixture(scope="module")
def release(pair: tuple[Release, str]) -> Release:
    return pair[0]


@pytest.fixture(scope="module")
def engine(pair: tuple[Release, str]) -> str:
    return pair[1]


@pytest.fixture(scope="module")
def shared_storage(release: Release, engine: str, request: pytest.FixtureRequest) -> str:
    """The storage of a release, for tests that change nothing."""
    return filled(new_place(engine, request), release)


@pytest.fixture
def own_storage(release: Release, storage: str) -> str:
    """The storage of a release, for one test."""
    return filled(storage, release)


@dataclass(frozen=True)
class Later:
    """What today's app says once what was waiting is learned, and what it ranks then."""

    said: Any
    ranked: Any


@pytest.fixture(scope="module")
def later(release: Release, engine: str, request: pytest.FixtureRequest) -> Later:
    """Go on with the storage of a release, as that release did itself."""
    place, known = filled(new_place(engine, request), release), release.known()

    async def go() -> Later:
        opened = open_(release, place)
        opened.clock.pass_(known["later"])
        await go_on(opened.deployment, opened.app)
        said = await answers(opened.deployment, opened.app, known["keys"], known["events"])
        ranked = {loop: await rank_once_more(opened.app, loop, keys[0]) for loop, keys in known["keys"].items()}
        await opened.deployment.close()
        return Later(said, ranked)

    return asyncio.run(go())


@pytest.fixture
async def read(release: Release, shared_storage: str) -> AsyncIterator[Opened]:
    """The app on storage that others look at as well."""
    opened = open_(release, shared_storage)
    yield opened
    await opened.deployment.close()


@pytest.fixture
async def opened(release: Release, own_storage: str) -> AsyncIterator[Opened]:
    """The app on storage of its own."""
    opened = open_(release, own_storage)
    yield opened
    await opened.deployment.close()


def open_(release: Release, place: str) -> Opened:
    clock = SetClock(release.at())
    if place.startswith("memory:"):
        deployment = Deployment(release.settings("unused"), storage=stores.opened(place), clock=clock)
    else:
        deployment = Deployment(release.settings(place), clock=clock)
    return Opened(release, deployment, App(deployment), clock)
