"""The documentation says what the code does: names, defaults, routes, errors and links are compared, and its calls are run."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import rank_function
import reward_function
from evaluation_function.operations import OPERATIONS as EVALUATING
from manage_function.operations import OPERATIONS as MANAGING
from shared.domain import errors
from shared.runtime.failures import STATUS
from shared.runtime.http import MAX_BODY_BYTES, PATH_VERSIONS, QUERY_VERSION
from shared.runtime.settings import DEFAULTS, read_settings
from shared.storage.names import LOGS, MODELS, configuration_file
from tests.patience import PATIENCE

REPOSITORY = Path(__file__).resolve().parent.parent
README = (REPOSITORY / "README.md").read_text("utf-8")
CONTRIBUTING = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
SETTINGS = (REPOSITORY / "docs" / "settings.md").read_text("utf-8")
API = (REPOSITORY / "docs" / "api.md").read_text("utf-8")
REFERENCE = (REPOSITORY / "docs" / "reference.md").read_text("utf-8")
PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((REPOSITORY / "docs").rglob("*.md"))
INTERNALS = REPOSITORY / "docs" / "internals"
LOCAL = "http://127.0.0.1:7071"
DIRECT = (*rank_function.OPERATIONS, *reward_function.OPERATIONS)
OPERATIONS = (*DIRECT, *MANAGING, *EVALUATING)
STORAGES = ("PERSONALIZER_STORE", "AzureWebJobsStorage", "PERSONALIZER_STORAGE")

LIST_ROUTES = """
import json, function_app
bindings = [each for found in function_app.app.get_functions() for each in json.loads(found.get_function_json())["bindings"]]
print(json.dumps([each["route"] for each in bindings if each["type"] == "httpTrigger"]))
"""


def place(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def settings_table() -> dict[str, str]:
    """Read the page's table: the default of each setting."""
    rows = re.findall(r"^\| `([A-Za-z_]+)` \| (?:`(.*?)`)? *\|", SETTINGS, re.MULTILINE)
    return {name: default for name, default in rows if name.startswith(("PERSONALIZER", "AzureWebJobs"))}


def example_settings() -> dict[str, str]:
    content: dict[str, dict[str, str]] = json.loads((REPOSITORY / "local.settings.json.example").read_text("utf-8"))
    return content["Values"]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    below = [each for each in kind.__subclasses__() if each.__module__.startswith("shared.")]  # the client's own have no status
    for each in below:
        yield from leaves(each)
    if not below:
        yield kind


def plain_environment() -> dict[str, str]:
    """Give this process's environment without what could lead a call elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {name: value for name, value in kept.items() if not name.startswith(("PERSONALIZER_", "AzureWebJobs"))}


# --- settings --------------------------------------------------------------------------------------------------------------


def test_the_page_of_settings_has_every_one_with_its_default_and_no_other():
    assert settings_table() == {**DEFAULTS, **dict.fromkeys(STORAGES, "")}


def test_the_example_settings_are_the_defaults_and_can_be_used():
    example = example_settings()
    assert {name: value for name, value in example.items() if name.startswith("PERSONALIZER_")} == dict(DEFAULTS)
    assert read_settings(example) == read_settings({"AzureWebJobsStorage": "UseDevelopmentStorage=true"})


def test_the_ways_to_name_an_account_are_on_it():
    source = (REPOSITORY / "shared" / "runtime" / "settings.py").read_text("utf-8")
    suffixes = set(re.findall(r"\{prefix\}(__\w+)", source))
    assert suffixes == {"__accountName", "__blobServiceUri", "__tableServiceUri", "__credential", "__clientId"}
    assert not [suffix for suffix in suffixes if f"`{suffix}`" not in SETTINGS]


# --- routes and errors -----------------------------------------------------------------------------------------------------


def test_every_registered_route_is_in_the_reference():
    environment = plain_environment() | {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "PYTHONPATH": str(REPOSITORY)}
    listed = subprocess.run(
        [sys.executable, "-c", LIST_ROUTES], cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    routes = json.loads(listed.stdout)
    assert {route for operation in DIRECT for _, route in operation.functions} < set(routes)
    assert not [route for route in routes if not is_told(as_told(route))]


def as_told(route: str) -> str:
    """Give a function's route as the reference has it: it says once how versions and other loops stand in a path."""
    return route.replace("v1.{minor}", "{version}").removeprefix("loops/{loop}/")


def is_told(route: str) -> bool:
    """Whether an operation's route is in the API reference, or one that takes all that is left in the other."""
    return f"`{route}`" in REFERENCE if "{*path}" in route else re.search(rf" /{re.escape(route)}[`?]", API) is not None


