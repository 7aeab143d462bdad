"""Builds the package (PEP 517), with nothing but the standard library.

The package decides by the service's own modules. Those that it needs are taken from ``shared``, at the top of the repository, and put
under ``open_personalizer/_shared``; imports are renamed to that. A source distribution holds a ``shared`` of its own.
"""

import argparse
import ast
import base64
import hashlib
import io
import re
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

CLIENT: Final = Path(__file__).resolve().parent
PACKAGE: Final = "open_personalizer"
CORE: Final = "shared"
ALLOWED: Final = frozenset({"numpy", "urllib3"})
_IMPORT: Final = re.compile(rf"^(\s*)(from|import) {CORE}(?=[. ])", re.MULTILINE)
_TIME: Final = (2020, 1, 1, 0, 0, 0)
"""Of all files: the same sources give the same bytes."""


class BuildError(Exception):
    """What is to be built cannot be."""


def get_requires_for_build_wheel(config_settings: Mapping[str, Any] | None = None) -> list[str]:
    """Nothing is needed."""
    return []


def get_requires_for_build_sdist(config_settings: Mapping[str, Any] | None = None) -> list[str]:
    """Nothing is needed."""
    return []


def build_wheel(wheel_directory: str, config_settings: Mapping[str, Any] | None = None, metadata_directory: str | None = None) -> str:
    """Write the wheel and give its name."""
    project = _project()
    files = {f"{PACKAGE}/{place}": data for place, data in _package().items()}
    files |= {f"{PACKAGE}/_shared/{place}": _renamed(data) for place, data in core().items()}
    info = f"{_stem(project)}.dist-info"
    files |= {
        f"{info}/METADATA": _metadata(project),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: open-personalizer\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/licenses/LICENSE": _licence(),
    }
    record = f"{info}/RECORD"
    lines = [f"{place},sha256={_digest(data)},{len(data)}" for place, data in files.items()]
    files[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    name = f"{_stem(project)}-py3-none-any.whl"
    with zipfile.ZipFile(Path(wheel_directory) / name, "w", zipfile.ZIP_DEFLATED) as wheel:
        for place, data in files.items():
            entry = zipfile.ZipInfo(place, _TIME)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            wheel.writestr(entry, data)
    return name


def build_sdist(sdist_directory: str, config_settings: Mapping[str, Any] | None = None) -> str:
    """Write the source distribution and give its name."""
    project = _project()
    stem = _stem(project)
    files = {each: (CLIENT / each).read_bytes() for each in ("pyproject.toml", "README.md", "backend.py")}
    files |= {f"{PACKAGE}/{place}": data for place, data in _package(renamed=False).items()}
    files |= {f"{CORE}/{place}": data for place, data in core().items()}
    files |= {"LICENSE": _licence(), "PKG-INFO": _metadata(project)}
    with tarfile.open(Path(sdist_directory) / f"{stem}.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        for place, data in files.items():
            entry = tarfile.TarInfo(f"{stem}/{place}")
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return f"{stem}.tar.gz"


def core() -> dict[str, bytes]:
    """Give the modules of the service that the package needs, and those that they need, by their places within ``shared``."""
    root = _root()
    found: dict[str, bytes] = {}
    waiting = [each for path in sorted((CLIENT / PACKAGE).glob("*.py")) for each in _needed(path, root)]
    while waiting:
        path = waiting.pop()
        place = path.relative_to(root).as_posix()
        if place not in found:
            found[place] = path.read_bytes()
            waiting += _needed(path, root)
            waiting += [folder / "__init__.py" for folder in path.parents if folder == root or root in folder.parents]
    return dict(sorted(found.items()))


def _needed(path: Path, root: Path) -> Iterator[Path]:
    """Give the modules of the core that a module imports; raises `BuildError` for packages that are not to be needed."""
    for name in _imported(ast.parse(path.read_bytes())):
        first, *rest = name.split(".")
        if first == CORE:
            yield from _modules(root, rest)
        elif first != PACKAGE and first not in sys.stdlib_module_names and first not in ALLOWED:
            raise BuildError(f"{path} imports {name}: the client must not need it")


def _imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _modules(root: Path, names: list[str]) -> Iterator[Path]:
    """Give the module that is named, or in which the last name stands."""
    for path in (root.joinpath(*names), root.joinpath(*names[:-1])):
        for candidate in (path.with_suffix(".py"), path / "__init__.py"):
            if candidate.is_file():
                yield candidate
                return
    raise BuildError(f"there is no module {'.'.join([CORE, *names])}")


def _root() -> Path:
    """Find the service's modules: in the repository, or in a source distribution."""
    for root in (CLIENT / CORE, CLIENT.parent / CORE):
        if (root / "learning").is_dir():
            return root
    raise BuildError(f"the folder {CORE} is neither in {CLIENT} nor beside it: build in the repository, or from a source distribution")


def _package(*, renamed: bool = True) -> dict[str, bytes]:
    files = {path.name: path.read_bytes() for path in sorted((CLIENT / PACKAGE).iterdir()) if path.is_file()}
    return {name: _renamed(data) if renamed and name.endswith(".py") else data for name, data in files.items()}


def _renamed(source: bytes) -> bytes:
    return _IMPORT.sub(rf"\1\2 {PACKAGE}._shared", source.decode()).encode()


def _project() -> Mapping[str, Any]:
    project: Mapping[str, Any] = tomllib.loads((CLIENT / "pyproject.toml").read_text("utf-8"))["project"]
    return project


def _stem(project: Mapping[str, Any]) -> str:
    return f"{project['name'].replace('-', '_')}-{project['version']}"


def _metadata(project: Mapping[str, Any]) -> bytes:
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        "License-File: LICENSE",
        f"Requires-Python: {project['requires-python']}",
        *[f"Requires-Dist: {each}" for each in project["dependencies"]],
        *[f"Classifier: {each}" for each in project["classifiers"]],
        "Description-Content-Type: text/markdown",
        "",
        (CLIENT / "README.md").read_text("utf-8"),
    ]
    return "\n".join(lines).encode()


def _licence() -> bytes:
    return next(path for path in (CLIENT / "LICENSE", CLIENT.parent / "LICENSE") if path.is_file()).read_bytes()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def main() -> None:
    """Write both into a folder, and say so."""
    parser = argparse.ArgumentParser(description="Build the wheel and the source distribution of the client.")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name in (build_wheel(str(folder)), build_sdist(str(folder))):
        print(folder / name)


if __name__ == "__main__":
    main()
