"""``python -m local``: the whole service on this machine, until Ctrl-C.

The data are in a store under `.local/`, or in an Azurite. Host processes serve the app: those for HTTP, one for the timers, and those for
the functions of each queue, because that is how Azure scales it (Flex Consumption: HTTP functions share instances, every other function
has its own). ``--processes N`` has N of each but the timers' one.
"""

import argparse
import contextlib
import http.client
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.banner import banner
from local.demo_loop import DEMO_KEY, NAME, QUICK, demo_key
from local.hosts import HTTP, MOST, Hosts, Kind, kinds_behind, read_functions, stopped_in_order
from local.listening import LOOPBACK, Place, checked_host, handed_over, listening, place_of
from local.logs import write_logs_as_json
from local.processes import Child, LocalError, only_one_in
from local.settings import REPOSITORY, load_local_settings
from local.store import AZURITE, EMBEDDED, SETTING, Kept, settings_of, storage
from local.systemd import OF_SYSTEMD, Systemd
from local.tls import Certificate, certificate
from shared.domain.errors import SettingsError
from shared.domain.loop import DEFAULT_LOOP
from shared.runtime.own_machine import FOLDER_SETTING, OwnService, write_own_service
from shared.runtime.settings import read_settings

HOME = REPOSITORY / ".local"
READY_WITHIN = 60.0
"""Seconds the app gets to answer ``/status`` with 200."""

KEPT_KEYS = {"PERSONALIZER_KEYS": "keys", "PERSONALIZER_ADMIN_KEY": "admin-key"}
"""The files that hold what these settings do not give."""

NEW_CERTIFICATE = """
The certificate for HTTPS is new: what trusted an earlier one does not trust it.
"""

SHORTEST_KEY = 16
"""Characters that a key has at least where other machines are let in."""

log = logging.getLogger("local")


def main() -> int:
    """Run everything; 0 after Ctrl-C or SIGTERM, 1 when something is in the way or ended by itself."""
    given = parse_options(sys.argv[1:])
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ways of stopping unwind the same way
    try:
        load_local_settings(given.app)
        home = Path(os.environ.get(FOLDER_SETTING) or HOME)
        write_logs_as_json()
        with only_one_in(home) as lock:
            if given.app == REPOSITORY:
                check_settings(settings_of(given.storage, home))
            with listening_as(given) as sockets:
                run(given, home, lock=lock, sockets=sockets)
    except KeyboardInterrupt:
        say("Stopped.")
    except LocalError as error:
        complain(str(error))
        return 1
    return 0


