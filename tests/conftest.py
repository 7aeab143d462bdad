"""Fixtures every suite shares: storage on either engine, and the app behind both kinds of host."""

import gc
import itertools
import os
import signal
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from local.azurite import Azurite, running_azurite
from tests import sweeps
from tests.doctests import Doctests
from tests.functions_host.workers import OWN, SETTING
from tests.left_behind import LeftBehind
from tests.running import HostKind, RunningApp
from tests.scheduling import Turns, Units, reorder
from tests.stores import NewStorage, left, new_place, quick_folder

if TYPE_CHECKING:
    from xdist.remote import Producer

collect_ignore = ["worker_host.py"]  # imports a package that is in the other environment only

settings.register_profile(
    "suite", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50
)  # a busy machine fails no test, and each run draws other examples
settings.load_profile("suite")

ACCOUNTS = tuple(f"account{number:03}" for number in range(1000))
"""Storage accounts of the session's Azurite; `new_account` gives one after the other."""


def pytest_configure(config: pytest.Config) -> None:
    """Look for examples where there are some, and have each file of tests leave what others share as it was."""
    config.pluginmanager.register(Doctests())
    config.pluginmanager.register(LeftBehind())
    if hasattr(config, "workerinput"):
        count = config.workerinput["workercount"]
        config.pluginmanager.register(
            Turns(Path(__file__).parent, process=int(config.workerinput["workerid"].removeprefix("gw")), of=count)
        )


def pytest_sessionstart() -> None:
    """Have programs that tests start hear Ctrl-C, even if the tests themselves were started in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage neither while all tests are collected, which stay to the end, nor among them later: that took a third of it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what needs Azurite, what shares an app and what sweeps, before markers are looked at: no test has to say it twice."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if "emulator" in names:
            item.add_marker(pytest.mark.azurite)
        if names & {"host", "new_store"}:
            item.add_marker(pytest.mark.slow)
    sweeps.mark(items)
    sweeps.leave_out(config, items)


@pytest.hookimpl(trylast=True, specname="pytest_collection_modifyitems")
def put_in_order(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have all processes of `make test` take the tests in one order, in which what takes long comes first."""
    if hasattr(config, "workerinput"):
        reorder(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> Units | None:
    """Spread whole files over the processes of `make test`."""
    return Units(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite for the whole session, once a test needs it, on free ports and in memory."""
    with running_azurite(tmp_path_factory.mktemp("azurite") / "data", accounts=ACCOUNTS, in_memory=True) as azurite:
        yield azurite


@pytest.fixture(scope="session")
def new_account(emulator: Azurite) -> NewStorage:
    """Empty accounts of Azurite."""
    unused = iter(ACCOUNTS)
    return lambda: emulator.connection_string(next(unused))


@pytest.fixture(scope="session")
def new_store() -> Iterator[NewStorage]:
    """Folders for embedded stores."""
    with tempfile.TemporaryDirectory(prefix="personalizer-tests-", dir=quick_folder(), ignore_cleanup_errors=True) as folder:
        numbers = itertools.count()
        yield lambda: f"{folder}/{next(numbers):04}"


@pytest.fixture
def engine() -> str:
    """What keeps a test's `storage`; a file that is about storage has this fixture give all of `tests.stores.ENGINES`."""
    return "embedded"


@pytest.fixture
def storage(engine: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty storage that nobody else uses: a folder's path, a connection string, or the name of a place in memory."""
    place = new_place(engine, request)
    yield place
    left(engine, place)


@pytest.fixture(scope="session", params=["local", "worker", *(["protocol"] if SETTING in os.environ else [])])
def host(request: pytest.FixtureRequest) -> HostKind:
    """The kinds of host: the local one, and behind the same front Microsoft's worker for 3.13, and the one of a folder that is named."""
    kind: HostKind = request.param
    return kind


@pytest.fixture(scope="session")
def app(host: HostKind, new_store: NewStorage) -> Iterator[RunningApp]:
    """The app, started once for each kind of host on a store of its own, with its timers off."""
    with RunningApp(new_store(), kind=host) as running:
        yield running


@pytest.fixture(scope="session", params=["own", "named"])
def worker(request: pytest.FixtureRequest) -> str:
    """The folder of a worker for hosts of the kind ``protocol``: the tests' own, and the one that the developer names."""
    folder = str(OWN) if request.param == "own" else os.environ.get(SETTING, "")
    if not folder:
        pytest.skip(f"{SETTING} names no folder of a worker, as Core Tools has one")
    return folder
