"""What the pages name is there: settings, routes, options and codes."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from shared.runtime.failures import STATUS
from shared.runtime.settings import DEFAULTS
from tests.docs.api_page import PAGE
from tests.docs.snippets import pages
from tests.http.described import said
from tests.running import REPOSITORY

SETTING = re.compile(r"\bPERSONALIZER_[A-Z_]*[A-Z]\b")
CALL = re.compile(r"`(GET|PUT|POST|DELETE) /?([\w./{}-]+)[^`]*`")
CODE_FOLDERS = ("shared", "local", "infra", "cli", "examples", "benchmarks")
TEXT = ("*.py", "*.bicep", "*.json", "*.mjs")


def place(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@cache
def named_in_code() -> frozenset[str]:
    files = [path for folder in CODE_FOLDERS for kind in TEXT for path in (REPOSITORY / folder).rglob(kind)]
    return frozenset({*DEFAULTS, *(name for path in files for name in SETTING.findall(path.read_text("utf-8")))})


def is_served(method: str, path: str) -> bool:
    """Whether an operation has this path, or one that ends so; what stands in braces may be called anything."""
    if path == "admin/functions" or path.startswith("admin/functions/"):  # the host's own way to list functions and to run one
        return True
    shape = re.escape(re.sub(r"\{\w+\}", "{}", path)).replace(r"\{\}", r"(\{\w+\}|[\w.-]+)")
    shape = shape.replace("loops/news", r"loops/\{loop\}").replace(r"v1\.0", r"\{version\}").replace(r"v1\.1\-preview\.3", r"\{version\}")
    return any(each.method == method and re.search(rf"(^|/){shape}$", each.path) for each in said())


def calls() -> Iterator[tuple[str, str, str]]:
    for page in [each for each in pages() if each != PAGE]:  # that one is made from what is served
        for method, path in CALL.findall(page.read_text("utf-8")):
            yield place(page), method, path


@pytest.mark.parametrize("page", pages(), ids=place)
def test_every_setting_that_a_page_names_is_one(page):
    assert set(SETTING.findall(page.read_text("utf-8"))) <= named_in_code()


def test_every_call_that_a_page_names_is_served():
    assert len(list(calls())) > 15
    assert not [(page, method, path) for page, method, path in calls() if not is_served(method, path)]


def test_every_setting_and_code_is_told_of():
    told = "".join(page.read_text("utf-8") for page in pages())
    assert not [name for name in DEFAULTS if f"`{name}`" not in told]
    assert not [code for _, code in STATUS.values() if f"`{code}`" not in told]
