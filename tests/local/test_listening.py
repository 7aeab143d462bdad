"""Where the service listens: only where it was asked to, and never open to other machines without keys."""

import json
import os
import secrets
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import local.__main__
from local.__main__ import KEPT_KEYS, check_exposure, kept_key, listening_as, parse_options, wanted_port
from local.listening import FIRST_HANDED, Place, checked_host, handed_over, listening, place_of
from local.logs import log_level
from local.processes import LocalError
from tests.patience import PATIENCE
from tests.running import REPOSITORY

LONG = secrets.token_hex(16)


@pytest.fixture(autouse=True)
def no_keys_of_the_developer(monkeypatch):
    for name in ("PORT", *KEPT_KEYS):
        monkeypatch.delenv(name, raising=False)


def unused_port() -> int:
    """Find a port that nobody listens on at any address: other tests listen as well."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))
        port: int = probe.getsockname()[1]
        return port


def taken(place: Place) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in place.host else socket.AF_INET) as probe:
        return probe.connect_ex((place.host, place.port)) == 0


def places(*arguments: str) -> list[Place]:
    with listening_as(parse_options(arguments)) as sockets:
        found = [place_of(each) for each in sockets]
        assert all(map(taken, found))
    assert not any(map(taken, found))
    return found


def test_without_a_host_only_this_machine_gets_in():
    assert [place.host for place in places("--port", "0")] == ["127.0.0.1"]


def test_each_address_that_is_asked_for_is_listened_on_once_and_on_one_port():
    found = places("--host", "127.0.0.2", "--host", "[::1]", "--host", "127.0.0.2", "--port", "0")
    assert [place.host for place in found] == ["127.0.0.2", "::1"]
    assert len({place.port for place in found}) == 1


def test_no_other_address_is_listened_on():
    with listening_as(parse_options(["--host", "127.0.0.2", "--port", str(unused_port())])) as (only,):
        port = place_of(only).port
        assert not [host for host in ("127.0.0.1", "127.0.0.3", "::1") if taken(Place(host, port))]


def test_all_addresses_of_ipv6_do_not_mean_those_of_ipv4():
    with listening(["::"], 0) as (only,):
        port = place_of(only).port
        assert taken(Place("::1", port))
        assert not taken(Place("127.0.0.1", port))


@pytest.mark.parametrize("text", ["localhost", "example.com", "", "127.1", "127.0.0.1:7071", "*"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(LocalError, match=r"this is not an address[.] Give an IPv4 or IPv6 address of this machine"):
        checked_host(text)


def test_an_address_of_another_machine_is_refused_and_named():
    with pytest.raises(LocalError, match=r"--host 192\.0\.2\.1: it cannot be listened on"), listening(["192.0.2.1"], 0):
        pass


def test_a_port_that_is_in_use_on_one_of_the_addresses_leaves_none_of_them_taken():
    with socket.create_server(("127.0.0.2", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(LocalError, match=rf"PORT {port} of 127\.0\.0\.2 is in use"), listening(["127.0.0.1", "127.0.0.2"], port):
            pass
        assert not taken(Place("127.0.0.1", port))


def test_the_option_is_before_the_setting_and_each_is_named_when_it_is_none(monkeypatch):
    monkeypatch.setenv("PORT", "8080")
    assert (wanted_port("0"), wanted_port()) == (0, 8080)
    with pytest.raises(LocalError, match="--port http is not a port number"):
        wanted_port("http")


def test_a_place_for_all_addresses_is_called_at_a_loopback_address():
    assert [Place(host, 1).from_here for host in ("0.0.0.0", "::", "192.0.2.7")] == [
        Place("127.0.0.1", 1),
        Place("::1", 1),
        Place("192.0.2.7", 1),
    ]


# --- who else gets in -----------------------------------------------------------------------------------------------------


OTHERS = [Place("127.0.0.1", 1), Place("0.0.0.0", 1)]


@pytest.mark.parametrize("name", list(KEPT_KEYS))
def test_other_machines_are_not_let_in_by_a_key_that_can_be_guessed(monkeypatch, name):
    monkeypatch.setenv(name, LONG)
    check_exposure(parse_options([]), OTHERS)
    monkeypatch.setenv(name, f"{LONG},short" if name == "PERSONALIZER_KEYS" else "short")
    with pytest.raises(LocalError, match=f"{name} has a key of fewer than 16 characters"):
        check_exposure(parse_options([]), OTHERS)
    check_exposure(parse_options([]), OTHERS[:1])


@pytest.mark.parametrize("kept", KEPT_KEYS.values())
def test_a_key_in_a_file_that_can_be_guessed_lets_no_other_machine_in(monkeypatch, tmp_path, kept):
    (tmp_path / kept).write_text("secret\n")

    def begin(*_: object, **__: object) -> None:
        raise InterruptedError

    monkeypatch.setattr(local.__main__, "storage", begin)
    with listening_as(parse_options(["--host", "0.0.0.0", "--port", "0"])) as sockets:
        with pytest.raises(LocalError, match=f"{kept} has a key of fewer than 16 characters"):
            local.__main__.run(parse_options([]), tmp_path, lock=0, sockets=sockets)
        (tmp_path / kept).write_text(LONG)
        with pytest.raises(InterruptedError):
            local.__main__.run(parse_options([]), tmp_path, lock=0, sockets=sockets)


def test_other_machines_are_not_let_in_to_an_app_whose_keys_are_not_checked(tmp_path):
    options = parse_options(["--app", str(tmp_path)])
    with pytest.raises(LocalError, match="loopback addresses only"):
        check_exposure(options, OTHERS)
    check_exposure(options, OTHERS[:1])


def test_a_key_is_made_once_and_an_empty_file_is_no_key(tmp_path):
    made = kept_key(tmp_path / "keys")
    assert len(made) >= 32
    assert kept_key(tmp_path / "keys") == made
    (tmp_path / "keys").write_text(f"{made}\n")
    assert kept_key(tmp_path / "keys") == made
    (tmp_path / "keys").write_text("")
    with pytest.raises(LocalError, match="keys is empty"):
        kept_key(tmp_path / "keys")


# --- what systemd hands over ------------------------------------------------------------------------------------------------

ASKS = """
import json, os
os.environ["LISTEN_PID"] = str(os.getpid())
from local.__main__ import listening_as, parse_options
from local.listening import place_of
from local.processes import LocalError
import sys
try:
    with listening_as(parse_options(sys.argv[1:])) as sockets:
        print(json.dumps([place_of(each) for each in sockets]))