def test_every_operation_is_in_the_api_reference_under_each_of_its_routes():
    assert not [route for operation in OPERATIONS for _, route in operation.routes if not is_told(route)]


def test_every_version_and_the_body_limit_are_in_the_reference():
    assert not [version for version in (*PATH_VERSIONS, QUERY_VERSION) if version not in REFERENCE]
    assert MAX_BODY_BYTES == 1024 * 1024  # "1 MiB" in the reference


def test_each_leaf_of_the_error_tree_has_a_status_of_its_own():
    assert set(leaves(errors.PersonalizerError)) <= set(STATUS)


def test_the_containers_and_the_configuration_blob_are_named_as_they_are():
    page = (INTERNALS / "configuration.md").read_text("utf-8")
    assert MODELS in page
    assert configuration_file("default") in page
    assert LOGS in (INTERNALS / "log-files.md").read_text("utf-8")


# --- commands and pages ----------------------------------------------------------------------------------------------------


def make_targets() -> set[str]:
    phony = re.search(r"^\.PHONY: (help .*)$", (REPOSITORY / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony is not None
    return set(phony[1].split())


def test_every_make_target_is_described_by_make_help_and_in_contributing():
    help_text = subprocess.run(["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    described = set(re.findall(r"^ +make ([a-z]+) +\S", help_text, re.MULTILINE))
    assert described == make_targets()
    assert set(re.findall(r"^\| `make ([a-z]+)` \| \S", CONTRIBUTING, re.MULTILINE)) == make_targets()


def test_the_readme_names_no_make_target_that_does_not_exist():
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) <= make_targets()


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 100  # two screens


def test_the_readme_compares_by_figures_that_were_measured():
    table = README.split("## How it compares")[1].split("\n## ")[0]
    measured = "".join((INTERNALS / page).read_text("utf-8") for page in ("benchmarks.md", "estimators.md"))
    figures = [figure for line in table.splitlines() if line.startswith("| ") for figure in re.findall(r"\d*[.,]?\d+", line)]
    assert len(figures) > 10
    assert not [figure for figure in figures if not re.search(rf"(?<![\d.,]){re.escape(figure)}(?!\d)", measured)]


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_every_relative_link_leads_to_something(page):
    links = re.findall(r"\]\((?!https?://)([^)\s]+)\)", page.read_text("utf-8"))
    assert not [link for link in links if not is_there(page, link)]


def is_there(page: Path, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (page.parent / target).resolve() if target else page
    if not path.exists() or not path.is_relative_to(REPOSITORY):
        return False
    return not anchor or anchor in anchors(path)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def pages_of(*folders: str) -> list[Path]:
    """Give the pages of these folders of the documentation; "." is its own."""
    return [page for page in PAGES if any(page.parent == (REPOSITORY / "docs" / folder).resolve() for folder in folders)]


USERS = [page for page in pages_of(".", "concepts", "how-to") if page.name != "README.md"]
INSIDE = [page for page in pages_of("internals", "decisions") if page.name != "README.md"]


def linked(index: Path) -> set[Path]:
    return {(index.parent / link).resolve() for link in re.findall(r"\]\((?!https?://)([^)\s#]+)", index.read_text("utf-8"))}


def test_every_page_is_in_its_index_and_the_users_one_has_theirs_only():
    users, inside = linked(REPOSITORY / "docs" / "README.md"), linked(INTERNALS / "README.md")
    assert not [place(page) for page in USERS if page not in users]
    assert not [place(page) for page in INSIDE if page not in inside or page in users]
    assert {*USERS, *INSIDE} == {page for page in PAGES if page.is_relative_to(REPOSITORY / "docs") and page.name != "README.md"}


def test_the_pages_for_users_are_few():
    assert len(USERS) <= 36


@pytest.mark.parametrize("page", pages_of("concepts"), ids=place)
def test_a_concept_begins_with_about_three_short_sentences(page):
    beginning = page.read_text("utf-8").split("\n\n")[1]
    sentences = re.split(r"(?<=[.?!])\s+", beginning.strip())
    assert 2 < len(sentences) < 5
    assert max(len(sentence.split()) for sentence in sentences) <= 30


def test_every_run_time_dependency_is_justified():
    page = (REPOSITORY / "docs" / "decisions" / "dependencies.md").read_text("utf-8")
    required = re.findall(r"^([a-z][a-z\-]+)", (REPOSITORY / "requirements" / "app.in").read_text("utf-8"), re.MULTILINE)
    assert len(required) >= 9
    assert not [name for name in required if not re.search(rf"^\|.*\b{name}\b.*\|", page, re.MULTILINE)]


def test_the_changelog_has_this_version():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert f"## [{version}]" in (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
