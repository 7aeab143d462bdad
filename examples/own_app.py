"""Starts the app for the length of a demo, with waits of seconds instead of minutes, and stops it again."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from examples.errors import DemoError, KeyRefusedError, OwnAppError
from examples.status import read_status

QUICK_LOOP = {
    "PERSONALIZER_REWARD_WAIT_TIME": "PT2S",
    "PERSONALIZER_INGEST_GRACE": "PT0S",
    "PERSONALIZER_TRAINER_SCHEDULE": "* * * * * *",
    "PERSONALIZER_MODEL_EXPORT_FREQUENCY": "PT2S",
    "PERSONALIZER_MODEL_POLL_INTERVAL": "PT1S",
}
"""Settings under which a loop learns within seconds."""

START_SECONDS = 60.0  # what `python -m local` takes itself at most
STOP_SECONDS = 45.0  # it lets requests end, and what timers do
ROOT = Path(__file__).resolve().parent.parent
LOCAL_FOLDER = ".local"
LOCAL_SETTINGS = ROOT / "local.settings.json"


class OwnApp:
    """An app with an empty store of its own; use it as a context manager.

    `command` is what starts it; it is told port, key and folder by environment variables and must stop on SIGTERM. All that it keeps is
    in a temporary folder.
    """

    def __init__(self, command: tuple[str, ...] = (sys.executable, "-m", "local")) -> None:
        self.key = secrets.token_hex(16)
        self.endpoint = ""
        self._port: socket.socket | None = None
        self._command = command
        self._folder = Path()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Where the app's output goes."""
        return self._folder / "app.log"

    def __enter__(self) -> "OwnApp":
        blanked = dict.fromkeys(_named_in_local_settings(), "")  # a blank setting takes its default and cannot be filled from the file
        self._folder = Path(tempfile.mkdtemp(prefix="personalizer-demo-"))
        self._port = _held_port()
        self.endpoint = f"http://127.0.0.1:{self._port.getsockname()[1]}"
        if sys.platform != "linux":
            self._port.close()  # elsewhere no two sockets may have one port, whatever they say
        environment = _machine_environment() | blanked | QUICK_LOOP | self._own_settings()
        with self.log.open("wb") as log:
            # A session of its own: Ctrl-C in the terminal reaches the demo alone, which then stops the app in order.
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if self._port is not None:
            self._port.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait_until_ready(self, tell: Callable[[float], None] = lambda seconds: None) -> None:
        """Return when `/status` answers; `OwnAppError` with the end of the log when it does not."""
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            self.check()
            if self._answers():
                return
            tell(time.monotonic() - began)
            time.sleep(0.3)
        raise OwnAppError(f"The app was not ready after {START_SECONDS:.0f} seconds.{self._last_words()}")

    def check(self) -> None:
        """Raise `OwnAppError` if the app has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise OwnAppError(f"The app ended with code {self._process.returncode}.{self._last_words()}")

    def stop(self) -> None:
        """Ask it to end and wait; after a while end it by force, upon which what it started ends by itself."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _answers(self) -> bool:
        try:
            read_status(self.endpoint, self.key, timeout=2.0)
        except KeyRefusedError:
            raise
        except DemoError:
            return False
        return True

    def _own_settings(self) -> dict[str, str]:
        return {
            "PERSONALIZER_KEYS": self.key,
            "PERSONALIZER_LOCAL_DIR": str(self._folder / "state"),
            "PORT": self.endpoint.rsplit(":", 1)[1],
            "PYTHONUNBUFFERED": "1",
        }

    def _last_words(self, lines: int = 25) -> str:
        with self.log.open(encoding="utf-8", errors="replace") as log:
            tail = "".join(deque(log, maxlen=lines)).strip()
        return f" The end of its log:\n\n{tail}" if tail else " It wrote nothing."


def _machine_environment() -> dict[str, str]:
    """Keep what the machine needs, but nothing that could lead to another store or loop."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PERSONALIZER_", "AzureWebJobsStorage"))}


def _named_in_local_settings() -> list[str]:
    try:
        values = json.loads(LOCAL_SETTINGS.read_text("utf-8-sig"))["Values"]
    except (OSError, ValueError, LookupError, TypeError):  # none, or one that the app itself will complain of
        return []
    names = [name for name in values or () if name.startswith("PERSONALIZER_")]
    for name in names:
        if name.startswith("PERSONALIZER_STORAGE"):
            raise OwnAppError(
                f"{name} in {LOCAL_SETTINGS.name} leads to a storage account; the demo would write its traffic there. Take it out."
            )
    return names


def _held_port() -> socket.socket:
    """Bind a port that the app alone can listen on: it says that it shares the port, and nobody else asks for this one by number.

    A port that was only looked for could be another's before the app has it.
    """
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return held


def main() -> None:
    """Run an app for another program: print endpoint and key as a line of JSON, and stop when standard input ends."""
    with OwnApp() as app:
        app.wait_until_ready()
        print(json.dumps({"endpoint": app.endpoint, "key": app.key}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
