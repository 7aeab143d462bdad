"""`python -m local` end to end, on a sample app and in folders of its own."""

import asyncio
import base64
import contextlib
import http.client
import json
import multiprocessing
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import pytest

from local.__main__ import main, wanted_port
from local.azurite import ensure_installed
from local.processes import LocalError, free_port
from shared.storage.copying.mark import Mark, MarkFile
from shared.storage.embedded.folder import is_store
from shared.storage.embedded.storage import check_store
from shared.storage.opening import open_storage
from shared.storage.settings import FolderSettings
from tests.patience import PATIENCE
from tests.running import OURS, REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.long]


class Supervisor:
    """One `python -m local` with its output in a file."""

    def __init__(self, app: Path, home: Path, port: int, *options: str, **settings: str) -> None:
        self.home, self.port = home, port
        self._log = home.with_name(f"{home.name}-{port}.log")
        clean = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "PROCESSES"))}
        environment = {**clean, "PERSONALIZER_LOCAL_DIR": str(home), "PORT": str(port), "PYTHONUNBUFFERED": "1", **settings}
        with self._log.open("wb") as log:
            self._begin(["--app", str(app), *options], environment, log)

    def _begin(self, arguments: list[str], environment: dict[str, str], log: BinaryIO) -> None:
        command = [sys.executable, "-m", "local", *arguments]
        self.process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log)

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def started(self) -> list[dict[str, Any]]:
        """What it logged of where it is, when it had begun to answer."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [line for line in lines if line["message"] == "the service is running"]

    @property
    def said(self) -> list[str]:
        """What it logged by itself, apart from where it is."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [line["message"] for line in lines if line["logger"] == "local" and line["message"] != "the service is running"]

    @property
    def key(self) -> str:
        return (self.home / "keys").read_text()

    def ready(self) -> "Supervisor":
        wait_for(lambda: bool(self.started) or self.process.poll() is not None)
        assert self.process.poll() is None, self.output
        return self

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)

    def children(self) -> dict[str, int]:
        """The numbers of the processes it started, by what they are called."""
        listed = subprocess.run(["ps", "-ww", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
        mine = [line.split(None, 2) for line in listed if line.split(None, 2)[1] == str(self.process.pid)]
        return {name_of(command): int(pid) for pid, _, command in mine}


_prepared = multiprocessing.get_context("forkserver")
_prepared.set_forkserver_preload(["local.__main__"])


class Refused(Supervisor):
    """One that ends before it starts anything, in a process that need not load its modules: that would take most of its time."""

    def _begin(self, arguments: list[str], environment: dict[str, str], log: BinaryIO) -> None:
        self._process = _prepared.Process(target=run_main, args=(arguments, environment, log.name))
        self._process.start()

    def exit_code(self) -> int:
        self._process.join(PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
        assert self._process.exitcode is not None
        return self._process.exitcode


def run_main(arguments: list[str], environment: dict[str, str], log: str) -> NoReturn:
    """Be `python -m local`."""
    descriptor = os.open(log, os.O_WRONLY)
    for each in (1, 2):
        os.dup2(descriptor, each)
    os.chdir(REPOSITORY)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["local", *arguments]
    sys.exit(main())


def name_of(command: str) -> str:
    named = [word.removeprefix("--process=") for word in command.split() if word.startswith("--process=")]
    return named[0] if named else "azurite" if "azurite" in command else command


def wait_for(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1][:3]


@pytest.fixture(scope="module")
def running(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """One for all who only look at it, with keys of its own and settings that would lead elsewhere."""
    elsewhere = {"PERSONALIZER_STORAGE__accountName": "real", "AzureWebJobsStorage__accountName": "real", "AzureWebJobsStorage": "real"}
    home = tmp_path_factory.mktemp("running") / "home"
    supervisor = Supervisor(sample_folder, home, free_port(), PERSONALIZER_KEYS="first,second", **elsewhere)
    try:
        yield supervisor.ready()
    finally:
        supervisor.process.terminate()
        supervisor.process.wait(PATIENCE)


@pytest.fixture
def start(sample_folder: Path, tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    with contextlib.ExitStack() as stack:

        def started(
            *options: str, app: Path = sample_folder, home: Path = tmp_path / "home", port: int | None = None, **settings: str
        ) -> Supervisor:
            supervisor = Supervisor(app, home, free_port() if port is None else port, *options, **settings)
            stack.callback(supervisor.process.wait, PATIENCE)
            stack.callback(supervisor.process.terminate)
            return supervisor

        yield started


@pytest.fixture
def refused(sample_folder: Path, tmp_path: Path) -> Callable[..., Supervisor]:
    def begun(*options: str, home: Path = tmp_path / "home", port: int | None = None, **settings: str) -> Supervisor:
        return Refused(sample_folder, home, free_port() if port is None else port, *options, **settings)

    return begun


@pytest.fixture(scope="module")
def beside(running: Supervisor, sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """Another for all who only look at it: it makes its keys, listens on two addresses, and its data are in a folder that is named."""
    folder = tmp_path_factory.mktemp("beside")
    options = ("--host", "127.0.0.2", "--host", "::1", "--no-demo")
    supervisor = Supervisor(sample_folder, folder / "home", free_port(), *options, PERSONALIZER_STORE=str(folder / "a disk" / "store"))
    try:
        yield supervisor.ready()
    finally:
        supervisor.process.terminate()
        supervisor.process.wait(PATIENCE)


HOSTS = {"http", "timers", "take"}
ON_AZURITE = ("--storage", "azurite")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    ("storage", "parts"), [((), HOSTS), pytest.param(ON_AZURITE, HOSTS | {"azurite"}, marks=pytest.mark.azurite)], ids=["store", "azurite"]
)
@pytest.mark.sweep(keep=2)
def test_a_signal_stops_everything_in_order(start, storage, parts, number):
    if storage:
        ensure_installed()
    supervisor = start(*storage).ready()
    children = supervisor.children()
    assert set(children) == parts
    supervisor.process.send_signal(number)
    assert supervisor.exit_code() == 0
    assert not any(runs(pid) for pid in children.values())
    assert not storage or "successfully closed" in (supervisor.home / "data.log").read_text()
    tracebacks = [line for line in supervisor.output.splitlines() if "Traceback" in line]
    assert all("the timer's own fault" in line for line in tracebacks)


def test_the_http_host_has_no_schedules_and_the_timer_host_has(running):
    wait_for(lambda: "every_second ended" in running.output and "at_startup ran" in running.output)
    assert running.output.count("at_startup ran") == 1


def test_given_keys_are_used_and_none_is_made(running):
    assert [line["keys"] for line in running.started] == ["PERSONALIZER_KEYS"]
    assert not (running.home / "keys").exists()


def test_keys_are_shown_at_a_terminal_and_never_written_to_a_log(beside):
    assert [line["keys"] for line in beside.started] == [str(beside.home / "keys")]
    assert [line["admin_key"] for line in beside.started] == [str(beside.home / "admin-key")]
    assert not [name for name in ("keys", "admin-key") if (beside.home / name).read_text() in beside.output]


def test_no_setting_leads_to_another_store(running):
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/store") as answer:
        store = json.load(answer)
    assert store == {"PERSONALIZER_STORE": str(running.home / "store")}


def test_a_port_in_use_is_named_before_anything_starts(start):
    """In a process of its own from the beginning, as anyone starts it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        supervisor = start(port=port)
        assert supervisor.exit_code() == 1
    assert f"PORT {port} of 127.0.0.1 is in use" in supervisor.output
    assert not (supervisor.home / "store").exists()


def test_it_answers_where_it_was_asked_to_and_tells_of_each_address(beside):
    told = [f"http://127.0.0.2:{beside.port}", f"http://[::1]:{beside.port}"]
    assert [(line["endpoints"], line["from_other_machines"]) for line in beside.started] == [(told, False)]
    for endpoint in told:
        with urllib.request.urlopen(f"{endpoint}/status") as answer:
            assert answer.status == 200
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", beside.port)) != 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--host", "localhost"], "--host localhost: this is not an address"),
        (["--host", "0.0.0.0"], "served on loopback addresses only"),
        (["--port", "http"], "--port http is not a port number"),
    ],
    ids=str,
)
def test_where_it_cannot_listen_it_says_so_and_nothing_is_started(refused, options, complaint):
    supervisor = refused(*options)
    assert supervisor.exit_code() == 1
    (line,) = [json.loads(line) for line in supervisor.output.splitlines()]
    assert (line["level"], complaint in line["message"]) == ("ERROR", True)
    assert [each.name for each in supervisor.home.iterdir()] == ["lock"]


def test_settings_in_a_file_that_cannot_be_read_are_said_in_a_sentence_and_nothing_is_started(refused, tmp_path):
    (tmp_path / "local.settings.json").write_text('{"Values": {"PERSONALIZER_KEYS": "s3cr3t",}}')
    supervisor = refused("--app", str(tmp_path))
    assert supervisor.exit_code() == 1
    (line,) = supervisor.output.splitlines()
    assert line.startswith(f"{tmp_path}/local.settings.json cannot be read as JSON: ")
    assert "s3cr3t" not in line


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_what_is_not_a_port_is_refused(monkeypatch, port):
    monkeypatch.setenv("PORT", port)
    with pytest.raises(LocalError, match=f"PORT={port} is not a port number"):
        wanted_port()


def test_a_second_one_in_the_same_folder_is_refused(running, refused):
    second = refused(home=running.home)
    assert second.exit_code() == 1
    assert f"process {running.process.pid} is already running here" in second.output
    assert running.process.poll() is None


def test_two_run_side_by_side_in_folders_of_their_own(running, beside):
    assert running.home != beside.home
    for each in (running, beside):
        [line] = each.started
        with urllib.request.urlopen(f"{line['endpoints'][0]}/status") as answer:
            assert answer.status == 200


@pytest.mark.azurite
def test_an_azurite_that_ends_by_itself_stops_the_rest(start):
    ensure_installed()
    supervisor = start(*ON_AZURITE).ready()
    children = supervisor.children()
    os.kill(children["azurite"], signal.SIGTERM)
    assert supervisor.exit_code() == 1
    assert "ended by itself" in supervisor.output
    assert not any(runs(pid) for pid in children.values())


def asked_process(supervisor: Supervisor) -> int:
    """Ask on a connection of its own which process answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{supervisor.port}/process", timeout=PATIENCE) as answer:
        return int(answer.read())


def test_a_process_that_ends_by_itself_is_started_again_and_callers_wait_for_it(start):
    supervisor = start().ready()
    before = supervisor.children()
    for name, number in (("http", signal.SIGKILL), ("take", signal.SIGTERM), ("timers", signal.SIGKILL)):
        os.kill(before[name], number)
    assert asked_process(supervisor) not in before.values()  # nobody refused the call
    wait_for(lambda: supervisor.children().keys() == before.keys())
    assert not set(supervisor.children().values()) & set(before.values())
    told = [json.loads(line) for line in supervisor.output.splitlines() if "is started again" in line]
    assert sorted(line["of_process"] for line in told) == ["http", "take", "timers"]


def test_once_the_first_answers_those_that_end_while_the_others_begin_are_started_again_too(start):
    supervisor = start(PROCESSES="2")
    ended = {"http-1", "http-2", "take-2"}
    wait_for(lambda: ended <= supervisor.children().keys())
    before = supervisor.children()
    for name in ended:
        os.kill(before[name], signal.SIGKILL)
    supervisor.ready()
    wait_for(lambda: supervisor.children().keys() == before.keys())
    after = supervisor.children()
    assert {name for name in before if after[name] != before[name]} == ended


@pytest.fixture(scope="module")
def several(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    """One with three processes of each kind."""
    supervisor = Supervisor(sample_folder, tmp_path_factory.mktemp("several") / "home", free_port(), PROCESSES="3")
    try:
        yield supervisor.ready()
    finally:
        supervisor.process.terminate()
        supervisor.process.wait(PATIENCE)


def of_http(supervisor: Supervisor) -> set[int]:
    return {pid for name, pid in supervisor.children().items() if name.startswith("http")}


def test_several_processes_answer_on_one_port_and_there_is_one_for_the_timers(several):
    names = {f"{kind}-{number}" for kind in ("http", "take") for number in (1, 2, 3)} | {"timers"}
    assert several.children().keys() == names
    assert [set(line["processes"]) for line in several.started] == [names]
    seen: set[int] = set()

    def have_all_answered() -> bool:
        seen.add(asked_process(several))
        return seen == of_http(several)

    wait_for(have_all_answered)  # on a busy machine one may be late for many calls


def test_each_line_of_the_log_tells_which_process_wrote_it(several):
    def writers() -> set[tuple[str, str]]:
        lines = [json.loads(line) for line in several.output.splitlines() if line.startswith("{")]
        return {(line["process"], line["message"]) for line in lines if "process" in line}

    def answerers() -> set[str]:
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{several.port}/events/e/reward", method="POST")).close()
        return {process for process, message in writers() if message == "reward called"}

    wait_for(lambda: answerers() == {"http-1", "http-2", "http-3"})
    wait_for(lambda: ("timers", "every_second started") in writers())
    assert not [process for process, message in writers() if message.startswith("every_second") and process != "timers"]


def test_while_one_is_killed_and_started_again_the_others_answer(several):
    before = several.children()
    os.kill(before["http-2"], signal.SIGKILL)
    wait_for(lambda: not runs(before["http-2"]))
    others = {before["http-1"], before["http-3"]}
    answered = set()
    while several.children().get("http-2") in (None, before["http-2"]):
        answered.add(asked_process(several))
    assert not answered or answered <= others
    again = several.children()["http-2"]
    wait_for(lambda: asked_process(several) == again)
    after = several.children()
    assert {name: pid for name, pid in after.items() if name != "http-2"} == {n: pid for n, pid in before.items() if n != "http-2"}


def test_one_that_is_asked_to_end_loses_no_call_and_its_callers_go_on_with_another(several):
    ending = several.children()["http-1"]
    connections = [http.client.HTTPConnection("127.0.0.1", several.port, timeout=PATIENCE) for _ in range(9)]
    answers: list[int] = []

    def ask_all() -> None:
        for connection in connections:
            connection.request("GET", "/process")
            response = connection.getresponse()
            assert response.status == 200
            answers.append(int(response.read()))

    ask_all()
    os.kill(ending, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while runs(ending):
        assert time.monotonic() < until, several.output
        ask_all()
    answers.clear()
    ask_all()
    assert ending not in answers
    for connection in connections:
        connection.close()
    wait_for(lambda: len(of_http(several)) == 3 and ending not in of_http(several))


def test_a_queue_s_messages_are_shared_by_its_processes(several):
    async def send() -> None:
        storage = open_storage(FolderSettings(several.home / "store"))
        for number in range(24):
            await storage.queue("sample").send(base64.b64encode(f"shared {uuid.uuid4()} {number}".encode()).decode())
        await storage.close()

    def seen() -> dict[str, str]:
        lines = [json.loads(line) for line in several.output.splitlines() if line.startswith("{")]
        return {line["text"]: line["process"] for line in lines if line["message"] == "message done" and "shared" in line["text"]}

    def are_shared() -> bool:
        before = len(seen())
        asyncio.run(send())
        wait_for(lambda: len(seen()) == before + 24)
        return len(set(seen().values())) > 1

    wait_for(are_shared)
    assert set(seen().values()) <= {"take-1", "take-2", "take-3"}


def test_several_processes_speak_https_too_and_none_is_left_when_the_service_ends(start):
    supervisor = start("--tls", "--processes", "2").ready()
    trust = ssl.create_default_context(cafile=str(supervisor.home / "tls" / "authority.pem"))
    answered = set()

    def have_all_answered() -> bool:
        with urllib.request.urlopen(f"https://127.0.0.1:{supervisor.port}/process", context=trust) as answer:
            answered.add(int(answer.read()))
        return answered == of_http(supervisor)

    wait_for(have_all_answered)
    with socket.create_connection(("127.0.0.1", supervisor.port)) as plain:  # a handshake that fails disturbs nobody
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        plain.settimeout(10)
        with contextlib.suppress(ConnectionError):
            plain.recv(100)
    with urllib.request.urlopen(f"https://127.0.0.1:{supervisor.port}/process", context=trust) as answer:
        assert answer.status == 200
    children = supervisor.children()
    assert len(children) == 5
    supervisor.process.terminate()
    assert supervisor.exit_code() == 0
    assert not any(runs(pid) for pid in children.values())


def test_a_number_of_processes_that_there_cannot_be_is_refused_before_anything_starts(refused):
    supervisor = refused(PROCESSES="none")
    assert supervisor.exit_code() == 1
    assert supervisor.said == ["PROCESSES=none must be a number from 1 to 64."]
    assert not (supervisor.home / "store").exists()


def test_nothing_is_left_when_it_is_killed_and_the_next_start_waits_for_that(start):
    killed = start().ready()
    children = killed.children()
    killed.process.kill()
    killed.process.wait()
    next_one = start().ready()
    assert not any(runs(pid) for pid in children.values())
    assert next_one.key == killed.key
    assert stat.S_IMODE((next_one.home / "keys").stat().st_mode) == 0o600


def test_the_data_are_in_the_folder_that_is_named_and_else_beside_the_keys(beside, running):
    assert [line["storage"] for line in running.started] == [str(running.home / "store")]
    assert is_store(running.home / "store")
    named = beside.home.parent / "a disk" / "store"
    assert [line["storage"] for line in beside.started] == [str(named)]
    assert is_store(named)
    assert not (beside.home / "store").exists()


@pytest.mark.parametrize("last", ["of a service that runs", "of one that was killed"])
def test_a_store_has_one_service_at_a_time_wherever_its_keys_are(start, refused, tmp_path, last):
    first = start(home=tmp_path / "first", PERSONALIZER_STORE=str(tmp_path / "store")).ready()
    children = first.children()
    if last == "of one that was killed":
        os.kill(children["http"], signal.SIGSTOP)  # it does not end with its parent
        first.process.kill()
        first.process.wait()
        second = start(home=tmp_path / "second", PERSONALIZER_STORE=str(tmp_path / "store"))
        time.sleep(2)
        assert not second.started
        os.kill(children["http"], signal.SIGCONT)
        second.ready()
        assert not any(runs(pid) for pid in children.values())
        return
    second = refused(home=tmp_path / "second", PERSONALIZER_STORE=str(tmp_path / "store"))
    assert second.exit_code() == 1
    assert (
        f"Another service uses the store {tmp_path / 'store'} (process {first.process.pid}): stop it, or name another folder."
        in second.said
    )
    assert first.process.poll() is None


def make_a_file(store: Path) -> None:
    store.write_text("")


def make_it_newer(store: Path) -> None:
    check_store(FolderSettings(store, make=True))
    (store / "store.json").write_text('{"format": 1000, "id": "x"}')


def damage(store: Path) -> None:
    check_store(FolderSettings(store, make=True))
    (store / "files.db").write_bytes(b"something else" * 1000)


def fill(store: Path) -> None:
    store.mkdir()
    (store / "photo.jpg").write_bytes(b"")


def close_off(store: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    store.mkdir(mode=0o500)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (make_a_file, "must be a folder, and is a file"),
        (make_it_newer, "has format version 1000; this release reads up to 1: upgrade the app"),
        (damage, "files.db is damaged"),
        (fill, "is not a store, and holds other things (photo.jpg): name an empty one"),
        (close_off, "cannot be used: Permission denied"),
    ],
)
def test_a_store_that_cannot_be_used_is_one_line_and_nothing_is_started(refused, tmp_path, spoil, said):
    store = tmp_path / "store"
    spoil(store)
    supervisor = refused(PERSONALIZER_STORE=str(store))
    assert supervisor.exit_code() == 1
    [line] = supervisor.said
    assert line.startswith(("The store", "The folder"))
    assert said in line
    assert str(store) in line


def make_half_a_copy(store: Path) -> None:
    async def begin() -> None:
        storage = open_storage(FolderSettings(store, make=True))
        await MarkFile(storage).write(Mark("another", is_whole=False, last={}))
        await storage.close()

    asyncio.run(begin())


def test_a_copy_that_is_not_whole_is_not_served(start, tmp_path):
    make_half_a_copy(tmp_path / "store")
    supervisor = start(PERSONALIZER_STORE=str(tmp_path / "store"))
    assert supervisor.exit_code() == 1
    assert supervisor.said == ["This storage is a copy that is not whole: run the same `copy` again until it says that it is done."]


def test_an_account_that_is_given_for_a_folder_is_one_line_and_makes_no_folder_of_its_key(start):
    supervisor = start(PERSONALIZER_STORE="AccountName=x;AccountKey=eA==")
    assert supervisor.exit_code() == 1
    [line] = supervisor.said
    assert "must be a folder of this machine" in line
    assert "eA==" not in supervisor.output
    assert not (REPOSITORY / "AccountName=x;AccountKey=eA==").exists()


def test_two_places_for_the_data_are_refused(refused, tmp_path):
    supervisor = refused(*ON_AZURITE, PERSONALIZER_STORE=str(tmp_path / "store"))
    assert supervisor.exit_code() == 1
    assert supervisor.said == [
        "PERSONALIZER_STORE names a folder for the data, and --storage azurite another place: leave one of them out."
    ]


def test_what_azurite_kept_before_is_noticed_once_and_left_as_it_is(start):
    supervisor = start()
    data = supervisor.home / "data"
    data.mkdir(parents=True)
    (data / "__azurite_db_table__.json").write_text("{}")
    supervisor.ready()
    [told] = [line for line in supervisor.said if "Azurite kept" in line]
    assert told.startswith(f"{data} has older data")
    assert f"python -m cli copy --from 'ITS STORAGE' --to {supervisor.home / 'store'}" in told
    supervisor.process.terminate()
    assert supervisor.exit_code() == 0
    again = start().ready()
    assert not [line for line in again.said if "Azurite" in line]
    assert (data / "__azurite_db_table__.json").read_text() == "{}"


SLOW_TO_COUNT = """
import asyncio
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="status", methods=["GET"])
async def status(req: func.HttpRequest) -> func.HttpResponse:
    if "Ocp-Apim-Subscription-Key" in req.headers:
        await asyncio.sleep(600)
    return func.HttpResponse("it runs")
"""


def test_it_is_ready_however_long_it_takes_to_count_what_is_to_be_learned(start, sample_folder, tmp_path):
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "host.json").write_bytes((sample_folder / "host.json").read_bytes())
    (tmp_path / "app" / "function_app.py").write_text(SLOW_TO_COUNT)
    start(app=tmp_path / "app").ready()


def test_an_app_that_cannot_start_is_an_error_with_its_reason(tmp_path):
    (tmp_path / "function_app.py").write_text("import nothing_of_that_name")
    supervisor = Supervisor(tmp_path, tmp_path / "home", free_port())
    assert supervisor.exit_code() == 1
    assert "nothing_of_that_name" in supervisor.output
    assert "The process http ended by itself (exit code 3)" in supervisor.output
