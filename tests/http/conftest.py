"""Apps with settings of their own, beside the one that all suites share."""

from collections.abc import Iterator

import pytest

from tests.http.building import TWO_KEYS
from tests.http.own_loops import SETTINGS
from tests.running import HostKind, RunningApp
from tests.stores import NewStorage


@pytest.fixture(scope="session")
def quiet(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app with two keys, for requests that are not logged: its counters stay quick to read."""
    settings = {"PERSONALIZER_KEYS": ",".join(TWO_KEYS)}
    running = RunningApp(new_store(), kind=host, settings=settings)
    running.key = TWO_KEYS[0]
    with running:
        yield running


@pytest.fixture(scope="session")
def shared(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app with an administrator, in which tests make loops of their own."""
    with RunningApp(new_store(), kind=host, settings=SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def on_a_server(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app as `make run` serves it: with what the real host would keep from it."""
    with RunningApp(new_store(), kind=host, as_azure=False) as running:
        yield running


@pytest.fixture(scope="session")
def keyless(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app that was given no key, and so sends none to see whether it is up."""
    running = RunningApp(new_store(), kind=host, settings={"PERSONALIZER_KEYS": ""})
    running.key = ""
    with running:
        yield running


@pytest.fixture(scope="module", params=["Apprentice", "LoggingOnly"])
def baseline(request: pytest.FixtureRequest, host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """An app in each of the learning modes that answer the application's own choice."""
    settings = {"PERSONALIZER_LEARNING_MODE": request.param}
    with RunningApp(new_store(), kind=host, settings=settings) as running:
        yield running
