"""Which function answers: the Functions host tries routes in the order of the functions' names, and the first that fits is called."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

import dashboard_function
import manage_function
import rank_function
import reward_function
from evaluation_function.operations import OPERATIONS as EVALUATING
from local.backend import HttpTrigger, trigger_of
from local.routes import Router
from manage_function.operations import OPERATIONS as MANAGING
from manage_function.operations import with_description
from shared.runtime.http import LOOP_PREFIX, QUERY_VERSION, Operation
from tests.patience import PATIENCE
from tests.running import REPOSITORY

LIST_FUNCTIONS = """
import json, function_app
print(json.dumps([(each.get_function_name(), each.get_raw_bindings()) for each in function_app.app.get_functions()]))
"""
ALL_DAY = (*rank_function.OPERATIONS, *reward_function.OPERATIONS)
"""What an application calls all day: each has functions of its own, by which calls are counted and watched."""
ALONE = (*ALL_DAY, *manage_function.ALONE)
EVERY = with_description((*ALL_DAY, *MANAGING, *EVALUATING))
PAGES = (
    *(("dashboard", each) for each in dashboard_function.dashboard_operations()),
    *(("demo", each) for each in dashboard_function.demo_operations()),
)
EXAMPLES = {"eventId": "e1", "loop": "news", "*file": "some/file.js"}
"""What stands in a path; every other id is its own name."""


@pytest.fixture(scope="module")
def router() -> Router:
    """The routes of all functions that the app registers, in the host's order."""
    environment = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "PATH": ""}
    listed = subprocess.run(
        [sys.executable, "-c", LIST_FUNCTIONS],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    triggers = [trigger_of(name, bindings) for name, bindings in json.loads(listed.stdout)]
    return Router([each for each in triggers if isinstance(each, HttpTrigger)], prefix="")


def addresses(operation: Operation) -> Iterator[tuple[str, str]]:
    """Give each path of an operation, of every version, of the default loop and of another, with its version ("" for the newest)."""
    for template in operation.templates:
        for version in [each for each in operation.versions if each != QUERY_VERSION] if "{version}" in template else [""]:
            path = template.replace("{version}", version)
            for name in [part[1:-1] for part in path.split("/") if part.startswith("{")]:
                path = path.replace(f"{{{name}}}", EXAMPLES.get(name, name))
            yield version, f"/{path}"


def function_of(router: Router, method: str, path: str) -> str:
    match = router.match(path, method)
    assert match is not None
    return match.trigger.name


@pytest.mark.parametrize("operation", ALONE, ids=lambda each: each.name)
def test_what_has_functions_of_its_own_is_answered_by_them(router, operation):
    for version, path in addresses(operation):
        newest = "_2022" if operation.versioned and not version else ""
        of_loop = "_loop" if path.startswith("/loops/") else ""
        called = {function_of(router, method, path) for method in operation.methods}
        assert called == {f"{operation.name}{newest}{of_loop}"}, path


@pytest.mark.parametrize("operation", [each for each in EVERY if each not in ALONE], ids=lambda each: each.name)
def test_all_else_is_answered_by_the_function_that_has_its_beginning(router, operation):
    for _, path in addresses(operation):
        first = path.split("/")[1]
        expected = {"loops": "under_loops", "personalizer": "under_personalizer"}.get(first, "unmatched")
        assert {function_of(router, method, path) for method in operation.methods} == {expected}, path


@pytest.mark.parametrize(("function", "operation"), PAGES, ids=lambda each: getattr(each, "name", each))
def test_a_page_is_answered_by_its_own_function(router, function, operation):
    assert {function_of(router, "GET", path) for _, path in addresses(operation) if not path.startswith(f"/{LOOP_PREFIX[:5]}")} == {
        function
    }


@pytest.mark.parametrize(
    ("path", "function"),
    [
        ("/personalizer/v1.0//rank", "under_personalizer"),
        ("/personalizer//v1.0/rank", "unmatched"),
        ("/personalizer/v9/rank", "under_personalizer"),
        ("/personalizer/multislot/events/multislot/activate", "multislot_activate_2022"),
        ("/loops/multislot/personalizer/multislot/events/v1.0/activate", "multislot_activate_2022_loop"),
        ("/PERSONALIZER/V1.1-Preview.3/Events/E/Activate/", "activate"),
        ("/personalizer/v1.0/events/a/b/reward", "under_personalizer"),
        ("/", "unmatched"),
    ],
)
def test_a_path_that_is_spelt_otherwise_reaches_a_function_all_the_same(router, path, function):
    assert function_of(router, "POST", path) == function


def test_a_path_that_begins_with_two_slashes_reaches_no_function(router):
    assert router.match("//personalizer/v1.0/rank", "POST") is None