@dataclass(frozen=True, slots=True)
class Options:
    """The command line; without ``hosts`` and ``port`` they are what was handed over, or 127.0.0.1 and ``PORT``."""

    app: Path
    hosts: tuple[str, ...]
    port: str | None
    storage: str
    demo: bool
    tls: bool
    processes: str | None


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line; ``--help`` explains it."""
    parser = argparse.ArgumentParser(prog="python -m local", description="Run the whole service on this machine.")
    parser.add_argument("--app", type=Path, default=REPOSITORY, help="the folder of function_app.py (default: this repository)")
    parser.add_argument(
        "--host",
        action="append",
        metavar="ADDRESS",
        help="listen on this IPv4 or IPv6 address of this machine (default: 127.0.0.1, which no other machine reaches); may be repeated",
    )
    parser.add_argument("--port", metavar="NUMBER", help="and on this port; 0 takes any free one (default: PORT, or 7071)")
    parser.add_argument(
        "--storage",
        choices=(EMBEDDED, AZURITE),
        default=EMBEDDED,
        help=f"keep the data in a store of this service, in the folder {SETTING} or .local/store, or in Azurite, which is Azure's"
        " storage for tests (default: %(default)s)",
    )
    parser.add_argument(
        "--demo",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="make a loop for the demo page, and have all loops learn within seconds of what they are told (default: do)",
    )
    parser.add_argument(
        "--tls", action="store_true", help="speak HTTPS, with a certificate for localhost that is made once; for this machine alone"
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        help="serve HTTP with so many processes on the one port, and the functions of each queue with as many (default: PROCESSES, or 1)",
    )
    given = parser.parse_args(arguments)
    return Options(
        app=given.app.resolve(),
        hosts=tuple(given.host or ()),
        port=given.port,
        storage=given.storage,
        demo=given.demo,
        tls=given.tls,
        processes=given.processes,
    )


@contextlib.contextmanager
def listening_as(given: Options) -> Iterator[list[socket.socket]]:
    """Listen where it was asked for; raises `LocalError` when that cannot be, or would let everyone in."""
    with handed_over(os.environ) as sockets:
        if sockets and (given.hosts or given.port):
            raise LocalError("systemd says where to listen (ListenStream=), so --host and --port cannot be given as well.")
        if sockets:
            check_exposure(given, [place_of(each) for each in sockets])
            yield sockets
            return
    hosts = list(dict.fromkeys(checked_host(text) for text in given.hosts)) or [LOOPBACK]
    check_exposure(given, [Place(host, 0) for host in hosts])
    with listening(hosts, wanted_port(given.port)) as made:
        yield made


def check_exposure(given: Options, places: Sequence[Place]) -> None:
    """Refuse to let other machines call what no key protects; raises `LocalError`."""
    if all(place.is_loopback for place in places):
        return
    if given.tls:
        raise LocalError(
            "--tls has a certificate for this machine's own addresses only. For other machines, leave it out and put a proxy before the"
            " service: docs/server.md."
        )
    if given.app != REPOSITORY:
        raise LocalError(
            "Another app than this repository's (--app) is served on loopback addresses only: no function keys are checked here."
        )
    for name in KEPT_KEYS:
        check_length(name, given_keys(name))


def check_length(name: str, keys: Sequence[str]) -> None:
    """Refuse keys that can be guessed; raises `LocalError`, which names the setting or the file."""
    if any(len(key) < SHORTEST_KEY for key in keys):
        raise LocalError(
            f"{name} has a key of fewer than {SHORTEST_KEY} characters, which can be guessed, and other machines are let in here."
            " Make one: openssl rand -hex 32"
        )


def run(given: Options, home: Path, *, lock: int, sockets: Sequence[socket.socket]) -> None:
    """Open the storage, start the hosts, say how to call them and watch them; leaves only by an exception."""
    systemd, processes = Systemd(os.environ), wanted_processes(given.processes)
    tls = certificate(home) if given.tls else None
    places = [place_of(each, trust=tls.authority if tls else None) for each in sockets]
    service = places[0].from_here
    key, admin_key = service_key(home), administrators_key(home)
    if not all(place.is_loopback for place in places):
        for name, kept_in in KEPT_KEYS.items():
            check_length(str(home / kept_in), [] if given_keys(name) else [kept_key(home / kept_in)])
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(storage(given.storage, home, is_usual=home == HOME, lock=lock))
        environment = app_environment(kept.settings, key, admin_key, demo=given.demo)
        hosts = stack.enter_context(stopped_in_order(Hosts(host_command(given.app), environment, kept.locks)))
        try:
            until = time.monotonic() + READY_WITHIN
            secure = [f"--tls-certificate={tls.chain}", f"--tls-key={tls.key}"] if tls else []
            options = [*secure, *(["--shared"] if processes > 1 else [])]
            first, *others = Kind(HTTP, (), processes).names
            hosts.answering(options, [each.fileno() for each in sockets], name=first)
            wait_until_ready(service, lambda: check(kept.processes, hosts), until=until)
            demo = demo_key(service, admin_key, home) if given.app == REPOSITORY and given.demo else None
            write_own_service(home, own_service(service, environment, home, has_demo=demo is not None))
            for name in others:  # not before: the first answer has the machine for itself
                hosts.answering(options, [each.fileno() for each in sockets], name=name)
            for kind in kinds_behind(functions(service, admin_key), processes=processes):
                hosts.working(kind)
            wait_until_all_answer(hosts, kept.processes, until=until)
            if sys.stdout.isatty():
                print(
                    banner(
                        places,
                        kept.name,
                        key=key,
                        admin_key=admin_key,
                        demo_key=demo,
                        note=kept.note + (NEW_CERTIFICATE if tls and tls.is_new else ""),
                    ),
                    flush=True,
                )
            else:
                log_start(places, home, kept, tls, hosts.names)
            systemd.ready()
            kills = processes > 1 or systemd.asks_every is not None  # one that a developer holds in a debugger is silent, too
            watch(kept.processes, lambda: hosts.look(kill_if_silent=kills), systemd, lambda: status(service) is not None)
        finally:
            systemd.stopping()
            signal.signal(signal.SIGINT, _ignore)  # an impatient second Ctrl-C must not cost Azurite its last writes
            signal.signal(signal.SIGTERM, _ignore)


def own_service(service: Place, environment: Mapping[str, str], home: Path, *, has_demo: bool) -> OwnService:
    """Say what others on this machine need to use the service; of keys only where they are kept, if they are."""
    settings = {name: text for name, text in environment.items() if name.startswith(("PERSONALIZER_", "AzureWebJobsStorage"))}
    kept = {name: None if given_keys(name) else str((home / file).absolute()) for name, file in KEPT_KEYS.items()}
    key_files = {DEFAULT_LOOP: kept["PERSONALIZER_KEYS"], NAME: str((home / DEMO_KEY).absolute()) if has_demo else None}
    return OwnService(
        endpoint=service.url,
        settings={name: text for name, text in settings.items() if "KEY" not in name and name != FOLDER_SETTING},
        trust=None if service.trust is None else str(service.trust.absolute()),
        key_files={loop: path for loop, path in key_files.items() if path is not None},
        admin_key_file=kept["PERSONALIZER_ADMIN_KEY"],
    )


def say(message: str) -> None:
    """Tell a person at a terminal, or write a line of the log."""
    if sys.stdout.isatty():
        print(f"\n{message}", flush=True)
    else:
        log.info(message)


def complain(message: str) -> None:
    """Tell a person at a terminal what is in the way, or write a line of the log."""
    if sys.stderr.isatty():
        print(f"\n{message}", file=sys.stderr, flush=True)
    else:
        log.error(message)


def log_start(places: Sequence[Place], home: Path, kept: Kept, tls: Certificate | None, processes: Sequence[str]) -> None:
    """Write where the service is, and where its data are, to the log, which others may read: so not the keys, but where those are."""
    keys = {name: name if given_keys(name) else str(home / kept) for name, kept in KEPT_KEYS.items()}
    facts = {
        "endpoints": [place.url for place in places],
        "from_other_machines": not all(place.is_loopback for place in places),
        "storage": kept.settings.get(SETTING, AZURITE),
        "keys": keys["PERSONALIZER_KEYS"],
        "admin_key": keys["PERSONALIZER_ADMIN_KEY"],
        "processes": processes,
        **({"trust": str(tls.authority), "certificate_is_new": tls.is_new} if tls else {}),
    }
    log.info("the service is running", extra=facts)
    if kept.note:
        log.warning(kept.note.strip())


def check_settings(storage: Mapping[str, str]) -> None:
    """Refuse a setting that the app would refuse, in one line instead of each process's log."""
    try:
        read_settings(app_environment(storage, key="", admin_key=""))
    except SettingsError as error:
        raise LocalError(f"A setting cannot be used: {error}.") from error


