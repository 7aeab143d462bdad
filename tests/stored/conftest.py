import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared.runtime.wiring import Deployment
from tests import stores
from tests.clocks import SetClock
from tests.stored.account import load
from tests.stored.asking import answers, go_on, rank_once_more
from tests.stored.calls import App
from tests.stored.releases import Release, releases
from tests.stores import ENGINES, new_place


@dataclass
class Opened:
    """Today's app on the storage of a release, at the time when that was written."""

    release: Release
    deployment: Deployment
    app: App
    clock: SetClock


def filled(place: str, release: Release) -> str:
    """Put what the release wrote into a storage that is empty."""

    async def fill() -> None:
        storage = stores.opened(place)
        await load(storage, release.folder)
        await storage.close()

    asyncio.run(fill())
    return place


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module", params=releases(), ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


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
    deployment = Deployment(release.settings(place), clock=clock)
    return Opened(release, deployment, App(deployment), clock)
