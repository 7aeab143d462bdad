"""The app on an embedded store, under all rules of the real host, and once more on an account, as a server of one's own serves it.

That one takes what does not come through the real host: an endpoint with a slash at its end, as some SDKs send it, and bodies in chunks.
"""

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
    with RunningApp(new_store(), settings=SETTINGS, as_azure=False) as app:
        yield app


@pytest.fixture(scope="module")
def served_on_azurite(new_account: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_account(), settings=SETTINGS, as_azure=False) as app:
        yield app


@pytest.fixture(scope="module", params=PLACES)
def place(request: pytest.FixtureRequest) -> Place:
    served, address = request.param
    return place_at(request.getfixturevalue(served), address)
