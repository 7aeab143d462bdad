"""What a server of one's own is given - unit, proxies, container - fits the service, and its page says what they do."""

import configparser
import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.__main__ import READY_WITHIN, parse_options
from local.front import MAX_BODY
from local.listening import checked_host
from local.processes import GRACE, free_port
from local.systemd import Systemd
from shared.api.model_archive import LARGEST_ARCHIVE
from shared.runtime.http import WORK
from tests.http.building import rank_body
from tests.infra.containers import Container, UnknownStepError, instructions
from tests.patience import PATIENCE
from tests.running import REPOSITORY, RunningApp

pytestmark = pytest.mark.long

SERVER = REPOSITORY / "infra" / "server"
CONTAINERFILE = (REPOSITORY / "Containerfile").read_text("utf-8")
PAGE = (REPOSITORY / "docs" / "server.md").read_text("utf-8")
NGINX = (SERVER / "nginx.conf").read_text("utf-8")
CADDY = (SERVER / "Caddyfile").read_text("utf-8")


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(SERVER / name)
    return read


UNITS = sorted(path.name for path in SERVER.glob("open-personalizer*"))
SERVICE = unit("open-personalizer.service")["Service"]
SOCKET = unit("open-personalizer.socket")["Socket"]


# --- the unit -----------------------------------------------------------------------------------------------------------------


def test_the_unit_starts_the_service_on_the_sockets_of_systemd_and_without_a_demo():
    program, *arguments = SERVICE["ExecStart"].split()
    assert program.startswith(f"{SERVICE['WorkingDirectory']}/.venv/")
    assert arguments[:2] == ["-m", "local"]
    options = parse_options(arguments[2:])
    assert (options.hosts, options.port, options.demo) == ((), None, False)


def test_without_a_proxy_the_sockets_are_for_this_machine():
    host, _, port = SOCKET["ListenStream"].rpartition(":")
    assert checked_host(host) == "127.0.0.1"
    assert port.isdigit()


def test_the_unit_waits_as_long_as_the_service_takes():
    assert int(SERVICE["TimeoutStartSec"]) > READY_WITHIN
    assert int(SERVICE["TimeoutStopSec"]) > 2 * (GRACE + 2)  # timers and queues first, and then the calls
    asks_every = Systemd({"WATCHDOG_USEC": f"{SERVICE['WatchdogSec']}000000"}).asks_every
    assert asks_every is not None
    assert asks_every + 5 < int(SERVICE["WatchdogSec"]) / 2  # one answer that does not come is no end


def test_the_unit_leaves_the_order_of_stopping_to_the_service():
    assert SERVICE["KillMode"] == "mixed"


def test_the_service_may_write_its_own_folder_and_nothing_else():
    assert SERVICE["ProtectSystem"] == "strict"
    assert (SERVICE["StateDirectoryMode"], SERVICE["UMask"]) == ("0700", "0077")
    text = (SERVER / "open-personalizer.service").read_text("utf-8")
    assert f"PERSONALIZER_LOCAL_DIR=/var/lib/{SERVICE['StateDirectory']}\n" in text
    assert not re.search(r"^ReadWritePaths|^(Cache|Logs|Runtime)Directory", text, re.MULTILINE)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd on this machine")
