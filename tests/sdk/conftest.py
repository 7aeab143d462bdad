"""The app on an account of its own, for all tests of one SDK."""

from collections.abc import Iterator

import pytest

from tests.running import RunningApp
from tests.sdk.places import ADDRESSES, SETTINGS, Place, place_at
from tests.stores import NewStorage


@pytest.fixture(scope="module")
def served(new_store: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_store(), settings=SETTINGS) as app:
        yield app


@pytest.fixture(scope="module", params=ADDRESSES, ids=["endpoint", "endpoint with a slash", "endpoint of a loop"])
def place(request: pytest.FixtureRequest, served: RunningApp) -> Place:
    return place_at(served, request.param)
