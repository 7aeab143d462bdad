"""The package that is built: what it holds and needs, and that it works where nothing else of this repository is."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.snippets import _BLOCK
from tests.http.own_loops import SETTINGS
from tests.patience import PATIENCE
from tests.running import REPOSITORY, RunningApp
from tests.stores import NewStorage

CLIENT = REPOSITORY / "client"
PYTHONS = ("3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(CLIENT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def app(new_store: NewStorage) -> Iterator[RunningApp]:
    with RunningApp(new_store(), settings=SETTINGS) as running:
        yield running


def made(client: Path, folder: Path, *, python: str = sys.executable) -> Path:
    done = subprocess.run([python, str(client / "backend.py"), str(folder)], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def backend() -> ModuleType:
    spec = spec_from_file_location("client_backend", CLIENT / "backend.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path) -> Path:
    (found,) = folder.glob("*.whl")
    return found


def names(folder: Path) -> list[str]:
    with zipfile.ZipFile(wheel(folder)) as archive:
        return archive.namelist()


def snippet() -> str:
    (text,) = [text for _, language, text in _BLOCK.findall((CLIENT / "README.md").read_text("utf-8")) if language == "python"]
    return str(text)


def environment(app: RunningApp, folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}}
    return {**kept, "ENDPOINT": app.base_url, "KEY": app.key, "XDG_STATE_HOME": str(folder)}


def test_the_wheel_puts_one_package_into_the_environment(built):
    assert {name.partition("/")[0] for name in names(built)} == {"open_personalizer", "open_personalizer-0.1.0.dist-info"}
    assert "open_personalizer/py.typed" in names(built)


def test_the_wheel_has_what_it_decides_by_and_nothing_of_storage_or_of_the_wires_models(built):
    core = {name.removeprefix("open_personalizer/_shared/") for name in names(built) if "_shared/" in name}
    assert {"learning/choosing.py", "learning/encoding.py", "learning/artifact.py", "domain/events.py", "api/rules.py"} <= core
    assert {name.split("/")[0] for name in core if "/" in name} == {"api", "domain", "learning"}


def test_no_module_of_the_wheel_is_a_copy_that_is_kept(built):
    with zipfile.ZipFile(wheel(built)) as archive:
        for name in archive.namelist():
            if "_shared/" in name:
                source = (REPOSITORY / "shared" / name.partition("_shared/")[2]).read_text("utf-8")
                assert archive.read(name).decode().replace("open_personalizer._shared", "shared") == source


def test_a_module_that_needs_more_than_numpy_and_urllib3_is_refused(tmp_path):
    shutil.copytree(CLIENT, tmp_path / "client", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(REPOSITORY / "shared", tmp_path / "shared", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "LICENSE", tmp_path)
    module = tmp_path / "shared" / "learning" / "segments.py"
    module.write_text(f"import orjson\n{module.read_text('utf-8')}")
    done = subprocess.run(
        [sys.executable, "backend.py", "dist"], cwd=tmp_path / "client", capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode != 0
    assert "imports orjson" in done.stderr


def test_the_source_distribution_builds_the_same_wheel_elsewhere(built, tmp_path):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    again = made(tmp_path / "open_personalizer-0.1.0", tmp_path / "dist")
    assert wheel(again).read_bytes() == wheel(built).read_bytes()


def test_the_build_asks_for_nothing():
    assert backend().get_requires_for_build_wheel() == backend().get_requires_for_build_sdist() == []


def run(python: str, code: str, app: RunningApp, folder: Path) -> str:
    command, told = [python, "-I", "-c", code], environment(app, folder)
    done = subprocess.run(command, env=told, cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_readmes_snippet_runs_by_the_wheel_alone(built, app, tmp_path):
    place = tmp_path / "installed"
    with zipfile.ZipFile(wheel(built)) as archive:
        archive.extractall(place)
    after = "assert 'shared' not in sys.modules\nprint(sys.modules['open_personalizer'].__file__)"
    told = run(sys.executable, f"import sys\nsys.path.insert(0, {str(place)!r})\n{snippet()}\n{after}", app, tmp_path)
    assert told.startswith("show ")
    assert str(place) in told


def python(version: str) -> str:
    folder = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    of_pyenv = sorted(folder.glob(f"versions/{version}*/bin/python{version}"))
    found = str(of_pyenv[0]) if of_pyenv else shutil.which(f"python{version}")
    if found is None:
        pytest.skip(f"there is no Python {version} on this machine")
    return found


@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("version", PYTHONS)
def test_a_clean_environment_installs_it_from_the_repository_and_runs_the_readmes_snippet(app, tmp_path, version):
    subprocess.run([python(version), "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True, timeout=10 * PATIENCE)
    own = str(tmp_path / "venv" / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", own]  # one of its own takes as long as all the rest
    subprocess.run([*pip, "install", "--quiet", "--no-compile", str(CLIENT)], check=True, timeout=10 * PATIENCE)
    assert run(own, snippet(), app, tmp_path).startswith("show ")
    listed = subprocess.run([*pip, "list", "--format=freeze"], check=True, capture_output=True, text=True, timeout=PATIENCE)
    assert {line.partition("==")[0] for line in listed.stdout.split()} == {"numpy", "open-personalizer", "urllib3"}