def test_systemd_can_read_the_units(tmp_path):
    for name in UNITS:
        text = (SERVER / name).read_text("utf-8").replace("/opt/open-personalizer/current/.venv/bin/python", sys.executable)
        (tmp_path / name).write_text(text)
    read = subprocess.run(["systemd-analyze", "verify", *tmp_path.iterdir()], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (read.returncode, [line for line in read.stderr.splitlines() if "open-personalizer" in line]) == (0, [])


@pytest.mark.slow
def test_the_backup_is_of_the_running_service_and_for_its_user_alone(tmp_path):
    backup = (SERVER / "open-personalizer-backup.service").read_text("utf-8")
    (said,) = re.findall(r"^ExecStart=(.*)$", backup, re.MULTILINE)
    said = said.replace("/opt/open-personalizer/current/.venv/bin/python", sys.executable).replace("/var/lib", str(tmp_path))
    (store,) = re.findall(r"^Environment=PERSONALIZER_STORE=(.*)$", backup, re.MULTILINE)
    home, backups = tmp_path / "open-personalizer", tmp_path / "open-personalizer-backups"
    home.mkdir()
    backups.mkdir()
    settings = {"PERSONALIZER_STORE": store.replace("/var/lib", str(tmp_path))}
    with RunningApp(settings["PERSONALIZER_STORE"]) as app:
        assert app.request("POST", "/personalizer/v1.0/rank", rank_body()).status == 201
        for _ in range(2):  # there is one of last week
            command = shlex.split(said.replace("$$", "$").replace("%%", "%"))
            subprocess.run(command, cwd=REPOSITORY, env={**os.environ, **settings}, check=True, timeout=PATIENCE)
    (file,) = backups.iterdir()
    assert re.fullmatch(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\.tar", file.name)  # as the page has it, whatever the machine speaks
    assert file.stat().st_mode & 0o777 == 0o600


# --- the proxies ----------------------------------------------------------------------------------------------------------------


def seconds(text: str, name: str) -> int:
    return int(re.findall(rf"{name} (\d+)s", text)[0])


def test_the_proxies_wait_longer_than_any_call_takes():
    assert seconds(NGINX, "proxy_read_timeout") > WORK.limit.total_seconds()
    assert seconds(CADDY, "response_header_timeout") > WORK.limit.total_seconds()


def test_the_proxies_let_through_what_the_service_may_take():
    for limit in (re.findall(r"client_max_body_size (\d+)m", NGINX)[0], re.findall(r"max_size (\d+)MB", CADDY)[0]):
        assert LARGEST_ARCHIVE < int(limit) * 1_000_000 <= MAX_BODY


def test_the_proxies_call_the_service_where_it_listens():
    assert f"server {SOCKET['ListenStream']};" in NGINX
    assert f"reverse_proxy {SOCKET['ListenStream']} " in CADDY


# --- the container ---------------------------------------------------------------------------------------------------------------


def test_a_step_that_is_not_known_is_not_passed_over(tmp_path):
    with pytest.raises(UnknownStepError, match="ONBUILD"):
        Container(tmp_path, tmp_path).build("ONBUILD RUN true")


def test_what_is_copied_is_sent_to_the_builder_and_nothing_else_is():
    copied = {source for word, rest in instructions(CONTAINERFILE) if word == "COPY" for source in rest.split()[:-1]}
    sent = {line[1:] for line in (REPOSITORY / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    assert copied == sent


@pytest.fixture(scope="module")
def container() -> Iterator[Container]:
    with tempfile.TemporaryDirectory(prefix="personalizer-container-") as folder:
        made = Container(Path(folder), REPOSITORY)
        made.build(CONTAINERFILE)
        yield made


@contextlib.contextmanager
def running(container: Container, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run what the container runs, on this machine alone."""
    command = ["127.0.0.1" if word == "0.0.0.0" else word for word in container.command]
    with (container.root / "log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=container.place("."), env=container.variables({"PORT": str(port)}), stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def health(container: Container, port: int, *more: str) -> subprocess.CompletedProcess[str]:
    settings = container.variables({"PORT": str(port)})
    return subprocess.run(
        [*container.health, *more], cwd=container.place("."), env=settings, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def wait_until_healthy(container: Container, process: subprocess.Popen[bytes], port: int) -> None:
    until = time.monotonic() + PATIENCE
    while not is_open(port) or health(container, port).returncode != 0:  # the second takes a process
        log = (container.root / "log").read_text()
        assert process.poll() is None, log
        assert time.monotonic() < until, log
        time.sleep(0.1)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_container_is_not_root_and_has_its_data_in_a_volume(container):
    assert container.user.split(":") == ["10001", "10001"]
    assert container.volumes == [container.environment["PERSONALIZER_LOCAL_DIR"]] == ["/data"]
    assert container.place("/data").stat().st_mode & 0o777 == 0o700
    assert container.ports == [7071]
    assert "0.0.0.0" in container.command


@pytest.mark.slow
def test_the_container_answers_is_healthy_and_finds_its_keys_again_after_a_restart(container):
    port, keys = free_port(), container.place("/data") / "keys"
    assert health(container, port).returncode == 1
    with running(container, port) as process:
        wait_until_healthy(container, process, port)
        made = keys.read_text()
        assert health(container, port, "--loop").stdout == "Valid: The service is running and your key is valid.\n"
        process.send_signal(signal.Signals[container.stop_signal])
        assert process.wait(PATIENCE) == 0
    assert health(container, port).returncode == 1
    with running(container, port) as process:
        wait_until_healthy(container, process, port)
        assert keys.read_text() == made
        keys.write_text("another")
        refused = health(container, port, "--loop")
        assert (refused.returncode, refused.stdout[:4]) == (1, "401 ")


@pytest.mark.slow
def test_the_container_has_the_command_line(container):
    command = [container.command[0], "-m", "cli", "--help"]
    ended = subprocess.run(
        command, cwd=container.place("."), env=container.variables({}), capture_output=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 0, ended.stderr


# --- the page --------------------------------------------------------------------------------------------------------------------


def test_the_page_names_each_file_that_a_server_is_given_and_none_that_is_not_there():
    named = set(re.findall(r"\[(infra/server/[^\]]+)\]\(\.\./\1\)", PAGE))
    assert named == {path.relative_to(REPOSITORY).as_posix() for path in SERVER.iterdir()}


def test_the_page_names_the_folders_of_the_unit():
    for path in ("/opt/open-personalizer/current", "/var/lib/open-personalizer", "/etc/open-personalizer.env"):
        assert path in PAGE
        assert path in (SERVER / "open-personalizer.service").read_text("utf-8")
