"""The rules of the house that neither the linter nor the type checker knows."""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

import shared
from tests.patience import PATIENCE

REPOSITORY = Path(__file__).resolve().parent.parent
FUNCTIONS = ("rank_function", "reward_function", "trainer_function", "manage_function", "evaluation_function", "dashboard_function")
DEPLOYED = ("shared", *FUNCTIONS)
LINTED = (*DEPLOYED, "cli", "local", "examples")
STORAGE_SDKS = ("azure.storage", "azure.data", "azure.identity", "azure.core", "aiohttp")
NOT_OURS = {"__pycache__", "node_modules", "vendor"}
HIDDEN_BUT_OURS = {".ci", ".github"}
TEXT = {".py", ".md", ".toml", ".txt", ".json", ".example", ".yml", ".yaml", ".cjs", ".js", ".mjs", ".css", ".html", ".cfg", ".sh", ""}


def files() -> Iterator[Path]:
    """Walk what is in the repository: not what was installed, built or cached."""
    for top in sorted(REPOSITORY.iterdir()):
        if top.name.startswith(".") and top.is_dir() and top.name not in HIDDEN_BUT_OURS:
            continue
        if top.is_file() and top.name != ".git":
            yield top
        for folder, inside, names in os.walk(top):
            inside[:] = sorted(set(inside) - NOT_OURS)
            yield from (Path(folder) / name for name in sorted(names))


def texts() -> Iterator[tuple[str, str]]:
    for path in files():
        if path.suffix in TEXT and path != Path(__file__):
            yield path.relative_to(REPOSITORY).as_posix(), path.read_text("utf-8")


Module = tuple[ast.AST, ...]
"""All nodes of one."""


@cache
def deployed_modules() -> Sequence[tuple[str, Module]]:
    paths = [REPOSITORY / "function_app.py", *(found for room in DEPLOYED for found in sorted((REPOSITORY / room).rglob("*.py")))]
    return [(path.relative_to(REPOSITORY).as_posix(), (*ast.walk(ast.parse(path.read_text("utf-8"))),)) for path in paths]


def imported(module: Module) -> Iterator[str]:
    for node in module:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def reads_environment(module: Module) -> bool:
    attributes = {node.attr for node in module if isinstance(node, ast.Attribute)}
    names = set(imported(module))
    return bool(attributes & {"environ", "environb", "getenv", "getenvb"} or names & {"os.environ", "os.environb", "os.getenv", "os.*"})


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of what the import linter looks at, to do wrong in."""
    for room in LINTED:
        shutil.copytree(REPOSITORY / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def test_shared_is_the_folder_of_this_repository_and_no_installed_package():
    assert Path(shared.__file__).resolve() == REPOSITORY / "shared" / "__init__.py"


def test_the_floors_hold():
    checked = lint_imports(REPOSITORY)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("room", "wrong", "contract"),
    [
        ("shared/domain", "import shared.learning.model", "Floors"),
        ("shared/services", "import shared.storage.names", "Floors"),
        ("rank_function", "import reward_function", "Floors"),
        ("shared/joining", "import azure.functions", "The centre is free of frameworks"),
        ("shared/services", "import pydantic", "The centre is free of frameworks"),
        ("shared/api", "import azure.storage.blob", "The wire format knows no storage"),
        ("shared/runtime", "import local.azurite", "What is deployed needs nothing that is not"),
        ("shared/services", "import cli.replay", "Floors"),
        ("examples", "import shared.domain.events", "The examples know the service by its HTTP interface"),
    ],
)
def test_an_import_from_above_breaks_the_floors(copied, room, wrong, contract):
    (copied / room / "wrong.py").write_text(f"{wrong}\n")
    checked = lint_imports(copied)
    broken = [line for line in checked.stdout.splitlines() if line.endswith("BROKEN")]
    assert checked.returncode == 1, checked.stdout + checked.stderr
    assert any(line.startswith(contract) for line in broken), broken


def test_each_folder_of_use_cases_has_a_module_that_puts_them_together():
    """Logs of others are imported by a command, which puts together what it needs."""
    services = {path.parent.name for path in (REPOSITORY / "shared/services").glob("*/__init__.py")}
    assembly = {path.stem for path in (REPOSITORY / "shared/runtime/assembly").glob("*.py")} - {"__init__"}
    assert assembly == services - {"importing"}


def test_every_use_case_stands_in_a_folder_for_what_it_serves():
    assert [path.name for path in (REPOSITORY / "shared/services").glob("*.py")] == ["__init__.py"]


def test_the_contributors_page_names_each_folder_of_use_cases():
    table = (
        (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8").partition("The folders of `shared/services`:")[2].partition("\n\n`shared")[0]
    )
    folders = sorted(path.parent.name for path in (REPOSITORY / "shared/services").glob("*/__init__.py"))
    assert sorted(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == folders


def test_only_the_azure_engine_speaks_to_azure_storage():
    """The import linter knows `azure` as one package only; this tells its parts apart."""
    found = {
        (place, name)
        for place, module in deployed_modules()
        if not place.startswith("shared/storage/azure/")
        for name in imported(module)
        if name.startswith(STORAGE_SDKS)
    }
    assert not found


def test_an_engine_of_storage_is_loaded_where_it_is_chosen_and_not_before():
    engines = ("shared.storage.azure", "shared.storage.embedded")
    found = {
        place
        for place, module in deployed_modules()
        if not place.startswith(("shared/storage/azure/", "shared/storage/embedded/"))
        for name in imported(module)
        if name.startswith(engines)
    }
    assert found == {"shared/storage/opening.py", "shared/storage/mirror.py"}


def test_what_the_command_line_alone_has_installed_is_loaded_where_a_binary_log_is_met():
    room = "shared/joining/binary/"
    packages = ("flatbuffers", "zstandard", "shared.joining.binary")
    outside = {
        place
        for place, module in deployed_modules()
        if not place.startswith(room)
        for name in imported(module)
        if name.startswith(packages)
    }
    assert outside == {"shared/joining/splitting.py"}


def test_a_process_on_an_embedded_store_loads_nothing_of_azure_storage(tmp_path):
    code = """