except LocalError as error:
    print(json.dumps(str(error)))
"""


def asked(handed: list[socket.socket], *arguments: str, **environment: str) -> object:
    """Start a process as systemd does, with these descriptors from number 3 on, and say what it makes of them."""
    moves = " ".join(f"{FIRST_HANDED + index}<&{each.fileno()}" for index, each in enumerate(handed))
    command = ["bash", "-c", f'exec "$@" {moves}', "bash", sys.executable, "-c", ASKS, *arguments]
    settings = {**os.environ, "LISTEN_FDS": str(len(handed)), **environment}
    numbers = [each.fileno() for each in handed]
    ended = subprocess.run(
        command, pass_fds=numbers, env=settings, cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return json.loads(ended.stdout)


def test_the_sockets_of_systemd_are_taken_and_no_other_is_opened():
    with listening(["127.0.0.2", "::1"], 0) as sockets:
        high = [socket.socket(fileno=os.dup(each.fileno())) for each in sockets]
        assert asked(high) == [list(place_of(each)) for each in sockets]
        for each in high:
            each.close()


def test_what_systemd_hands_over_goes_with_no_host_or_port_and_is_a_listening_socket():
    with listening(["127.0.0.2"], 0) as sockets, socket.socket() as idle:
        assert "--host and --port cannot be given as well" in str(asked(sockets, "--host", "127.0.0.1"))
        assert "which is not a listening TCP socket" in str(asked([idle]))


def test_what_was_handed_to_another_process_is_left_alone():
    with handed_over({"LISTEN_FDS": "2", "LISTEN_PID": str(os.getppid())}) as sockets:
        assert sockets == []


def test_a_level_that_there_is_not_is_refused():
    with pytest.raises(LocalError, match="PERSONALIZER_LOG_LEVEL is 'LOUD', but must be one of DEBUG, INFO, WARNING, ERROR"):
        log_level({"PERSONALIZER_LOG_LEVEL": "loud"})


def test_the_folder_of_the_keys_has_them_for_its_owner_only(tmp_path: Path):
    kept_key(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
