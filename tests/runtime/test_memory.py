"""How much memory a process plans with."""

import pytest

from shared.runtime.memory import memory_here
from shared.runtime.settings import read_settings


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n", "", "nonsense"])
def test_without_a_limit_it_is_that_of_the_machine(tmp_path, text):
    file = tmp_path / "memory.max"
    file.write_text(text, "ascii")
    assert memory_here([file, tmp_path / "missing"]) == memory_here([]) > 1 << 20


def test_a_container_has_what_it_may_take(tmp_path):
    file = tmp_path / "memory.max"
    file.write_text("100000000\n", "ascii")
    assert memory_here([tmp_path / "missing", file]) == 100_000_000


def test_a_process_plans_with_what_it_is_told_and_never_with_more_than_there_is():
    planned = [read_settings({"PERSONALIZER_STORE": "store", "PERSONALIZER_MEMORY_MB": text}).memory for text in ("256", "1048576")]
    assert planned == [min(256 << 20, memory_here()), memory_here()]
