"""How the processes of `make test` read the tests: each in a turn of its own, and all to the same order."""

import json
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

EACH_PROCESS = """
import json
import pathlib
import sys

import pytest

from tests.scheduling import Turns


class Seen:
    def __init__(self):
        self.read = []

    def pytest_collectstart(self, collector):
        if isinstance(collector, pytest.Module):
            self.read.append(collector.nodeid)

    def pytest_collection_finish(self, session):
        self.tests = [item.nodeid for item in session.items]


for process in range(4):
    seen = Seen()
    turns = Turns(pathlib.Path("rooms").absolute(), process=process, of=4)
    pytest.main("--collect-only -q --import-mode=importlib -p no:asyncio rooms others".split(), plugins=[turns, seen])
    print(json.dumps([seen.read, seen.tests]), file=sys.stderr)
"""

FILES = ("rooms/a/test_a.py", "rooms/b/test_b.py", "rooms/c/test_c.py", "rooms/test_d.py", "others/test_a.py")


def test_each_process_begins_in_another_room_and_all_come_to_the_same_order(tmp_path):
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("def test_one():\n    pass\n\ndef test_two():\n    pass\n")
    (tmp_path / "rooms/__init__.py").touch()
    command, environment = [sys.executable, "-c", EACH_PROCESS], os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    processes = [json.loads(line) for line in done.stderr.splitlines()]
    assert len({read[0] for read, _ in processes}) == len(processes) == 4
    assert {tuple(sorted(read)) for read, _ in processes} == {tuple(sorted(FILES))}
    (order,) = {tuple(tests) for _, tests in processes}
    assert order == tuple(f"{file}::{test}" for file in FILES for test in ("test_one", "test_two"))
