"""The app that the Go SDK is tried on; with the queue, so that evaluations come to an end.

These tests are collected only where this folder, or that of all SDKs, is asked for: what they fetch and compile is much for a first time.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import RunningApp
from tests.sdk.places import SETTINGS
from tests.stores import NewStorage

SDKS = Path(__file__).resolve().parent.parent


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave the tests out of a run of the whole suite."""
    asked = [(config.invocation_params.dir / argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(each.is_relative_to(SDKS) for each in asked) else True


@pytest.fixture(scope="module")
def served(new_store: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_store(), settings=SETTINGS, queues=True) as app:
        yield app


@pytest.fixture(scope="module")
def served_on_azurite(new_account: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_account(), settings=SETTINGS, as_azure=False, queues=True) as app:
        yield app