def app_environment(storage: Mapping[str, str], key: str, admin_key: str, *, demo: bool = True) -> dict[str, str]:
    """Hand on this process's settings, but none that could lead to another storage than this; fill in those the demo needs."""
    elsewhere = ("AzureWebJobsStorage", "PERSONALIZER_STORAGE", SETTING)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(elsewhere) and name not in OF_SYSTEMD}
    quick = {name: value for name, value in QUICK.items() if demo and not kept.get(name, "").strip()}
    keys = {
        "PERSONALIZER_KEYS": ",".join(given_keys("PERSONALIZER_KEYS")) or key,
        "PERSONALIZER_ADMIN_KEY": ",".join(given_keys("PERSONALIZER_ADMIN_KEY")) or admin_key,
    }
    return {**kept, **quick, **storage, **keys}


def host_command(app: Path) -> list[str]:
    """Say how a host process is started; `local.settings.json` has been read and is in the environment."""
    return [sys.executable, "-m", "local.host", "--app", str(app), "--no-local-settings", "--stop-with-parent"]


def wanted_port(given: str | None = None) -> int:
    """Read the port that was given, or else ``PORT``; 0 takes any free one."""
    text = given or os.environ.get("PORT") or "7071"
    if not (text.isascii() and text.isdigit()) or int(text) > 65535:
        raise LocalError(f"{'--port ' if given else 'PORT='}{text} is not a port number.")
    return int(text)


def wanted_processes(given: str | None = None) -> int:
    """Read how many processes were asked for, or else ``PROCESSES``; raises `LocalError`."""
    text = given or os.environ.get("PROCESSES", "").strip() or "1"
    if not (text.isascii() and text.isdigit() and len(text) < 10) or not 1 <= int(text) <= MOST:
        raise LocalError(f"{'--processes ' if given else 'PROCESSES='}{text[:40]} must be a number from 1 to {MOST}.")
    return int(text)


