"""Installs and runs Azurite, the emulator of Azure Storage."""

import base64
import contextlib
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from local.node import find_node
from local.processes import Child, LocalError, port_is_free, stopped_at_the_end

VERSION = "3.35.0"
INSTALLED = Path(__file__).resolve().parent.parent / ".local" / "azurite"
GUARD = Path(__file__).with_name("stop_with_parent.cjs")

DEFAULT_PORTS = (10000, 10001, 10002)
FREE_PORTS = (0, 0, 0)
"""Azurite takes any free port for 0 and prints which."""

DEFAULT_ACCOUNT = "devstoreaccount1"
DEFAULT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's documented account; it protects nothing."""

LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (http://\S+)")

GRACE = 10.0
"""Seconds Azurite gets to write its last changes; killed, it loses them."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running emulator's endpoints by service: ``Blob``, ``Queue``, ``Table``."""

    endpoints: Mapping[str, str]
    process: Child

    def connection_string(self, account: str = DEFAULT_ACCOUNT) -> str:
        """Describe one account the way the Azure SDKs read it."""
        services = "".join(f"{service}Endpoint={url}/{account};" for service, url in sorted(self.endpoints.items()))
        return f"DefaultEndpointsProtocol=http;AccountName={account};AccountKey={account_key(account)};{services}"


def account_key(account: str) -> str:
    """Return the key of Azurite's own account, or the one every other account is started with."""
    return DEFAULT_KEY if account == DEFAULT_ACCOUNT else base64.b64encode(account.encode()).decode()


def default_ports_if_free() -> tuple[int, int, int]:
    """Azurite's usual ports, so that other tools find it; any free ones when another Azurite has them."""
    return DEFAULT_PORTS if all(port_is_free(port) for port in DEFAULT_PORTS) else FREE_PORTS


@contextlib.contextmanager
def running_azurite(
    data: Path,
    *,
    ports: tuple[int, int, int] = FREE_PORTS,
    accounts: tuple[str, ...] = (),
    locks: Sequence[int] = (),
    in_memory: bool = False,
    timeout: float = 60.0,
) -> Iterator[Azurite]:
    """Run Azurite on a folder until the block is left; it also stops when this process ends.

    ``in_memory`` has it write nothing into the folder, and everything is gone with it.
    """
    data.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "AZURITE_ACCOUNTS": ";".join(f"{name}:{account_key(name)}" for name in (DEFAULT_ACCOUNT, *accounts))}
    log = data.with_name(f"{data.name}.log")
    with log.open("wb") as output:
        child = Child("Azurite", command(None if in_memory else data, ports), environment=environment, output=output, locks=locks)
    with stopped_at_the_end(child, grace=GRACE):
        yield Azurite(endpoints_from(log, child, timeout), child)


def command(data: Path | None, ports: tuple[int, int, int]) -> list[str]:
    """Say what to run, with its data in a folder or, for None, in memory; Azurite is installed first when it is not there."""
    blob, queue, table = ports
    node = find_node().node
    options = ["--silent", "--disableTelemetry", *(["--inMemoryPersistence"] if data is None else ["--location", str(data)])]
    options.append("--skipApiVersionCheck")  # the Azure SDKs speak newer versions than Azurite knows
    for service, port in {"blob": blob, "queue": queue, "table": table}.items():
        options += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    return [node, "--require", str(GUARD), str(ensure_installed() / "dist" / "src" / "azurite.js"), *options]


def endpoints_from(log: Path, child: Child, timeout: float) -> dict[str, str]:
    """Wait until Azurite has printed where its three services listen."""
    until = time.monotonic() + timeout
    while time.monotonic() < until and child.exit_code is None:
        endpoints = dict(LISTENING.findall(log.read_text(errors="replace")))
        if len(endpoints) == 3:
            return endpoints
        time.sleep(0.05)
    raise LocalError(f"Azurite did not start (see {log}):\n{log.read_text(errors='replace')[-2000:]}")


def ensure_installed() -> Path:
    """Return the folder of the pinned Azurite, fetching it through npm the first time."""
    package = INSTALLED / "node_modules" / "azurite"
    if installed_version(package) == VERSION:
        return package
    INSTALLED.parent.mkdir(exist_ok=True)
    with INSTALLED.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed_version(package) != VERSION:  # nobody else did it while we waited
            install()
    return package


def installed_version(package: Path) -> str | None:
    """Return the version npm put there, None when there is none."""
    try:
        version: str = json.loads((package / "package.json").read_text())["version"]
    except FileNotFoundError:
        return None
    return version


def install() -> None:
    """Fetch Azurite beside its place and move it there when complete: an interrupted install leaves nothing half done."""
    print(f"Installing Azurite {VERSION} (once, about a minute) ...", file=sys.stderr, flush=True)
    unfinished = INSTALLED.with_suffix(".unfinished")
    for leftover in (unfinished, INSTALLED):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    node = find_node()
    arguments = ["install", "--prefix", str(unfinished), "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    environment = {**os.environ, "PATH": f"{Path(node.node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    result = subprocess.run([*node.npm, *arguments, f"azurite@{VERSION}"], env=environment, capture_output=True, text=True)
    if result.returncode != 0:
        raise LocalError(f"npm could not install Azurite {VERSION}:\n{result.stderr or result.stdout}")
    unfinished.rename(INSTALLED)
