"""Every command and option is in its help and in the page of the command line; the page names none that is not there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from cli.main import build
from tests.cli.running import run

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "command-line.md").read_text("utf-8")


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    found: Any = group or get_command(build())
    for name, command in found.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(commands())
EACH = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def section(name: str) -> str:
    """Give what the page says of a command or group, and of what many have in common."""
    return PAGE.split("\n## ")[0] + re.split(rf"^## {name}$", PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]


def options(command) -> set[str]:
    found = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    return {name for name in found if name.startswith("--")} - {"--help"}


@EACH
def test_a_command_and_its_options_are_in_the_page(path):
    told = section(path[0])
    assert re.search(rf"`{' '.join(path)}\b", told)
    assert not [name for name in options(COMMANDS[path]) if not re.search(rf"`{name}\b", told)]


@EACH
def test_a_command_says_what_it_does_and_so_does_each_option(path):
    command = COMMANDS[path]
    assert command.help
    assert not [parameter.name for parameter in command.params if not parameter.help]
    assert "--json" in options(command)
    shown = run(*path, "--help")
    assert (shown.code, shown.errors) == (0, "")
    assert not [name for name in options(command) if name not in shown.text]


def test_the_page_names_no_command_and_no_option_that_is_not_there():
    every = {name for command in COMMANDS.values() for name in options(command)} | {"--help", "--dsjson"}
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= every
    groups = {path[0] for path in COMMANDS}
    assert set(re.findall(r"^## ([a-z]+)$", PAGE, re.MULTILINE)) == groups


def test_without_a_command_the_help_is_shown():
    shown = run("--help")
    assert shown.code == 0
    assert not [path for path in COMMANDS if path[0] not in shown.text]


def test_the_commands_of_the_pages_can_be_parsed():
    pages = Path(__file__).resolve().parents[2].joinpath("docs").rglob("*.md")
    lines = [
        each
        for page in pages
        for each in re.findall(r"^(?:\S+=\S+ )?\.venv/bin/python -m cli ([^#\n]+)", page.read_text("utf-8"), re.MULTILINE)
    ]
    assert len(lines) >= 5
    for line in lines:
        words = line.split()
        assert any(tuple(words[: len(path)]) == path for path in COMMANDS), line
