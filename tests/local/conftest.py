import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import HostKind, RunningApp

collect_ignore = ["sample_app.py"]  # it is run by a host, not collected

os.environ |= {"SAMPLE_SCHEDULE": "* * * * * *", "SAMPLE_QUEUE": "sample"}  # a host knows its app's settings before the app does


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    shutil.copy(Path(__file__).with_name("sample_app.py"), folder / "function_app.py")
    queues = {"batchSize": 4, "visibilityTimeout": "00:00:01", "maxPollingInterval": "00:00:01"}
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"http": {"routePrefix": ""}, "queues": queues}}))
    return folder


@pytest.fixture(scope="session")
def sample(host: HostKind, sample_folder: Path) -> Iterator[RunningApp]:
    with RunningApp("unused", kind=host, folder=sample_folder) as running:
        yield running
