"""What systemd is told."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.__main__ import watch
from local.processes import LocalError
from local.systemd import Systemd


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(5)
        yield told, str(tmp_path / "notify")


def test_it_hears_of_the_start_of_life_and_of_the_end(manager):
    told, address = manager
    systemd = Systemd({"NOTIFY_SOCKET": address})
    systemd.ready()
    systemd.alive()
    systemd.stopping()
    assert [told.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_an_abstract_address_is_one_as_well():
    name = f"personalizer-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(f"\0{name}")
        told.settimeout(5)
        Systemd({"NOTIFY_SOCKET": f"@{name}"}).ready()
        assert told.recv(100) == b"READY=1"


def test_it_may_miss_two_signs_of_life():
    assert Systemd({"WATCHDOG_USEC": "90000000"}).asks_every == 30
    assert Systemd({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": str(os.getpid())}).asks_every == 30


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "1"}])
def test_where_it_waits_for_no_sign_of_life_none_is_due(environment):
    assert Systemd(environment).asks_every is None


def test_a_manager_that_is_gone_stops_nothing(tmp_path):
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


class EndsAfter:
    """A process that has ended when it was looked at so many times."""

    name = "It"

    def __init__(self, looks: int) -> None:
        self._looks = looks

    @property
    def exit_code(self) -> int | None:
        self._looks -= 1
        return None if self._looks > 0 else 1


def test_signs_of_life_are_given_as_long_as_calls_are_answered(manager):
    told, address = manager
    systemd = Systemd({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "300000"})
    answers = iter([True, True])
    ends: Any = EndsAfter(10)
    with pytest.raises(LocalError, match="It ended by itself"):
        watch([ends], lambda: None, systemd, lambda: next(answers, False))
    told.setblocking(False)
    assert [told.recv(100) for _ in range(2)] == [b"WATCHDOG=1"] * 2
    with pytest.raises(BlockingIOError):
        told.recv(100)
