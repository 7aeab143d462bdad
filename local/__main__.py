"""``python -m local``: the whole service on this machine, until Ctrl-C.

Azurite keeps the data under `.local/`; three host processes serve the app, for HTTP, for timers and for queues, because
that is how Azure scales it (Flex Consumption: HTTP functions share instances, every other function has its own).
"""

import argparse
import contextlib
import http.client
import os
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local.azurite import FREE_PORTS, default_ports_if_free, ensure_installed, running_azurite
from local.banner import banner
from local.demo_loop import QUICK, demo_key
from local.front import GRACE
from local.host import REPOSITORY
from local.processes import Child, LocalError, free_port, only_one_in, port_is_free, stopped_at_the_end
from local.settings import load_local_settings
from shared.domain.errors import SettingsError
from shared.runtime.settings import read_settings

HOME = REPOSITORY / ".local"
READY_WITHIN = 60.0
"""Seconds the app gets to answer ``/status`` with 200."""


def main() -> int:
    """Run everything; 0 after Ctrl-C or SIGTERM, 1 when something is in the way or ended by itself."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Run Azurite and the function app on 127.0.0.1.")
    parser.add_argument("--app", type=Path, default=REPOSITORY, help="the folder of function_app.py (default: this repository)")
    app: Path = parser.parse_args().app.resolve()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ways of stopping unwind the same way
    load_local_settings(app)
    home = Path(os.environ.get("PERSONALIZER_LOCAL_DIR") or HOME)
    try:
        with only_one_in(home) as lock:
            if app == REPOSITORY:
                check_settings()
            run(app, home, lock=lock, port=wanted_port())
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
    except LocalError as error:
        print(f"\n{error}", file=sys.stderr, flush=True)
        return 1
    return 0


def run(app: Path, home: Path, *, lock: int, port: int) -> None:
    """Start Azurite and the hosts, say how to call them and watch them; leaves only by an exception."""
    key, admin_key = service_key(home), administrators_key(home)
    ensure_installed()
    with contextlib.ExitStack() as stack:
        ports = default_ports_if_free() if home == HOME else FREE_PORTS  # two that start at once must not both want the usual ones
        azurite = stack.enter_context(running_azurite(home / "data", ports=ports, lock=lock))
        storage = azurite.connection_string()
        environment = app_environment(storage, key, admin_key)
        hosts = [
            Child(name, [*host_command(app), *options], environment=environment, output=None, lock=lock)
            for name, options in {
                "The HTTP host": ["--port", str(port), "--no-timers", "--no-queues"],
                "The timer host": ["--port", "0", "--timers", "--no-queues"],
                "The queue host": ["--port", "0", "--no-timers", "--queues"],
            }.items()
        ]
        for host in hosts:
            stack.enter_context(stopped_at_the_end(host, grace=GRACE + 2))
        try:
            wait_until_ready(port, key, [azurite.process, *hosts])
            demo = demo_key(port, admin_key, home) if app == REPOSITORY else None
            print(banner(f"http://127.0.0.1:{port}", storage, key=key, admin_key=admin_key, demo_key=demo), flush=True)
            watch([azurite.process, *hosts])
        finally:
            signal.signal(signal.SIGINT, _ignore)  # an impatient second Ctrl-C must not cost Azurite its last writes
            signal.signal(signal.SIGTERM, _ignore)
            for host in hosts:
                host.ask_to_stop()


def check_settings() -> None:
    """Refuse a setting that the app would refuse, in one line instead of four processes' logs."""
    try:
        read_settings(app_environment("UseDevelopmentStorage=true", key="", admin_key=""))
    except SettingsError as error:
        raise LocalError(f"A setting cannot be used: {error}.") from error


def app_environment(storage: str, key: str, admin_key: str) -> dict[str, str]:
    """Hand on this process's settings, but none that could lead to another store than this Azurite; fill in those the demo needs."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AzureWebJobsStorage", "PERSONALIZER_STORAGE"))}
    quick = {name: value for name, value in QUICK.items() if not kept.get(name, "").strip()}
    keys = {
        "PERSONALIZER_KEYS": os.environ.get("PERSONALIZER_KEYS") or key,
        "PERSONALIZER_ADMIN_KEY": os.environ.get("PERSONALIZER_ADMIN_KEY") or admin_key,
    }
    return {**kept, **quick, "AzureWebJobsStorage": storage, **keys}


def host_command(app: Path) -> list[str]:
    """Say how a host process is started; `local.settings.json` has been read and is in the environment."""
    return [sys.executable, "-m", "local.host", "--app", str(app), "--no-local-settings", "--stop-with-parent"]


def wanted_port() -> int:
    """Read ``PORT`` and make sure that nobody listens there; 0 takes any free one."""
    text = os.environ.get("PORT") or "7071"
    if not text.isdigit() or int(text) > 65535:
        raise LocalError(f"PORT={text} is not a port number.")
    port = int(text) or free_port()
    if not port_is_free(port):
        raise LocalError(f"PORT {port} of 127.0.0.1 is in use by another program. Stop it, or choose another: PORT=8080 make run")
    return port


def service_key(home: Path) -> str:
    """Return the first of ``PERSONALIZER_KEYS``, or the key made on the first start and kept for the next ones."""
    if given := os.environ.get("PERSONALIZER_KEYS"):
        return given.split(",")[0].strip()
    return kept_key(home / "keys")


def administrators_key(home: Path) -> str:
    """Return ``PERSONALIZER_ADMIN_KEY``, or the key made on the first start and kept for the next ones."""
    return os.environ.get("PERSONALIZER_ADMIN_KEY", "").strip() or kept_key(home / "admin-key")


def kept_key(path: Path) -> str:
    """Return the key in this file, which is made if it is not there; only its owner may read it."""
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_text(secrets.token_hex(16))
        unfinished.rename(path)
    return path.read_text()


def wait_until_ready(port: int, key: str, children: Sequence[Child]) -> None:
    """Return when ``GET /status`` answers 200."""
    until = time.monotonic() + READY_WITHIN
    answer = "no answer"
    while time.monotonic() < until:
        check(children)
        answer = status(port, key) or answer
        if answer.startswith("200 "):
            return
        time.sleep(0.1)
    raise LocalError(f"The app did not become ready in {READY_WITHIN:.0f} s. GET /status: {answer}")


def status(port: int, key: str) -> str | None:
    """Ask the app how it is; None when nobody answers."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/status", headers={"Ocp-Apim-Subscription-Key": key})
            response = connection.getresponse()
            return f"{response.status} {response.read(1000).decode(errors='replace')}"
        except (OSError, http.client.HTTPException):
            return None


def watch(children: Sequence[Child]) -> None:
    """Look after the children until one of them ends, which is an error."""
    while True:
        check(children)
        time.sleep(0.2)


def check(children: Sequence[Child]) -> None:
    """Raise when a child has ended by itself."""
    for child in children:
        if child.exit_code is not None:
            raise LocalError(f"{child.name} ended by itself (exit code {child.exit_code}). Stopping the rest.")


def _ignore(*_: object) -> None:
    """Do nothing; unlike SIG_IGN this is not handed down to child processes."""


if __name__ == "__main__":
    sys.exit(main())