def given_keys(name: str) -> list[str]:
    """Read the keys that a setting holds, between commas; one that is blank holds none."""
    return [key.strip() for key in os.environ.get(name, "").split(",") if key.strip()]


def service_key(home: Path) -> str:
    """Return the first of ``PERSONALIZER_KEYS``, or the key made on the first start and kept for the next ones."""
    return next(iter(given_keys("PERSONALIZER_KEYS")), None) or kept_key(home / KEPT_KEYS["PERSONALIZER_KEYS"])


def administrators_key(home: Path) -> str:
    """Return ``PERSONALIZER_ADMIN_KEY``, or the key made on the first start and kept for the next ones."""
    return os.environ.get("PERSONALIZER_ADMIN_KEY", "").strip() or kept_key(home / KEPT_KEYS["PERSONALIZER_ADMIN_KEY"])


def kept_key(path: Path) -> str:
    """Return the key in this file, which is made if it is not there; only its owner may read it.

    It is on the disk before it is shown: after a power cut it is the same. Raises `LocalError` for a file that is empty.
    """
    if not path.exists():
        unfinished = path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600, exist_ok=False)
        with unfinished.open("w") as file:
            file.write(secrets.token_hex(16))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        sync_folder(path.parent)
    key = path.read_text().strip()
    if not key:
        raise LocalError(f"{path} is empty. Write the key into it, or delete it: a new key is made then.")
    return key


def sync_folder(folder: Path) -> None:
    """Have the names in a folder stay as they are, even after a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def wait_until_ready(service: Place, check_all: Callable[[], None], *, until: float) -> None:
    """Return when ``GET /status`` answers 200. It is asked without a key: with one it counts all that is to be learned, however much."""
    answer = "no answer"
    while time.monotonic() < until:
        check_all()
        answer = status(service) or answer
        if answer.startswith("200 "):
            return
        time.sleep(0.1)
    raise LocalError(f"The app did not become ready in {READY_WITHIN:.0f} s. GET /status: {answer}")


def wait_until_all_answer(hosts: Hosts, storage: Sequence[Child], *, until: float) -> None:
    """Return when all processes that answer calls are ready.

    One does already, so it is no error when the others take longer, and one that ends meanwhile is started again.
    """
    while not hosts.answer:
        check_storage(storage)
        hosts.look(kill_if_silent=False)
        if time.monotonic() > until:
            log.warning("not all processes answer yet", extra={"after_seconds": READY_WITHIN})
            return
        time.sleep(0.05)


def functions(service: Place, admin_key: str) -> Sequence[Mapping[str, Any]]:
    """Ask the host of HTTP which functions the app has; raises `LocalError`."""
    with contextlib.closing(service.connection(timeout=30)) as connection:
        try:
            connection.request("GET", "/admin/functions", headers={"Ocp-Apim-Subscription-Key": admin_key})
            response = connection.getresponse()
            return read_functions(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise LocalError(f"The app did not tell its functions: {error}.") from error


def status(service: Place) -> str | None:
    """Ask the app whether it runs; None when nobody answers."""
    with contextlib.closing(service.connection(timeout=5)) as connection:
        try:
            connection.request("GET", "/status")
            response = connection.getresponse()
            return f"{response.status} {response.read(1000).decode(errors='replace')}"
        except (OSError, http.client.HTTPException):
            return None


def watch(storage: Sequence[Child], look: Callable[[], None], systemd: Systemd, answers: Callable[[], bool]) -> None:
    """Look after all processes until one ends that cannot be started again, which is an error.

    Tells systemd that calls are answered, if it waits for that.
    """
    due = time.monotonic()
    while True:
        check_storage(storage)
        look()
        if systemd.asks_every is not None and time.monotonic() >= due:
            due = time.monotonic() + systemd.asks_every
            if answers():
                systemd.alive()
        time.sleep(0.2)


def check(storage: Sequence[Child], hosts: Hosts) -> None:
    """Raise `LocalError` when any process has ended."""
    check_storage(storage)
    hosts.check()


def check_storage(processes: Sequence[Child]) -> None:
    """Raise `LocalError` when a process of the storage has ended by itself."""
    for child in processes:
        if child.exit_code is not None:
            raise LocalError(f"{child.name} ended by itself (exit code {child.exit_code}). Stopping the rest.")


def _ignore(*_: object) -> None:
    """Do nothing; unlike SIG_IGN this is not handed down to child processes."""


if __name__ == "__main__":
    sys.exit(main())
