"""A Containerfile's steps, done one by one in a folder, where there is no engine to build it."""

import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import venv
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HEALTH_OPTION = re.compile(r"^--[\w-]+=\S+ ")


class UnknownStepError(Exception):
    """The file says something that is not done here."""


def instructions(text: str) -> list[tuple[str, str]]:
    """Read a Containerfile: what each line asks for, and its arguments."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def required(file: Path) -> Iterator[str]:
    """Give the packages that a lock asks for on this machine."""
    for line in file.read_text("utf-8").splitlines():
        if line[:1].isalnum():
            asked = Requirement(line.removesuffix("\\"))
            if asked.marker is None or asked.marker.evaluate():
                yield asked.name


def with_needs(packages: set[str]) -> set[str]:
    """Add what packages need of others, as far as this machine has them: pip asks for the rest."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            needs = [Requirement(text) for text in distribution(name).requires or ()]
        except PackageNotFoundError:
            continue
        found.add(name)
        waiting += [each.name for each in needs if each.marker is None or each.marker.evaluate({"extra": ""})]
    return found


class Container:
    """What a Containerfile makes, under a folder that stands for its root; the base image's Python is a virtual environment there.

    Steps run as whoever runs the test: the user that the file names is told in ``user``. What pip is asked for it finds there already, if
    this machine has it; what it is not asked for is not there.
    """

    def __init__(self, root: Path, context: Path) -> None:
        self.root, self._context = root, context
        self.environment: dict[str, str] = {}
        self.folder = PurePosixPath("/")
        self.volumes: list[str] = []
        self.ports: list[int] = []
        self.base = self.user = self.stop_signal = ""
        self.command: list[str] = []
        self.health: list[str] = []

    def build(self, text: str) -> None:
        for word, rest in instructions(text):
            step = getattr(self, f"_{word.lower()}", None)
            if step is None:
                raise UnknownStepError(f"{word} {rest}")
            step(rest)

    def place(self, path: str) -> Path:
        """Say where a path of the container is on this machine."""
        return self.root / str(self.folder / path).lstrip("/")

    def variables(self, more: Mapping[str, str]) -> dict[str, str]:
        """Give a process's environment: nothing of this machine's but what finds programs and packages."""
        of_pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name.lower().endswith("_proxy")}
        own = {name: self._here(value) for name, value in self.environment.items() if name != "PIP_NO_CACHE_DIR"}
        return {"PATH": f"{self.root}/venv/bin:/usr/bin:/bin", "HOME": str(self.root), **of_pip, **own, **more}

    def _link(self, packages: set[str]) -> None:
        """Put packages and what they need where the container's Python looks for them."""
        (site,) = (self.root / "venv").glob("lib/python*/site-packages")
        for each in with_needs(packages):
            for file in distribution(each).files or ():
                place = site / file
                if file.parts[0] != ".." and not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.symlink_to(file.locate())

    def _here(self, word: str) -> str:
        return str(self.place(word)) if word.startswith("/") else word

    def _from(self, rest: str) -> None:
        self.base = rest
        venv.create(self.root / "venv")
        self._link({"pip"})

    def _env(self, rest: str) -> None:
        self.environment |= dict(each.split("=", 1) for each in shlex.split(rest))

    def _workdir(self, rest: str) -> None:
        self.folder /= rest
        self.place(".").mkdir(parents=True, exist_ok=True)

    def _copy(self, rest: str) -> None:
        *sources, target = shlex.split(rest)
        if target.endswith("/"):
            self.place(target).mkdir(parents=True, exist_ok=True)
        for source in sources:
            found = self._context / source
            if found.is_dir():
                shutil.copytree(found, self.place(target), ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(found, self.place(target))

    def _run(self, rest: str) -> None:
        words = [self._here(word) for word in shlex.split(rest)]
        self._link({name for word, after in itertools.pairwise(words) if word == "-r" for name in required(self.place(after))})
        if os.geteuid() != 0:  # who is not root gives nothing away
            words = [word for before, word in zip(["", *words], words, strict=False) if not {before, word} & {"-o", "-g"}]
        subprocess.run(words, cwd=self.place("."), env=self.variables({}), check=True, timeout=280)

    def _volume(self, rest: str) -> None:
        self.volumes.append(rest)

    def _user(self, rest: str) -> None:
        self.user = rest

    def _expose(self, rest: str) -> None:
        self.ports.append(int(rest))

    def _stopsignal(self, rest: str) -> None:
        self.stop_signal = rest

    def _healthcheck(self, rest: str) -> None:
        while HEALTH_OPTION.match(rest):
            rest = HEALTH_OPTION.sub("", rest, count=1)
        word, _, command = rest.partition(" ")
        if word != "CMD":
            raise UnknownStepError(f"HEALTHCHECK {word}")
        self.health = json.loads(command)

    def _cmd(self, rest: str) -> None:
        self.command = json.loads(rest)
