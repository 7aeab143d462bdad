"""What the build in Azure does with the package, by the command that it is given: nothing is compiled at a cold start."""

import fnmatch
import os
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.patience import PATIENCE
from tests.running import REPOSITORY

PACKAGES = Path(".python_packages", "lib", "site-packages")
"""Where the build in Azure puts the packages of others."""

UNCHECKED = 0b01
"""PEP 552: valid by a hash, and the source is not looked at."""


def command() -> str:
    """Read ``build.env`` as Oryx does, as an INI file without sections."""
    reader = ConfigParser(interpolation=None, comment_prefixes=("#",))
    reader.read_string("[build]\n" + (REPOSITORY / "build.env").read_text("utf-8"))
    return reader["build"]["POST_BUILD_COMMAND"]


def built(folder: Path, **environment: str) -> None:
    """Run it where and how the build runs it: in a script that any failure ends."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    subprocess.run(["bash", "-e", "-c", command()], cwd=folder, env={**kept, **environment}, check=True, timeout=PATIENCE)


def imported(folder: Path) -> str:
    """Import ours and another's module in a new process that can write nothing, and give what they say."""
    code = "import ours, theirs; print(ours.SAYS, theirs.SAYS)"
    environment = {"PYTHONPATH": f"{folder}{os.pathsep}{folder / PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package as the build has it once pip has installed, and compiled, what others wrote."""
    (tmp_path / PACKAGES).mkdir(parents=True)
    (tmp_path / "ours.py").write_text("SAYS = 'ours'\n")
    (tmp_path / PACKAGES / "theirs.py").write_text("SAYS = 'theirs'\n")
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(tmp_path / PACKAGES)], check=True)
    return tmp_path


def test_what_was_compiled_in_the_build_is_used_though_the_sources_have_other_times(package):
    built(package, python=sys.executable)
    for source in package.rglob("*.py"):
        source.write_text("raise SystemExit('compiled anew')\n")  # an own time and another size
    assert imported(package) == "ours theirs"


def test_every_compiled_file_is_valid_whatever_time_its_source_has(package):
    built(package, python=sys.executable)
    flags = [int.from_bytes(compiled.read_bytes()[4:8], "little") for compiled in package.rglob("*.pyc")]
    assert flags == [UNCHECKED] * 2


def test_a_file_that_cannot_be_compiled_fails_no_deployment(package):
    (package / PACKAGES / "template.py").write_text("print 'of Python 2'\n")
    built(package, python=sys.executable)
    assert imported(package) == "ours theirs"


def test_a_build_that_names_no_python_takes_the_one_it_finds(package):
    built(package, PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert imported(package) == "ours theirs"


def test_the_command_is_deployed_and_nothing_that_a_developers_machine_compiled():
    ignored = [line for line in (REPOSITORY / ".funcignore").read_text("utf-8").splitlines() if line]
    assert not [pattern for pattern in ignored if fnmatch.fnmatch("build.env", pattern)]
    assert {"__pycache__/", "*.pyc"} <= set(ignored)
