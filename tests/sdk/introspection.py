"""What an SDK can do, and what a test module does with it."""

import ast
from pathlib import Path


def public_methods(*classes: type) -> set[str]:
    """Name the operations of clients, inherited ones left out."""
    return {name for each in classes for name, member in vars(each).items() if callable(member) and not name.startswith("_")}


def methods_called_in_tests(module: str) -> set[str]:
    """Name all methods that the tests of this module call."""
    tests = [node for node in ast.parse(Path(module).read_text("utf-8")).body if _is_test(node)]
    calls = [node for test in tests for node in ast.walk(test) if isinstance(node, ast.Call)]
    return {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
