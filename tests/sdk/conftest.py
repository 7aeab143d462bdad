"""The app on an account of its own, for all tests of one SDK."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.running import RunningApp
from tests.sdk.places import ADDRESSES, SETTINGS, Place, place_at


@pytest.fixture(scope="module")
def served(emulator: Azurite, unused_accounts: Iterator[str]) -> Iterator[RunningApp]:
    with RunningApp(emulator.connection_string(next(unused_accounts)), settings=SETTINGS) as app:
        yield app


@pytest.fixture(scope="module", params=ADDRESSES, ids=["endpoint", "endpoint with a slash", "endpoint of a loop"])
def place(request: pytest.FixtureRequest, served: RunningApp) -> Place:
    return place_at(served, request.param)
