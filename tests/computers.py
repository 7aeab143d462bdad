"""A machine as an embedded store sees it: tests set its clock, let time pass, and start it anew."""

from pathlib import Path

from shared.storage.embedded.times import FolderTime, Machine
from tests.builders import T0
from tests.clocks import SetClock


class Computer:
    """A machine whose clock is set, which is started anew, and in which time passes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.clock = SetClock(T0)
        self.passed = 1_000.0
        self.starts = 1

    def process(self) -> FolderTime:
        time = self.time()
        time.open()
        return time

    def time(self) -> FolderTime:
        machine = Machine(self.clock, lambda: self.passed, lambda: bytes([self.starts]) * 16)
        return FolderTime(self._folder, self.clock, machine=machine)

    def pass_(self, seconds: float) -> None:
        self.passed += seconds
        self.clock.pass_(seconds)

    def start_anew(self) -> None:
        self.starts, self.passed = self.starts + 1, 5.0
