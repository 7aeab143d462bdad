"""What is installed comes from locks, which say nothing else than the ranges they were made from."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.running import REPOSITORY

ALONE = {"infra", "audit", "lock"}
"""Locks of environments of their own: the others stand together, and agree."""

REMEDY = "run: make lock"


def lock_of(root: Path, source: str) -> Path:
    """The app's lock is where Azure's build looks for it; the others stand beside their source."""
    return root / "requirements.txt" if source == "app" else root / "requirements" / f"{source}.txt"


def asked(root: Path, source: str) -> dict[str, Requirement]:
    """What a source and those that it names ask for, by name."""
    found: dict[str, Requirement] = {}
    for line in (root / "requirements" / f"{source}.in").read_text("utf-8").splitlines():
        if line.startswith("-r "):
            found |= asked(root, line[3:].strip().removesuffix(".in"))
        elif line and not line.startswith("#"):
            found[canonicalize_name(Requirement(line).name)] = Requirement(line)
    return found


def blocks(lock: Path) -> Iterator[tuple[Requirement, list[str]]]:
    """Each pinned package, with the lines below it."""
    for text in re.split(r"^(?=\w)", lock.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        first, *rest = text.splitlines()
        yield Requirement(first.removesuffix("\\")), rest


def pinned(lock: Path) -> dict[tuple[str, str], str]:
    """The version of each package, by its name and the machines that it is for."""
    return {(canonicalize_name(each.name), str(each.marker or "")): str(each.specifier) for each, _ in blocks(lock)}


def problems(root: Path) -> Iterator[str]:
    """Say what differs between the sources and their locks."""
    sources = {path.stem for path in (root / "requirements").glob("*.in")}
    locks = {path.stem for path in (root / "requirements").glob("*.txt")} | ({"app"} if lock_of(root, "app").is_file() else set())
    yield from (f"{each} is a source without a lock, or a lock without a source: {REMEDY}" for each in sources ^ locks)
    for source in sources & locks:
        yield from (f"{source}: {problem}" for problem in _differences(root, source))
    together = {each: pinned(lock_of(root, each)) for each in sources & locks - ALONE}
    for source, pins in together.items():
        for package, version in pins.items():
            yield from (
                f"{source} and {other} pin {package[0]} at {version} and {there[package]}: {REMEDY}"
                for other, there in together.items()
                if there.get(package, version) != version
            )


def _differences(root: Path, source: str) -> Iterator[str]:
    wanted = asked(root, source)
    direct = set()
    for pin, lines in blocks(lock_of(root, source)):
        name = canonicalize_name(pin.name)
        (only,) = pin.specifier or [None]
        if only is None or only.operator != "==" or "*" in only.version:
            yield f"{name} is not pinned"
            continue
        if not any("--hash=sha256:" in line for line in lines):
            yield f"{name} has no hash"
        if any(re.search(r"-r requirements/\w+\.in$", line) for line in lines):
            direct.add(name)
        if name in wanted and not wanted[name].specifier.contains(only.version, prereleases=True):
            yield f"{name} is locked at {only.version}, and asked for as {wanted[name]}: {REMEDY}"
    yield from (f"{name} is asked for, and not locked: {REMEDY}" for name in wanted.keys() - direct)
    yield from (f"{name} is locked, and not asked for: {REMEDY}" for name in direct - wanted.keys())


def test_each_lock_fits_its_source():
    assert not list(problems(REPOSITORY))
    assert len(pinned(REPOSITORY / "requirements.txt")) > len(asked(REPOSITORY, "app")) >= 12


def test_a_lock_is_for_every_supported_python():
    """numpy has no release that Python 3.11 and the newest one can both use: a lock made for one of them alone would not say so."""
    markers = {marker for name, marker in pinned(REPOSITORY / "requirements.txt") if name == "numpy"}
    for version in ("3.11", "3.12", "3.13"):
        environment = {"python_version": version, "python_full_version": f"{version}.1"}
        fitting = [marker for marker in markers if not marker or Requirement(f"numpy; {marker}").marker.evaluate(environment)]  # type: ignore[union-attr]
        assert len(fitting) == 1


FOR_NPM = (REPOSITORY / "examples" / "javascript", REPOSITORY / "tests" / "browser")


@pytest.mark.parametrize("folder", FOR_NPM, ids=lambda folder: folder.name)
def test_npm_installs_what_was_asked_for_by_its_hash_from_wherever_it_is_to_be_had(folder):
    asked_for = json.loads((folder / "package.json").read_text("utf-8"))
    packages = json.loads((folder / "package-lock.json").read_text("utf-8"))["packages"]
    own = packages.pop("")
    assert own["dependencies"] == asked_for["dependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", version) for version in own["dependencies"].values())
    assert {f"node_modules/{name}" for name in own["dependencies"]} <= packages.keys()
    assert not [name for name, each in packages.items() if not each["integrity"].startswith("sha512-") or "resolved" in each]


def test_go_fetches_what_was_asked_for_by_its_hash():
    folder = REPOSITORY / "tests" / "sdk" / "go"
    asked_for = re.findall(r"^\t(\S+ v\S+)", (folder / "go.mod").read_text("utf-8"), flags=re.MULTILINE)
    pins = {line.partition(" h1:")[0] for line in (folder / "go.sum").read_text("utf-8").splitlines()}
    assert asked_for
    assert {f"{each}{part}" for each in asked_for for part in ("", "/go.mod")} <= pins


def test_no_lock_names_the_address_of_a_registry():
    locks = [REPOSITORY / "requirements.txt", *(REPOSITORY / "requirements").iterdir(), *(each / "package-lock.json" for each in FOR_NPM)]
    lines = [line for lock in locks for line in lock.read_text("utf-8").splitlines()]
    assert not [line for line in lines if "://" in line]
    assert not [line for line in lines if re.search(r"--(extra-)?index-url|--find-links|--trusted-host", line)]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("requirements/app.in", "orjson>=3.10,<4", "orjson>=2,<3", "orjson is locked at"),
        ("requirements/server.in", "cronsim>=2.6,<3\n", "", "cronsim is locked, and not asked for"),
        ("requirements/cli.in", "rich>=13.7,<16", "rich>=13.7,<16\nflask>=3", "flask is asked for, and not locked"),
        ("requirements.txt", r"(?m)^orjson==\S+", "orjson", "orjson is not pinned"),
        ("requirements.txt", r"(?m)(?<=^orjson==)\S+", "3.10.999", "pin orjson at"),
        ("requirements.txt", r"(?s)(?<=\n)(msgspec==\S+).*?(?=\n    # via)", r"\1", "msgspec has no hash"),
        ("requirements/worker.in", r"(?s).*", None, "worker is a source without a lock"),
    ],
)
def test_a_difference_is_told(tmp_path, file, old, new, told):
    shutil.copytree(REPOSITORY / "requirements", tmp_path / "requirements")
    shutil.copy(REPOSITORY / "requirements.txt", tmp_path)
    changed = tmp_path / file
    if new is None:
        changed.unlink()
    else:
        text = changed.read_text("utf-8")
        pattern = old if "(?" in old else re.escape(old)
        assert re.search(pattern, text)
        changed.write_text(re.sub(pattern, new, text, count=1))
    assert any(told in problem for problem in problems(tmp_path))
