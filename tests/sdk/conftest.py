"""The app on an embedded store, and once more on an account, for all tests of one SDK."""

from collections.abc import Iterator

import pytest

from tests.running import RunningApp
from tests.sdk.places import SETTINGS, Place, place_at
from tests.stores import NewStorage

PLACES = [
    pytest.param(("served", "{app}"), id="endpoint", marks=pytest.mark.slow),
    pytest.param(("served_on_azurite", "{app}/"), id="endpoint with a slash on azurite", marks=[pytest.mark.azurite, pytest.mark.slow]),
    pytest.param(("served", "{app}/loops/news"), id="endpoint of a loop", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def served(new_store: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_store(), settings=SETTINGS) as app:
        yield app


@pytest.fixture(scope="module")
def served_on_azurite(new_account: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_account(), settings=SETTINGS) as app:
        yield app


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    served, address = request.param
    return place_at(request.getfixturevalue(served), address)