import asyncio, sys
from shared.runtime.settings import read_settings
from shared.runtime.wiring import Deployment

async def use():
    deployment = Deployment(read_settings({"PERSONALIZER_STORE": sys.argv[1]}))
    await deployment.find("default")
    services = await deployment.fresh("default")
    await services.trainer.run()
    await deployment.jobs.send(b"x")
    await deployment.close()

asyncio.run(use())
print(sorted(name for name in sys.modules if name.startswith(("azure.storage", "azure.data", "azure.identity", "azure.core", "aiohttp"))))
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("settings", "loaded"),
    [
        ("AccountSettings(connection_string='UseDevelopmentStorage=true')", []),
        ("AccountSettings(blob_uri='https://b', table_uri='https://t', queue_uri='https://q')", ["azure.identity", "msal"]),
    ],
)
def test_what_signs_in_to_azure_is_loaded_where_there_is_no_connection_string(settings, loaded):
    code = f"""
import asyncio, sys
from shared.storage.opening import open_storage
from shared.storage.settings import AccountSettings

async def use():
    storage = open_storage({settings})
    storage.tables, storage.blobs, storage.queues
    await storage.close()

asyncio.run(use())
print(sorted(name for name in ("azure.identity", "msal") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert done.stdout.strip() == str(loaded)


def test_storage_knows_nothing_of_functions():
    rooms = [(place, module) for place, module in deployed_modules() if place.startswith("shared/storage/")]
    assert not [(place, name) for place, module in rooms for name in imported(module) if name.startswith("azure.functions")]


def test_of_all_that_is_deployed_only_the_entry_reads_the_environment():
    """`shared` only says, before numpy is loaded, with how many threads."""
    touching = [place for place, module in deployed_modules() if reads_environment(module)]
    assert sorted(touching) == ["function_app.py", "shared/__init__.py"]


def test_how_logs_are_written_is_settled_in_one_place():
    """A handler, or a logger that passes nothing on, would be past what keeps a message until the host hears it."""
    words = {"addHandler", "removeHandler", "basicConfig", "dictConfig", "fileConfig", "propagate", "setFormatter", "addFilter"}
    touching = {place for place, module in deployed_modules() if words & {each.attr for each in module if isinstance(each, ast.Attribute)}}
    assert touching == {"shared/runtime/telemetry.py"}


def test_headers_are_set_one_by_one():
    """Older versions of azure-functions know no other way, and a worker may bring its own."""
    calls = [(place, each.func) for place, module in deployed_modules() for each in module if isinstance(each, ast.Call)]
    updates = [
        (place, each.value) for place, each in calls if isinstance(each, ast.Attribute) and each.attr in ("update", "setdefault", "pop")
    ]
    assert [place for place, of in updates if isinstance(of, ast.Attribute) and of.attr == "headers"] == []


def test_numpy_is_loaded_with_one_thread():
    """Small matrices take several times as long with two, and a model's bytes would depend on the number of cores."""
    code = "import shared.runtime.wiring, os; print(os.environ['OPENBLAS_NUM_THREADS'])"
    unset = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    assert subprocess.run([sys.executable, "-c", code], env=unset, capture_output=True, text=True, check=True).stdout.strip() == "1"


def test_the_programming_model_is_the_second():
    assert not [path for path in files() if path.name == "function.json"]


@pytest.mark.parametrize("word", ["TO" + "DO", "FIX" + "ME", "X" * 3, "<" * 7 + " "])
def test_nothing_is_left_for_later(word):
    assert not [place for place, text in texts() if word in text]


def test_what_installs_says_no_address():
    """Packages are named, and come from wherever the machine's own clients get them."""
    installing = [REPOSITORY / path for path in ("Makefile", ".ci/run", "local/azurite.py", "local/node.py")]
    installing += [REPOSITORY / "requirements.txt", *(REPOSITORY / "requirements").iterdir()]
    assert len(installing) >= 8
    assert not [path.name for path in installing if re.search(r"https?://\w", path.read_text("utf-8"))]
